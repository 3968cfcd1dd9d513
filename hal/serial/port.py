"""A serial port that may vanish and come back, and the devices that stand on one.

`PortDevice` keeps the port open: when it goes, it is looked for again at growing intervals, under
the same name (a stable one is /dev/serial/by-id/...). What is done with the bytes and the modem
lines is up to the driver.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import termios
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from hal.serial.base import (
    Garbage,
    PortBusy,
    PortReturned,
    PortVanished,
    SerialDevice,
    SerialError,
    SerialEvent,
    WrongSettings,
)

SCHEMES = ("loop", "socket", "hwgrep")
"""URLs of pyserial that are taken. Of the others some make a thread of their own (rfc2217, cp2110),
and spy prints what is read, which may be a patient's number."""

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 5.0
_AT_ONCE = 4096
_POLL = 0.05
_CONNECTING = 0.2
_STOP_BITS = {"1": 1.0, "1.5": 1.5, "2": 2.0}
# termios.error is no OSError: a port that is pulled while it is being set up raises it.
_FAULTS = (OSError, termios.error)


class PortDevice(SerialDevice):
    """A device on a port of pyserial: a path, or a URL of SCHEMES such as `loop://`.

    `rate` in bits a second; `form` is bits, parity and stop bits, such as `8N1`; `poll` seconds
    between looks at ports without a descriptor, and at modem lines. Of what is sent at most 4096
    bytes wait for a device that does not take them; more is lost, and told of as Garbage.

    `socket://HOST:PORT` is a terminal server in the same network, without modem lines. Looking for
    one whose host is dead takes 0.2 seconds, and the time of finding its name where it has one.
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
        if form[2:] not in _STOP_BITS:
            raise WrongSettings(f"{form!r} has none of {', '.join(_STOP_BITS)} stop bits")
        if rate <= 0:
            raise WrongSettings(f"{rate} is no rate")
        if poll < 0:
            raise WrongSettings(f"{poll} seconds are no interval")
        scheme, is_url, _ = port.partition("://")
        if not port or (is_url and scheme not in SCHEMES):
            raise WrongSettings(f"{port!r} is no port: a path, or a URL of {', '.join(SCHEMES)}")
        self.port = port
        self.now = now
        self._settings: dict[str, Any] = {
            "baudrate": rate,
            "bytesize": int(form[0]),
            "parity": form[1],
            "stopbits": _STOP_BITS[form[2:]],
        }
        self._is_url = bool(is_url)
        self._poll = poll
        self._serial: Any = None
        self._is_open = False
        self._is_terminal = False
        self._try_at = 0.0
        self._wait = _FIRST_WAIT
        self._connected_at = 0.0
        self._looked_at = 0.0
        self._told_away = False
        self._unsent = bytearray()
        self._told_unsent = False
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

    def begin(self, at: float) -> None:
        """The port is there, for the first time or again."""

    def forget(self, at: float) -> list[SerialEvent]:
        """The port went: half a frame is no frame. What there is to say of it."""
        return []

    def write(self, data: bytes) -> None:
        """Send some bytes, without waiting; lost where the port is away."""
        if self._serial is None:
            return
        if len(self._unsent) + len(data) > _AT_ONCE:
            # Whole frames are lost, so that a device that wakes up hears none that is cut.
            if not self._told_unsent:
                self._told_unsent = True
                self._waiting.append(Garbage(self.now(), "the device does not take what is sent"))
            return
        self._unsent += data
        try:
            self._send()
        except _FAULTS as error:
            self._vanish(error)

    # The interface.

    def open(self) -> None:
        if self._is_open:
            return
        self._is_open = True
        self._wait, self._told_away = _FIRST_WAIT, False
        self._try_at = 0.0
        error = self._connect()
        if isinstance(error, SerialError):
            self.close()
            raise error

    def close(self) -> None:
        self._is_open = False
        self._let_go()
        self.forget(self.now())
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
            return self._waiting[0].at
        if self._serial is None:
            return self._try_at
        dues = [] if (due := self.next_look()) is None else [due]
        if self.descriptor is None or self._poll:
            dues.append(self._looked_at + (self._poll or _POLL))
        if self._unsent:
            dues.append(self._looked_at + _POLL)
        return min(dues, default=None)

    def events(self) -> list[SerialEvent]:
        if not self._is_open:
            return []
        at = self._looked_at = self.now()
        if self._serial is None and at >= self._try_at:
            self._connect()
        if self._serial is not None:
            try:
                data = self._read()
                if data:
                    self._waiting += self.take(data, at)
                if self._serial is not None:
                    self._waiting += self.look(self._serial, at)
                if self._serial is not None:
                    self._send()
            except _FAULTS as error:
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
        # A terminal gives nothing where there is nothing; of all else it is the end.
        if not data and (not self._is_terminal or self._hung_up(descriptor)):
            raise OSError("it was unplugged" if self._is_terminal else "the far side closed it")
        return data

    def _send(self) -> None:
        """As much as the port takes now. pyserial's own `write` waits until all is gone."""
        if not self._unsent:
            return
        descriptor = self.descriptor
        if descriptor is None:
            self._serial.write(bytes(self._unsent))
            self._unsent.clear()
        else:
            with contextlib.suppress(BlockingIOError):
                del self._unsent[: os.write(descriptor, self._unsent)]
        if not self._unsent:
            self._told_unsent = False

    @staticmethod
    def _hung_up(descriptor: int) -> bool:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return any(found & (select.POLLHUP | select.POLLERR) for _, found in poll.poll(0))

    def _connect(self) -> Exception | None:
        at = self.now()
        try:
            made = self._port()
        except (*_FAULTS, ValueError) as error:
            self._try_at = at + self._wait
            self._wait = min(_LONGEST_WAIT, self._wait * 2)
            if not self._told_away:
                self._told_away = True
                self._waiting.append(PortVanished(at, str(error)))
            if "exclusively lock" in str(error) or "busy" in str(error).lower():
                return PortBusy(f"{self.port} is in use")
            if isinstance(error, ValueError) and not isinstance(error, OSError):
                return WrongSettings(f"{self.port} cannot be set up: {error}")
            return error
        self._serial = made
        descriptor = self.descriptor
        self._is_terminal = descriptor is not None and os.isatty(descriptor)
        self._connected_at = self._looked_at = at
        self._told_away = False
        self._waiting.append(PortReturned(at))
        self.begin(at)
        return None

    def _port(self) -> Any:
        """The port, open and not blocking. Raises _FAULTS; ValueError for what cannot be set."""
        address = urlsplit(self.port)
        if address.scheme == "socket":
            return _SocketPort(address.hostname or "", address.port or 0)
        import serial

        made = serial.serial_for_url(self.port, do_not_open=True, timeout=0, **self._settings)
        if not self._is_url:
            made.exclusive = True
        made.open()
        return made

    def _vanish(self, error: Exception) -> None:
        at = self.now()
        self._let_go()
        self._waiting += self.forget(at)
        # A port that was there for a while is looked for at once; one that flaps less and less.
        if at - self._connected_at >= _LONGEST_WAIT:
            self._wait = _FIRST_WAIT
        self._try_at, self._told_away = at + self._wait, True
        self._wait = min(_LONGEST_WAIT, self._wait * 2)
        self._waiting.append(PortVanished(at, str(error)))

    def _let_go(self) -> None:
        self._unsent.clear()
        self._told_unsent = False
        if self._serial is not None:
            held, self._serial = self._serial, None
            with contextlib.suppress(*_FAULTS):
                held.close()


class _SocketPort:
    """A port at a terminal server. pyserial's own waits 5 s to connect, and 0.3 s to close."""

    def __init__(self, host: str, port: int) -> None:
        if not host or not port:
            raise ValueError("socket://HOST:PORT has a host and a port")
        self._socket = socket.create_connection((host, port), _CONNECTING)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


def text_encoding(name: str) -> str:
    """The name of a character encoding. Raises WrongSettings for one that Python has not."""
    try:
        "x".encode(name).decode(name, "replace")
    except LookupError as error:
        raise WrongSettings(f"{name!r} is no character encoding: {error}") from None
    return name
