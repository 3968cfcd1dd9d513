"""Pedals and readers without hardware: what happens is scripted, or called for."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hal.serial.base import (
    CodeRead,
    PedalPressed,
    PedalReleased,
    PortReturned,
    SerialDevice,
    SerialEvent,
    WrongSettings,
)
from hal.serial.code_patterns import CodePatterns

_LONGEST_LINE = 512


class SimulatedSerial(SerialDevice):
    """A reader and pedals in one.

    `script` is a list of tables with `after` (seconds from `open`) and `read` (a code) or `press`
    (a pedal). `fifo` is the path of a named pipe that is made: each line written to it, `read CODE`
    or `press PEDAL`, is an event, so that a shell can play the operator. Lines of more than 512
    bytes are passed over.
    """

    def __init__(
        self,
        *,
        script: Sequence[Mapping[str, Any]] = (),
        fifo: str = "",
        patterns: Sequence[str] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._script = [(float(each["after"]), _act(each)) for each in script]
        self._script.sort(key=lambda each: each[0])
        self._fifo = fifo
        self._patterns = CodePatterns(patterns)
        self.now = now
        self._opened = 0.0
        self._next = 0
        self._waiting: list[SerialEvent] = []
        self._descriptor: int | None = None
        self._held = b""
        self._is_overlong = False
        self._is_open = False

    def open(self) -> None:
        if self._is_open:
            return
        self._open_fifo()
        self._is_open = True
        self._opened, self._next = self.now(), 0
        self._waiting.append(PortReturned(self._opened))

    def _open_fifo(self) -> None:
        if not self._fifo:
            return
        try:
            if not Path(self._fifo).exists():
                os.mkfifo(self._fifo, 0o600)
            # Open for both: a reader alone would see an end whenever a writer leaves.
            descriptor = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise WrongSettings(f"{self._fifo} cannot be used: {error.strerror}") from error
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise WrongSettings(f"{self._fifo} is no named pipe")
        self._descriptor = descriptor

    def close(self) -> None:
        self._is_open = False
        self._waiting.clear()
        self._held, self._is_overlong = b"", False
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def descriptor(self) -> int | None:
        return self._descriptor

    def deadline(self) -> float | None:
        if not self._is_open:
            return None
        if self._waiting:
            return self._waiting[0].at
        if self._next < len(self._script):
            return self._opened + self._script[self._next][0]
        return None

    def events(self) -> list[SerialEvent]:
        if not self._is_open:
            return []
        at = self.now()
        while self._next < len(self._script) and at >= self._opened + self._script[self._next][0]:
            self._do(*self._script[self._next][1], at)
            self._next += 1
        for line in self._lines():
            word, _, rest = line.partition(" ")
            self._do(word, rest.strip(), at)
        found, self._waiting = self._waiting, []
        return found

    def read(self, code: str) -> None:
        """A code is held before the reader; nothing comes of it while that is closed."""
        if self._is_open:
            self._do("read", code, self.now())

    def press(self, pedal: str) -> None:
        """A pedal is pressed and released; nothing comes of it while that is closed."""
        if self._is_open:
            self._do("press", pedal, self.now())

    def _do(self, act: str, what: str, at: float) -> None:
        if act == "read":
            self._waiting.append(CodeRead(at, what, self._patterns.values_of(what)))
        elif act == "press":
            self._waiting += (PedalPressed(at, what), PedalReleased(at, what))

    def _lines(self) -> list[str]:
        if self._descriptor is None:
            return []
        try:
            self._held += os.read(self._descriptor, 4096)
        except BlockingIOError:
            return []
        *lines, self._held = self._held.split(b"\n")
        if lines and self._is_overlong:
            self._is_overlong = False
            del lines[0]
        if len(self._held) > _LONGEST_LINE:
            self._held, self._is_overlong = b"", True
        short = (line for line in lines if 0 < len(line) <= _LONGEST_LINE)
        return [line.decode("utf-8", "replace") for line in short]


def _act(table: Mapping[str, Any]) -> tuple[str, str]:
    for name in ("read", "press"):
        if name in table:
            return name, str(table[name])
    raise WrongSettings("a line of a script has `after`, and `read` or `press`")
