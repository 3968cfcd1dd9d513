"""What most nodes have no use for, made when it is needed first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from agent.loop import Event

Thing = TypeVar("Thing")


class MadeLate(Generic[Thing]):
    """Something that is made when it is needed first."""

    def __init__(self, make: Callable[[], Thing]) -> None:
        self._make = make
        self._made: Thing | None = None
        self._is_needed = Event()

    def get(self) -> Thing:
        """It; whoever waits for it goes on."""
        if self._made is None:
            self._made = self._make()
            self._is_needed.set()
        return self._made

    @property
    def made(self) -> Thing | None:
        """It, if it is there."""
        return self._made

    async def needed(self) -> Thing:
        """It, as soon as anybody else needs it."""
        await self._is_needed.wait()
        return self.get()
