"""A protocol of lines, described by data: injectors, C-arms, old ultrasound machines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hal.serial.base import Garbage, LineReceived, SerialEvent, Silence, WrongSettings
from hal.serial.expressions import compiled
from hal.serial.port import PortDevice, text_encoding

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
    or "lrc" in the byte behind ETX, over all that lies between STX and it. `polls` are tables with
    `send` and `every` (seconds). No frame for `silence` seconds (0: never) is an event too.

    Frames longer than `longest` bytes, cut off, or with a wrong checksum are thrown away whole and
    told of once; no part of one is ever taken for a frame. A frame that no rule knows is told
    without an action. Memory: `longest` bytes and what one read gives (4096).
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
        if longest < 1 or silence < 0:
            raise WrongSettings("`longest` is at least 1, `silence` at least 0")
        self._rules = [_rule(each) for each in rules]
        self._is_framed = framing == "stx-etx"
        self._end = end.encode("latin-1")
        self._checksum = _CHECKSUMS[checksum] if checksum else None
        self._polls = [_poll(each) for each in polls]
        self._due = [0.0] * len(self._polls)
        self._silence = silence
        self._longest = longest
        self._encoding = text_encoding(encoding)
        self._held = bytearray()
        self._heard = self.now()
        # Whether what comes is being thrown away, and was told of.
        self._is_lost = False

    def take(self, data: bytes, at: float) -> list[SerialEvent]:
        self._held += data
        found: list[SerialEvent] = []
        following = self._next_frame if self._is_framed else self._next_line
        while (frame := following(at, found)) is not None:
            self._heard = at
            found.append(self._meaning(frame, at))
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

    def begin(self, at: float) -> None:
        # A device that was away is not silent, and is asked at once.
        self._heard = at
        self._due = [at] * len(self._polls)

    def forget(self, at: float) -> list[SerialEvent]:
        self._held.clear()
        self._is_lost = False
        return []

    def send(self, text: str) -> None:
        """One frame to the device."""
        body = text.encode(self._encoding, "replace")
        if not self._is_framed:
            self.write(body + self._end)
            return
        framed = body + bytes((_ETX,))
        check = bytes((self._checksum(framed),)) if self._checksum is not None else b""
        self.write(bytes((_STX,)) + framed + check)

    def _next_line(self, at: float, found: list[SerialEvent]) -> bytes | None:
        """The next whole line; what is wrong goes to `found`."""
        while True:
            end = self._held.find(self._end)
            if end > self._longest or (
                end < 0 and len(self._held) > self._longest + len(self._end)
            ):
                self._lose(at, f"more than {self._longest} bytes without an end", found)
            if end < 0:
                if self._is_lost:
                    # The beginning of an end may be there already.
                    del self._held[: max(0, len(self._held) - len(self._end) + 1)]
                return None
            line = bytes(self._held[:end])
            del self._held[: end + len(self._end)]
            was_lost, self._is_lost = self._is_lost, False
            if not was_lost:
                return line

    def _next_frame(self, at: float, found: list[SerialEvent]) -> bytes | None:
        """The next whole frame; what is wrong goes to `found`."""
        while True:
            start = self._held.find(_STX)
            if start != 0 and self._held:
                self._lose(at, "bytes outside a frame", found)
                del self._held[: len(self._held) if start < 0 else start]
            if not self._held:
                return None
            end = self._held.find(_ETX)
            # STX is in no text: a frame in which there is another was cut off.
            again = self._held.rfind(_STX, 1, end if end >= 0 else len(self._held))
            if again > 0:
                self._lose(at, "a frame without an end", found)
                del self._held[:again]
            elif end > self._longest + 1 or (end < 0 and len(self._held) > self._longest + 2):
                self._lose(at, f"more than {self._longest} bytes without an end", found)
                del self._held[0]
            elif end < 0 or len(self._held) < end + 1 + (self._checksum is not None):
                return None
            elif (
                self._checksum is None
                or self._checksum(bytes(self._held[1 : end + 1])) == (self._held[end + 1])
            ):
                body = bytes(self._held[1:end])
                del self._held[: end + 1 + (self._checksum is not None)]
                self._is_lost = False
                return body
            else:
                self._lose(at, "a frame with a wrong checksum", found)
                # Where the checksum is missing, its place holds the next frame's STX.
                del self._held[: end + 1]

    def _lose(self, at: float, why: str, found: list[SerialEvent]) -> None:
        if not self._is_lost:
            self._is_lost = True
            found.append(Garbage(at, why))

    def _meaning(self, frame: bytes, at: float) -> SerialEvent:
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
    if unknown or not table.get("pattern") or not all(isinstance(v, str) for v in table.values()):
        raise WrongSettings("a rule has the text `pattern`, and may have `action` and `reply`")
    return compiled(table["pattern"]), table.get("action", ""), table.get("reply", "")


def _poll(table: Mapping[str, Any]) -> tuple[str, float]:
    if set(table) != {"send", "every"} or not float(table["every"]) > 0:
        raise WrongSettings("a poll has `send`, and `every` of more than 0 seconds")
    return str(table["send"]), float(table["every"])


def _filled(reply: str, values: Mapping[str, str]) -> str:
    """`{name}` is replaced by the group; what is no group stays as it is."""
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), reply)
