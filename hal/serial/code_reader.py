"""Readers of barcodes and cards that send what they read over a serial port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hal.serial.base import CodeRead, Garbage, SerialEvent, WrongSettings
from hal.serial.code_patterns import LONGEST_CODE, CodePatterns
from hal.serial.port import PortDevice, text_encoding


class CodeReader(PortDevice):
    """A reader whose codes end with a suffix, or with a pause.

    `prefix` and `suffix` are taken off; of several suffixes any ends a code. With `pause`, seconds
    without a character end one too: readers without a suffix have that only. `identifier` says that
    codes begin with an AIM symbology identifier (`]C1`), which is taken off. `patterns` are those
    of `CodePatterns`. A code longer than 512 characters is garbage.
    """

    def __init__(
        self,
        port: str,
        *,
        prefix: str = "",
        suffix: str | Sequence[str] = ("\r\n", "\r", "\n"),
        pause: float = 0.0,
        identifier: bool = False,
        encoding: str = "utf-8",
        patterns: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        super().__init__(port, **settings)
        if pause < 0:
            raise WrongSettings(f"{pause} seconds are no pause")
        suffixes = (suffix,) if isinstance(suffix, str) else tuple(suffix)
        self._prefix = prefix.encode()
        self._suffixes = sorted((each.encode() for each in suffixes if each), key=len, reverse=True)
        self._pause = pause or (0.0 if self._suffixes else 0.1)
        self._identifier = identifier
        self._encoding = text_encoding(encoding)
        self._patterns = CodePatterns(patterns)
        self._held = bytearray()
        self._last = 0.0
        self._overrun = False

    def take(self, data: bytes, at: float) -> list[SerialEvent]:
        # An owner that comes late finds two codes at once, and the pause between them over.
        found = self.look(None, at)
        self._held += data
        self._last = at
        while (split := self._split()) is not None:
            code, rest = split
            self._held = bytearray(rest)
            found += self._code(code, at)
        if len(self._held) > LONGEST_CODE * 4:
            self._overrun = True
            self._held.clear()
        return found

    def look(self, serial: Any, at: float) -> list[SerialEvent]:
        if not (self._is_begun() and self._pause and at >= self._last + self._pause):
            return []
        code = bytes(self._held)
        self._held.clear()
        return self._code(code, at)

    def next_look(self) -> float | None:
        return self._last + self._pause if self._pause and self._is_begun() else None

    def forget(self, at: float) -> list[SerialEvent]:
        self._held.clear()
        self._overrun = False
        return []

    def _is_begun(self) -> bool:
        return bool(self._held) or self._overrun

    def _split(self) -> tuple[bytes, bytes] | None:
        """The first code and what follows its suffix."""
        ends = [
            (at, -len(each), each) for each in self._suffixes if (at := self._held.find(each)) >= 0
        ]
        if not ends:
            return None
        at, _, suffix = min(ends)
        return bytes(self._held[:at]), bytes(self._held[at + len(suffix) :])

    def _code(self, raw: bytes, at: float) -> list[SerialEvent]:
        overrun, self._overrun = self._overrun, False
        if overrun or len(raw) > LONGEST_CODE:
            return [Garbage(at, f"a code longer than {LONGEST_CODE} characters")]
        if self._prefix:
            if not raw.startswith(self._prefix):
                return [Garbage(at, "a code without its prefix")] if raw else []
            raw = raw[len(self._prefix) :]
        if self._identifier and raw[:1] == b"]":
            raw = raw[3:]
        text = raw.decode(self._encoding, "replace").strip("\0")
        if not text.strip():
            # A suffix of two characters that came as two suffixes of one.
            return []
        return [CodeRead(at, text, self._patterns.values_of(text))]
