"""Foot switches: contacts on the modem lines, or switches that send bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
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
    pedal comes up as it goes down; pedals may share the word for coming up. No word may be the
    beginning of another: it would be understood before the other is there. A pedal that is down
    as the port goes comes up.
    """

    def __init__(
        self,
        port: str,
        *,
        lines: Mapping[str, str] | None = None,
        inverted: Sequence[str] = (),
        debounce: float = 0.03,
        pressed: Mapping[str, str] | None = None,
        released: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self._lines = dict(lines or {})
        for pedal, line in self._lines.items():
            if line not in LINES:
                raise WrongSettings(f"{line!r} of pedal {pedal} is none of {', '.join(LINES)}")
        if self._lines and port.startswith("socket://"):
            raise WrongSettings(f"{port} has no modem lines")
        if isinstance(inverted, str) or not set(inverted) <= set(self._lines):
            raise WrongSettings("`inverted` is a list of pedals that are in `lines`")
        if debounce < 0:
            raise WrongSettings(f"{debounce} seconds are no time")
        # TIOCMIWAIT would block: the lines are looked at.
        super().__init__(port, poll=_POLL if self._lines else 0.0, **settings)
        self._inverted = frozenset(inverted)
        self._debounce = debounce
        self._words = _words(pressed or {}, released or {})
        if not self._lines and not self._words:
            raise WrongSettings("a foot switch has `lines`, or `pressed`")
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
            for word, meanings in self._words.items():
                if self._held.startswith(word):
                    del self._held[: len(word)]
                    for pedal, is_down in meanings:
                        found += self._said(pedal, is_down, at)
                    break
            else:
                if any(word.startswith(self._held) for word in self._words):
                    break  # It may be the beginning of one.
                del self._held[0]
        return found

    def forget(self, at: float) -> list[SerialEvent]:
        # Whoever pulled the plug does not hold the pedal down for ever.
        held = [pedal for pedal, is_down in self._down.items() if is_down]
        self._held.clear()
        self._down.clear()
        self._seen.clear()
        return [PedalReleased(at, pedal) for pedal in held]

    def _said(self, pedal: str, is_down: bool, at: float) -> list[SerialEvent]:
        if is_down and pedal not in self._speaks_up:
            return [PedalPressed(at, pedal), PedalReleased(at, pedal)]
        if self._down.get(pedal, False) == is_down:
            return []
        self._down[pedal] = is_down
        return [(PedalPressed if is_down else PedalReleased)(at, pedal)]


def _words(
    pressed: Mapping[str, str], released: Mapping[str, str]
) -> dict[bytes, list[tuple[str, bool]]]:
    """What a word says: which pedals, and whether they are down. Raises WrongSettings."""
    found: dict[bytes, list[tuple[str, bool]]] = {}
    for table, is_down in ((pressed, True), (released, False)):
        for pedal, word in table.items():
            if not word or any(ord(each) > 0xFF for each in word):
                raise WrongSettings(f"what pedal {pedal} says has to be bytes: {word!r}")
            meanings = found.setdefault(word.encode("latin-1"), [])
            meanings.append((pedal, is_down))
            if len(meanings) > 1 and any(goes_down for _, goes_down in meanings):
                raise WrongSettings(f"{word!r} says that {meanings[0][0]} is pressed, and more")
    if unheard := set(released) - set(pressed):
        raise WrongSettings(f"pedals {', '.join(sorted(unheard))} come up but never go down")
    for one, other in permutations(found, 2):
        if other.startswith(one):
            raise WrongSettings(f"{one!r} is the beginning of {other!r}: which is it?")
    return found
