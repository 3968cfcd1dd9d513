"""A panel without hardware: lamps that can be looked at, buttons that can be pressed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from hal.panel.base import ButtonPressed, ButtonReleased, Panel, PanelEvent, Pattern
from hal.panel.lamps import Lamps


class SimulatedPanel(Panel):
    """`lit` says which of `lamps` are lit; `press` presses one of `buttons`."""

    def __init__(
        self,
        *,
        lamps: Sequence[str] = ("ready", "busy", "attention", "media"),
        buttons: Sequence[str] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lit: dict[str, bool] = dict.fromkeys(lamps, False)
        self._buttons = frozenset(buttons)
        self.now = now
        self._lamps = Lamps(self._switch, now)
        self._waiting: list[PanelEvent] = []
        self._is_open = False

    def open(self) -> None:
        self._is_open = True

    def close(self) -> None:
        self._is_open = False
        self._lamps.forget()
        self.lit = dict.fromkeys(self.lit, False)
        self._waiting.clear()

    def show(self, lamp: str, pattern: Pattern) -> None:
        if self._is_open and lamp in self.lit:
            self._lamps.show(lamp, pattern)

    @property
    def descriptor(self) -> int | None:
        return None

    def deadline(self) -> float | None:
        return self._waiting[0].at if self._waiting else self._lamps.deadline()

    def events(self) -> list[PanelEvent]:
        self._lamps.move()
        found, self._waiting = self._waiting, []
        return found

    def press(self, button: str) -> None:
        """Press and release a button."""
        if self._is_open and button in self._buttons:
            self._waiting += (ButtonPressed(self.now(), button), ButtonReleased(self.now(), button))

    def _switch(self, lamp: str, lit: bool) -> None:
        self.lit[lamp] = lit
