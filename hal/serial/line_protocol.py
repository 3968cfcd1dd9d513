"""A protocol of lines, described by data: injectors, C-arms, old ultrasound machines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hal.serial.base import Garbage, LineReceived, SerialEvent, Silence, WrongSettings
from hal.serial.port import PortDevice

_CHECKSUMS: Mapping[str, Callable[[bytes], int]] = {
    "xor": lambda data: _xor(data),
    "sum": lambda data: sum(data) & 0xFF,
    "lrc": lambda data: -sum(data) & 0xFF,
}
_STX, _ETX = 0x02, 0x03


def _xor(data: bytes) -> int:
    found = 0
    for each in data:
        found ^= each
    return found


class LineProtocol(PortDevice):
    """Lines, or frames between STX and ETX, and what is done about each.

    `rules` are tables with `pattern` (a regular expression that fits the whole line, with named
    groups), `action` (start, stop, freeze, capture, patient, ...) and `reply`, in which `{name}` is
    a group. `framing` is "line" (ending with `end`) or "stx-etx", with `checksum` "", "xor", "sum"
    or "lrc" in the byte behind ETX. `polls` are tables with `send` and `every` (seconds). Without a
    frame for `silence` seconds (0: never) there is an event. Frames longer than `longest` bytes
    and frames that no rule knows are told of, and thrown away.
    """

    def __init__(
        self,
        port: str,
        *,
        rules: Sequence[Mapping[str, str]] = (),
        framing: str = "line",
        end: str = "\r\n",
        checksum: str = "",
        polls: Sequence[Mapping[str, Any]] = (),
        silence: float = 0.0,
        longest: int = 1024,
        encoding: str = "ascii",
        **settings: Any,
    ) -> None:
        super().__init__(port, **settings)
        if framing not in ("line", "stx-etx"):
            raise WrongSettings(f"{framing!r} is no framing: line, stx-etx")
        if checksum and checksum not in _CHECKSUMS:
            raise WrongSettings(f"{checksum!r} is no checksum: {', '.join(_CHECKSUMS)}")
        if framing == "line" and not end:
            raise WrongSettings("a line needs an end")
        self._rules = [_rule(each) for each in rules]
        self._is_framed = framing == "stx-etx"
        self._end = end.encode("latin-1")
        self._checksum = _CHECKSUMS[checksum] if checksum else None
        self._polls = [(str(each["send"]), float(each["every"])) for each in polls]
        self._due = [0.0] * len(self._polls)
        self._silence = silence
        self._longest = longest
        self._encoding = encoding
        self._held = bytearray()
        self._heard = self.now()

    def take(self, data: bytes, at: float) -> list[SerialEvent]:
        self._held += data
        found: list[SerialEvent] = []
        while (frame := self._next(at, found)) is not None:
            self._heard = at
            found.append(self._frame(frame, at))
        if len(self._held) > self._longest:
            self._held.clear()
            found.append(Garbage(at, f"more than {self._longest} bytes without an end"))
        return found

    def look(self, serial: Any, at: float) -> list[SerialEvent]:
        for number, (text, every) in enumerate(self._polls):
            if at >= self._due[number]:
                self._due[number] = at + every
                self.send(text)
        if self._silence and at >= self._heard + self._silence:
            self._heard = at
            return [Silence(at)]
        return []

    def next_look(self) -> float | None:
        due = list(self._due)
        if self._silence:
            due.append(self._heard + self._silence)
        return min(due, default=None)

    def forget(self) -> None:
        self._held.clear()
        self._heard = self.now()

    def send(self, text: str) -> None:
        """One frame to the device."""
        body = text.encode(self._encoding, "replace")
        if not self._is_framed:
            self.write(body + self._end)
            return
        framed = body + bytes((_ETX,))
        check = bytes((self._checksum(framed),)) if self._checksum is not None else b""
        self.write(bytes((_STX,)) + framed + check)

    def _next(self, at: float, found: list[SerialEvent]) -> bytes | None:
        """The next whole frame; what is wrong goes to `found`."""
        if not self._is_framed:
            end = self._held.find(self._end)
            if end < 0:
                return None
            line = bytes(self._held[:end])
            del self._held[: end + len(self._end)]
            return line
        while True:
            start = self._held.find(_STX)
            if start != 0 and self._held:
                lost = len(self._held) if start < 0 else start
                del self._held[:lost]
                found.append(Garbage(at, f"{lost} bytes outside a frame"))
            end = self._held.find(_ETX)
            if end < 0:
                return None
            size = end + 1 + (self._checksum is not None)
            if len(self._held) < size:
                return None
            frame = bytes(self._held[:size])
            del self._held[:size]
            body = frame[1:end]
            if self._checksum is None or self._checksum(frame[1 : end + 1]) == frame[-1]:
                return body
            found.append(Garbage(at, "a frame with a wrong checksum"))

    def _frame(self, frame: bytes, at: float) -> SerialEvent:
        text = frame.decode(self._encoding, "replace")
        for pattern, action, reply in self._rules:
            fits = pattern.fullmatch(text)
            if fits is None:
                continue
            values = {name: value for name, value in fits.groupdict().items() if value is not None}
            if reply:
                self.send(_filled(reply, values))
            return LineReceived(at, text, action, values)
        return LineReceived(at, text) if text else Garbage(at, "an empty frame")


def _rule(table: Mapping[str, str]) -> tuple[re.Pattern[str], str, str]:
    unknown = set(table) - {"pattern", "action", "reply"}
    if unknown or not table.get("pattern"):
        raise WrongSettings("a rule has `pattern`, and may have `action` and `reply`")
    try:
        return re.compile(table["pattern"]), table.get("action", ""), table.get("reply", "")
    except re.error as error:
        raise WrongSettings(f"{table['pattern']!r} is no pattern: {error}") from None


def _filled(reply: str, values: Mapping[str, str]) -> str:
    """`{name}` is replaced by the group; what is no group stays as it is."""
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), reply)
