"""A serial port that may vanish and come back, and the devices that stand on one.

`PortDevice` keeps the port open: when it goes, it is looked for again at growing intervals, under
the same name (a stable one is /dev/serial/by-id/...). What is done with the bytes and the modem
lines is up to the driver.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from hal.serial.base import (
    PortBusy,
    PortReturned,
    PortVanished,
    SerialDevice,
    SerialEvent,
    WrongSettings,
)

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 5.0
_AT_ONCE = 4096


class PortDevice(SerialDevice):
    """A device on a port of pyserial: a path, or a URL such as `loop://`.

    `rate` in bits a second; `form` is bits, parity and stop bits, such as `8N1`; `poll` seconds
    between looks at ports without a descriptor, and at modem lines.
    """

    def __init__(
        self,
        port: str,
        *,
        rate: int = 9600,
        form: str = "8N1",
        poll: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        if len(form) < 3 or form[0] not in "5678" or form[1] not in "NEOMS":
            raise WrongSettings(f"{form!r} is no form of characters such as 8N1")
        if rate <= 0:
            raise WrongSettings(f"{rate} is no rate")
        self.port = port
        self.now = now
        self._settings: dict[str, Any] = {
            "baudrate": rate,
            "bytesize": int(form[0]),
            "parity": form[1],
            "stopbits": float(form[2:]),
        }
        self._poll = poll
        self._serial: Any = None
        self._is_open = False
        self._try_at = 0.0
        self._wait = _FIRST_WAIT
        self._told_away = False
        self._waiting: list[SerialEvent] = []

    # For drivers.

    @abstractmethod
    def take(self, data: bytes, at: float) -> list[SerialEvent]:
        """Some bytes came."""

    def look(self, serial: Any, at: float) -> list[SerialEvent]:
        """Look at the modem lines, or at the time; called with every `events()`."""
        return []

    def next_look(self) -> float | None:
        """When `look` is due; None: never."""
        return None

    def forget(self) -> None:
        """The port went: half a frame is no frame."""

    def write(self, data: bytes) -> None:
        """Send some bytes; lost where the port is away."""
        if self._serial is not None:
            try:
                self._serial.write(data)
            except OSError as error:
                self._vanish(error)

    # The interface.

    def open(self) -> None:
        self._is_open = True
        self._wait, self._told_away = _FIRST_WAIT, False
        self._try_at = 0.0
        error = self._connect()
        if isinstance(error, PortBusy):
            self._is_open = False
            raise error

    def close(self) -> None:
        self._is_open = False
        self._let_go()
        self._waiting.clear()

    @property
    def descriptor(self) -> int | None:
        if self._serial is None:
            return None
        try:
            return int(self._serial.fileno())
        except (OSError, AttributeError, TypeError):
            return None

    def deadline(self) -> float | None:
        if not self._is_open:
            return None
        if self._waiting:
            return self.now()
        if self._serial is None:
            return self._try_at
        due = self.next_look()
        if self.descriptor is None or self._poll:
            polled = self.now() + (self._poll or 0.05)
            return polled if due is None else min(due, polled)
        return due

    def events(self) -> list[SerialEvent]:
        if not self._is_open:
            return []
        at = self.now()
        if self._serial is None and at >= self._try_at:
            self._connect()
        if self._serial is not None:
            try:
                data = self._read()
                if data:
                    self._waiting += self.take(data, at)
                if self._serial is not None:
                    self._waiting += self.look(self._serial, at)
            except OSError as error:
                self._vanish(error)
        found, self._waiting = self._waiting, []
        return found

    # The port.

    def _read(self) -> bytes:
        descriptor = self.descriptor
        if descriptor is None:
            return bytes(self._serial.read(self._serial.in_waiting or 0))
        try:
            data = os.read(descriptor, _AT_ONCE)
        except BlockingIOError:
            return b""
        if not data and self._hung_up(descriptor):
            raise OSError("it was unplugged")
        return data

    @staticmethod
    def _hung_up(descriptor: int) -> bool:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return any(found & (select.POLLHUP | select.POLLERR) for _, found in poll.poll(0))

    def _connect(self) -> Exception | None:
        import serial

        at = self.now()
        try:
            made = serial.serial_for_url(self.port, do_not_open=True, timeout=0, **self._settings)
            if "://" not in self.port:
                made.exclusive = True
            made.open()
        except (OSError, ValueError) as error:
            busy = "exclusively lock" in str(error) or "busy" in str(error).lower()
            self._try_at = at + self._wait
            self._wait = min(_LONGEST_WAIT, self._wait * 2)
            if not self._told_away:
                self._told_away = True
                self._waiting.append(PortVanished(at, str(error)))
            return PortBusy(f"{self.port} is in use") if busy else error
        self._serial = made
        self._wait, self._told_away = _FIRST_WAIT, False
        self._waiting.append(PortReturned(at))
        return None

    def _vanish(self, error: Exception) -> None:
        at = self.now()
        self._let_go()
        self.forget()
        self._try_at, self._told_away = at + self._wait, True
        self._waiting.append(PortVanished(at, str(error)))

    def _let_go(self) -> None:
        if self._serial is not None:
            held, self._serial = self._serial, None
            with contextlib.suppress(OSError):
                held.close()
