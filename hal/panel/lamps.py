"""Which lamps are lit when: what all panels have in common."""

from __future__ import annotations

from collections.abc import Callable

from hal.panel.base import Pattern


class Lamps:
    """The patterns of some lamps, and a function that switches one."""

    def __init__(self, switch: Callable[[str, bool], None], now: Callable[[], float]) -> None:
        self._switch = switch
        self._now = now
        self._shown: dict[str, tuple[Pattern, float]] = {}
        self._lit: dict[str, bool] = {}

    def show(self, lamp: str, pattern: Pattern) -> None:
        """From now on; the same pattern again changes nothing."""
        if self._shown.get(lamp, (None, 0.0))[0] is not pattern:
            self._shown[lamp] = (pattern, self._now())
            self.move()

    def move(self) -> None:
        """Switch what has to be switched."""
        at = self._now()
        for lamp, (pattern, since) in self._shown.items():
            lit = pattern.is_lit(at - since)
            if lit != self._lit.get(lamp, False):
                self._lit[lamp] = lit
                self._switch(lamp, lit)

    def deadline(self) -> float | None:
        """When the next lamp changes."""
        at = self._now()
        waits = [
            wait
            for pattern, since in self._shown.values()
            if (wait := pattern.next_change(at - since)) is not None
        ]
        return at + min(waits) if waits else None

    def forget(self) -> None:
        """All are off, and nothing is shown."""
        self._shown.clear()
        self._lit.clear()
