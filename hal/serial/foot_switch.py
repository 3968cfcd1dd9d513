"""Foot switches: contacts on the modem lines, or switches that send bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hal.serial.base import PedalPressed, PedalReleased, SerialEvent, WrongSettings
from hal.serial.port import PortDevice

LINES = ("cts", "dsr", "cd", "ri")
"""Modem lines, as pyserial names them."""

_POLL = 0.01


class FootSwitch(PortDevice):
    """Pedals by name.

    `lines` maps a pedal to a modem line (`{"left": "cts"}`), `inverted` names the pedals whose line
    is on while they are up. A line has to stay for `debounce` seconds to count. `pressed` and
    `released` map a pedal to the bytes that say so, for switches that speak; without `released`, a
    pedal comes up as it goes down.
    """

    def __init__(
        self,
        port: str,
        *,
        lines: Mapping[str, str] | None = None,
        inverted: tuple[str, ...] | list[str] = (),
        debounce: float = 0.03,
        pressed: Mapping[str, str] | None = None,
        released: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self._lines = dict(lines or {})
        for pedal, line in self._lines.items():
            if line not in LINES:
                raise WrongSettings(f"{line!r} of pedal {pedal} is none of {', '.join(LINES)}")
        # TIOCMIWAIT would block: the lines are looked at.
        super().__init__(port, poll=_POLL if self._lines else 0.0, **settings)
        self._inverted = frozenset(inverted)
        self._debounce = debounce
        self._words: list[tuple[bytes, str, bool]] = []
        for table, is_down in ((pressed, True), (released, False)):
            for pedal, word in (table or {}).items():
                if not word:
                    raise WrongSettings(f"pedal {pedal} says nothing")
                self._words.append((word.encode("latin-1"), pedal, is_down))
        if not self._lines and not self._words:
            raise WrongSettings("a foot switch has `lines`, or `pressed`")
        self._words.sort(key=lambda each: len(each[0]), reverse=True)
        self._speaks_up = frozenset(released or {})
        self._down: dict[str, bool] = {}
        self._seen: dict[str, tuple[bool, float]] = {}
        self._held = bytearray()

    def look(self, serial: Any, at: float) -> list[SerialEvent]:
        found: list[SerialEvent] = []
        for pedal, line in self._lines.items():
            is_down = bool(getattr(serial, line)) != (pedal in self._inverted)
            state, since = self._seen.get(pedal, (False, at))
            if state != is_down:
                self._seen[pedal] = (is_down, at)
                continue
            self._seen.setdefault(pedal, (is_down, since))
            if is_down != self._down.get(pedal, False) and at - since >= self._debounce:
                self._down[pedal] = is_down
                found.append((PedalPressed if is_down else PedalReleased)(at, pedal))
        return found

    def take(self, data: bytes, at: float) -> list[SerialEvent]:
        self._held += data
        found: list[SerialEvent] = []
        while self._held:
            for word, pedal, is_down in self._words:
                if self._held.startswith(word):
                    del self._held[: len(word)]
                    found += self._said(pedal, is_down, at)
                    break
            else:
                if any(word.startswith(self._held) for word, _, _ in self._words):
                    break  # It may be the beginning of one.
                del self._held[0]
        return found

    def forget(self) -> None:
        self._held.clear()
        # Whoever pulled the plug does not hold the pedal down for ever.
        self._down.clear()
        self._seen.clear()

    def _said(self, pedal: str, is_down: bool, at: float) -> list[SerialEvent]:
        if is_down and pedal not in self._speaks_up:
            return [PedalPressed(at, pedal), PedalReleased(at, pedal)]
        if self._down.get(pedal, False) == is_down:
            return []
        self._down[pedal] = is_down
        return [(PedalPressed if is_down else PedalReleased)(at, pedal)]
