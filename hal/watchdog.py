"""The service manager and its watchdog: systemd's notification protocol (sd_notify(3)).

Messages are single datagrams to the socket that `NOTIFY_SOCKET` names. Without it all calls do
nothing, so that a program need not ask whether systemd started it. The hardware watchdog of the
board is systemd's (RuntimeWatchdogSec=): a node that stops beating is killed and started again by
it, a system that hangs is reset by the board.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from hal.clock import Clock, MonotonicClock


class ServiceNotifier:
    """Tells systemd how the service is. No call blocks or raises.

    Takes `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` out of the environment, so that
    children do not speak for the service. `interval` is how often to beat, in seconds: half of
    what systemd allows; None when it does not watch.
    """

    def __init__(
        self,
        environment: MutableMapping[str, str] | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        environment = os.environ if environment is None else environment
        self._clock = MonotonicClock() if clock is None else clock
        self._address = _address(environment.pop("NOTIFY_SOCKET", ""))
        self.interval = _interval(
            environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        )
        self._next_beat = self._clock.now()
        self._socket: socket.socket | None = None

    @property
    def listening(self) -> bool:
        """Whether there is a service manager to tell."""
        return self._address is not None

    def ready(self, status: str = "") -> bool:
        """The start, or a reload, is complete."""
        return self._send("READY=1", status)

    def reloading(self, status: str = "") -> bool:
        """The configuration is being read again; `ready` follows."""
        # Type=notify-reload compares this time with that of its request.
        microseconds = int(MonotonicClock().now() * 1_000_000)
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}", status)

    def stopping(self, status: str = "") -> bool:
        """The service is draining and will end."""
        return self._send("STOPPING=1", status)

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._send("", text)

    def extend(self, seconds: float) -> bool:
        """The start or the stop takes so much longer: do not kill the service before that."""
        return self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def deadline(self) -> float | None:
        """When `beat()` is due, in seconds of the clock; None when nobody watches."""
        return None if self.interval is None or self._address is None else self._next_beat

    def beat(self) -> bool:
        """The service is alive; does nothing before it is due."""
        due = self.deadline()
        now = self._clock.now()
        if due is None or self.interval is None or now < due:
            return False
        self._next_beat = now + self.interval
        return self._send("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket; a later call opens it again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, state: str, status: str = "") -> bool:
        """Whether the message left; one that cannot (a manager that restarts) is dropped."""
        if self._address is None:
            return False
        lines = [state] if state else []
        if status:
            lines.append(f"STATUS={' '.join(status.split())}")
        if not lines:
            return False
        try:
            if self._socket is None:
                self._socket = socket.socket(
                    socket.AF_UNIX,
                    socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
                )
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return False
        return True


def _address(name: str) -> str | None:
    """A path, or a name in the abstract namespace, which is written with `@`."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def _interval(microseconds: str, process: str) -> float | None:
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    if process and process != str(os.getpid()):
        return None
    return int(microseconds) / 2_000_000
