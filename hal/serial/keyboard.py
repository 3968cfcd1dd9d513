"""Readers that pretend to be a keyboard (wedge), through the kernel's event interface.

The device is grabbed, so that no code is typed into a console or a login. Structures and numbers
are those of linux/input.h; `struct input_event` begins with a time of two longs.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hal.serial.base import (
    CodeRead,
    Garbage,
    PortBusy,
    PortReturned,
    PortVanished,
    SerialDevice,
    SerialEvent,
    WrongSettings,
)
from hal.serial.code_patterns import LONGEST_CODE, CodePatterns

INPUT_EVENT = struct.Struct("llHHi")
EV_KEY = 0x01
EVIOCGRAB = 0x40044590
_KEY_ENTER, _KEY_KPENTER, _KEY_TAB = 28, 96, 15
_SHIFTS = frozenset((42, 54))
_NAMES = Path("/sys/class/input")

# Key codes of the rows of a keyboard, and what stands on them.
_ROWS_US = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
)
_ROWS_GERMAN = (
    (2, "1234567890ß´", '!"§$%&/()=?`'),
    (16, "qwertzuiopü+", "QWERTZUIOPÜ*"),
    (30, "asdfghjklöä^", "ASDFGHJKLÖÄ°"),
    (43, "#yxcvbnm,.-", "'YXCVBNM;:_"),
)
_KEYPAD = {71: "7", 72: "8", 73: "9", 74: "-", 75: "4", 76: "5", 77: "6", 78: "+"}
_KEYPAD |= {79: "1", 80: "2", 81: "3", 82: "0", 83: ".", 55: "*", 98: "/"}


def _map(rows: Sequence[tuple[int, str, str]]) -> dict[int, tuple[str, str]]:
    found = {57: (" ", " "), **{code: (each, each) for code, each in _KEYPAD.items()}}
    for first, plain, shifted in rows:
        for index, pair in enumerate(zip(plain, shifted, strict=True)):
            found[first + index] = pair
    return found


KEYMAPS: Mapping[str, Mapping[int, tuple[str, str]]] = {
    "us": _map(_ROWS_US),
    "de": _map(_ROWS_GERMAN),
}
"""Key code to what it types alone and with shift."""


class KeyboardReader(SerialDevice):
    """A wedge at an event device: its path, or a part of its name ("Barcode").

    A code ends with Enter or Tab, or after `pause` seconds (0: never). `keymap` is what the reader
    is set to: "us" or "de".
    """

    def __init__(
        self,
        device: str,
        *,
        keymap: str = "us",
        pause: float = 0.5,
        patterns: Sequence[str] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        if keymap not in KEYMAPS:
            raise WrongSettings(f"{keymap!r} is no keymap: {', '.join(KEYMAPS)}")
        self._device = device
        self._keys = KEYMAPS[keymap]
        self._pause = pause
        self._patterns = CodePatterns(patterns)
        self.now = now
        self._descriptor: int | None = None
        self._is_open = False
        self._shifts: set[int] = set()
        self._held = ""
        self._last = 0.0
        self._try_at = 0.0
        self._told_away = False
        self._waiting: list[SerialEvent] = []

    def open(self) -> None:
        self._is_open, self._told_away = True, False
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
        return self._descriptor

    def deadline(self) -> float | None:
        if not self._is_open:
            return None
        if self._waiting:
            return self.now()
        if self._descriptor is None:
            return self._try_at
        return self._last + self._pause if self._held and self._pause else None

    def events(self) -> list[SerialEvent]:
        if not self._is_open:
            return []
        at = self.now()
        if self._descriptor is None and at >= self._try_at:
            self._connect()
        if self._descriptor is not None:
            try:
                data = os.read(self._descriptor, INPUT_EVENT.size * 64)
            except BlockingIOError:
                data = b""
            except OSError as error:
                self._vanish(error)
                data = b""
            self._waiting += self.take(data, at)
            if self._held and self._pause and at >= self._last + self._pause:
                self._waiting += self._end(at)
        found, self._waiting = self._waiting, []
        return found

    def take(self, data: bytes, at: float) -> list[SerialEvent]:
        """Events of the kernel; a part of one at the end is not given by it."""
        found: list[SerialEvent] = []
        whole = len(data) - len(data) % INPUT_EVENT.size
        for _, _, kind, code, value in INPUT_EVENT.iter_unpack(data[:whole]):
            if kind != EV_KEY:
                continue
            if code in _SHIFTS:
                (self._shifts.add if value else self._shifts.discard)(code)
            elif value != 1:
                continue  # Released, or held down: a reader types.
            elif code in (_KEY_ENTER, _KEY_KPENTER, _KEY_TAB):
                found += self._end(at)
            elif code in self._keys:
                self._held += self._keys[code][1 if self._shifts else 0]
                self._last = at
                if len(self._held) > LONGEST_CODE:
                    self._held = ""
                    found.append(Garbage(at, f"a code longer than {LONGEST_CODE} characters"))
        return found

    def _end(self, at: float) -> list[SerialEvent]:
        text, self._held = self._held, ""
        return [CodeRead(at, text, self._patterns.values_of(text))] if text else []

    def _connect(self) -> Exception | None:
        at = self.now()
        try:
            path = find(self._device)
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return self._away(at, error)
        try:
            fcntl.ioctl(descriptor, EVIOCGRAB, 1)
        except OSError as error:
            os.close(descriptor)
            self._away(at, error)
            return PortBusy(f"{self._device} is in use: {error.strerror}")
        self._descriptor, self._told_away = descriptor, False
        self._waiting.append(PortReturned(at))
        return None

    def _away(self, at: float, error: Exception) -> Exception:
        self._try_at = at + 1.0
        if not self._told_away:
            self._told_away = True
            self._waiting.append(PortVanished(at, str(error)))
        return error

    def _vanish(self, error: Exception) -> None:
        self._let_go()
        self._held = ""
        self._shifts.clear()
        self._told_away = False
        self._away(self.now(), error)

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def find(device: str) -> str:
    """The path of an event device: as it is, or by a part of its name. Raises OSError."""
    if device.startswith("/"):
        return device
    for path, name in devices().items():
        if device.lower() in name.lower():
            return path
    raise FileNotFoundError(2, f"no input device is called {device}")


def devices() -> dict[str, str]:
    """All event devices with their names."""
    found: dict[str, str] = {}
    for entry in sorted(_NAMES.glob("event*")):
        try:
            found[f"/dev/input/{entry.name}"] = (entry / "device" / "name").read_text().strip()
        except OSError:
            continue  # It went while we looked.
    return found
