"""Readers that pretend to be a keyboard (wedge), through the kernel's event interface.

The device is grabbed, so that no code is typed into a console or a login. Structures and numbers
are those of linux/input.h; `struct input_event` begins with a time of two longs.

A code of which a key was lost or has no meaning is no code: a patient is not to be taken for
another for want of a digit. It is told of as Garbage, up to its end.
"""

from __future__ import annotations

import errno
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
    SerialError,
    SerialEvent,
    WrongSettings,
)
from hal.serial.code_patterns import LONGEST_CODE, CodePatterns

INPUT_EVENT = struct.Struct("llHHi")
EV_SYN, EV_KEY = 0x00, 0x01
SYN_REPORT, SYN_DROPPED = 0, 3
EVIOCGRAB = 0x40044590
KEYS_SIZE = 96
"""Bytes of a bit for each key (KEY_CNT)."""
EVIOCGKEY = 2 << 30 | KEYS_SIZE << 16 | 0x45 << 8 | 0x18
_ENDS = frozenset((28, 96, 15))  # Enter, Enter of the keypad, Tab.
_SHIFTS = frozenset((42, 54))
_CONTROLS = frozenset((29, 97))
_ALT, _ALT_GRAPH = 56, 100
_MODIFIERS = _SHIFTS | _CONTROLS | {_ALT, _ALT_GRAPH}
_LOCKS = frozenset((58, 69, 70))  # Caps, Num, Scroll: a reader sets its own.
_NAMES = Path("/sys/class/input")
_KEYS_OF_A_READER = sum(1 << code for code in (*range(2, 12), 28))
"""The digits and Enter; a power button and a mouse have not both."""

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
_KEYPAD |= {79: "1", 80: "2", 81: "3", 82: "0", 55: "*", 98: "/"}
_THIRD_GERMAN = {3: "²", 4: "³", 8: "{", 9: "[", 10: "]", 11: "}", 12: "\\"}
_THIRD_GERMAN |= {16: "@", 18: "€", 27: "~", 50: "µ", 86: "|"}


def _map(
    rows: Sequence[tuple[int, str, str]], point: str, third: Mapping[int, str]
) -> dict[int, tuple[str, str, str]]:
    found = {57: (" ", " ", ""), 83: (point, point, ""), 86: ("<", ">", third.get(86, ""))}
    found |= {code: (each, each, "") for code, each in _KEYPAD.items()}
    for first, plain, shifted in rows:
        for code, (one, other) in enumerate(zip(plain, shifted, strict=True), first):
            found[code] = (one, other, third.get(code, ""))
    return found


KEYMAPS: Mapping[str, Mapping[int, tuple[str, str, str]]] = {
    "us": _map(_ROWS_US, ".", {}),
    "de": _map(_ROWS_GERMAN, ",", _THIRD_GERMAN),
}
"""Key code to what it types alone, with Shift, and with Alt Gr ("": nothing)."""


class KeyboardReader(SerialDevice):
    """A wedge at an event device: its path, or a part of its name ("Barcode").

    A code ends with Enter or Tab, or after `pause` seconds (0: never). `keymap` is what the reader
    is set to: "us" or "de". Control characters, such as the separator of GS1 (Ctrl and `]`), are
    those of the keymap's letters.
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
        if pause < 0 or not device:
            raise WrongSettings("a keyboard has a path or a name, and a `pause` of 0 or more")
        self._device = device
        self._keys = KEYMAPS[keymap]
        self._pause = pause
        self._patterns = CodePatterns(patterns)
        self.now = now
        self._descriptor: int | None = None
        self._is_open = False
        self._modifiers: set[int] = set()
        self._held = ""
        self._spoiled = ""
        self._is_dropping = False
        self._last = 0.0
        self._try_at = 0.0
        self._told_away = False
        self._waiting: list[SerialEvent] = []

    def open(self) -> None:
        if self._is_open:
            return
        self._is_open, self._told_away = True, False
        error = self._connect()
        if isinstance(error, SerialError):
            self.close()
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
            return self._waiting[0].at
        if self._descriptor is None:
            return self._try_at
        return self._last + self._pause if self._is_begun() and self._pause else None

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
            self._waiting += self._pause_over(at)
        found, self._waiting = self._waiting, []
        return found

    def take(self, data: bytes, at: float) -> list[SerialEvent]:
        """Events of the kernel; a part of one at the end is not given by it."""
        # An owner that comes late finds two codes at once, and the pause between them over.
        found = self._pause_over(at) if data else []
        whole = len(data) - len(data) % INPUT_EVENT.size
        for _, _, kind, code, value in INPUT_EVENT.iter_unpack(data[:whole]):
            if kind == EV_SYN:
                self._synchronise(code, at)
            elif kind != EV_KEY or self._is_dropping:
                continue
            elif code in _MODIFIERS:
                (self._modifiers.add if value else self._modifiers.discard)(code)
            elif value != 1 or code in _LOCKS:
                continue  # Released, or held down: a reader types.
            elif code in _ENDS:
                found += self._end(at)
            else:
                self._type(code, at)
        return found

    def _synchronise(self, code: int, at: float) -> None:
        """After SYN_DROPPED all is void up to the next SYN_REPORT, the keys held down included."""
        if code == SYN_DROPPED:
            self._is_dropping = True
            self._spoil("keys were lost", at)
        elif code == SYN_REPORT and self._is_dropping:
            self._is_dropping = False
            self._modifiers = self._modifiers_held()

    def _modifiers_held(self) -> set[int]:
        if self._descriptor is None:
            return set()
        keys = bytearray(KEYS_SIZE)
        try:
            fcntl.ioctl(self._descriptor, EVIOCGKEY, keys)
        except OSError:
            return set()
        return {code for code in _MODIFIERS if keys[code // 8] >> code % 8 & 1}

    def _type(self, code: int, at: float) -> None:
        self._last = at
        typed = self._typed(code)
        if not typed:
            self._spoil(f"a key without a meaning ({code})", at)
        elif not self._spoiled:
            self._held += typed
            if len(self._held) > LONGEST_CODE:
                self._spoil(f"a code longer than {LONGEST_CODE} characters", at)

    def _typed(self, code: int) -> str:
        """What a key types with the modifiers that are held; nothing where that has no meaning."""
        levels = self._keys.get(code)
        if levels is None or _ALT in self._modifiers:
            return ""
        level = 2 if _ALT_GRAPH in self._modifiers else 1 if self._modifiers & _SHIFTS else 0
        typed = levels[level]
        if typed and self._modifiers & _CONTROLS:
            capital = typed.upper()
            return chr(ord(capital) & 0x1F) if "@" <= capital <= "_" else ""
        return typed

    def _spoil(self, why: str, at: float) -> None:
        self._held, self._last = "", at
        self._spoiled = self._spoiled or why

    def _is_begun(self) -> bool:
        return bool(self._held or self._spoiled)

    def _pause_over(self, at: float) -> list[SerialEvent]:
        return self._end(at) if self._pause and at >= self._last + self._pause else []

    def _end(self, at: float) -> list[SerialEvent]:
        text, why = self._held, self._spoiled
        self._held = self._spoiled = ""
        if why:
            return [Garbage(at, why)]
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
            if error.errno == errno.EBUSY:
                return PortBusy(f"{self._device} is in use: {error.strerror}")
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                return WrongSettings(f"{path} is no input device: {error.strerror}")
            return error
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
        self._told_away = False
        self._away(self.now(), error)

    def _let_go(self) -> None:
        self._held = self._spoiled = ""
        self._modifiers.clear()
        self._is_dropping = False
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


def keyboards() -> dict[str, str]:
    """Those of `devices` that can type digits and Enter: keyboards, and readers that pretend."""
    found = {}
    for path, name in devices().items():
        try:
            words = (_NAMES / Path(path).name / "device" / "capabilities" / "key").read_text()
        except OSError:
            continue
        # Words of the kernel's length, the highest first; all these keys are in the last.
        if words.split() and int(words.split()[-1], 16) & _KEYS_OF_A_READER == _KEYS_OF_A_READER:
            found[path] = name
    return found
