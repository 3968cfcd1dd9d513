"""Limits on time: blocks that end by themselves, and blocks that cancellation must not end."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType

from agent.errors import GantryError
from agent.loop.loop import current_loop
from agent.loop.task import Scope, current_task
from agent.loop.timers import Timer


class TimedOut(GantryError):
    """The block took longer than it was given; `limit` says how long, in seconds."""


class deadline:
    """`with deadline(at)`: raises TimedOut when the block is still running at that moment.

    None sets no limit. The clock is the loop's. An outer limit or a cancellation passes through
    unchanged.
    """

    __slots__ = ("_at", "_limit", "_scope", "_timer")

    def __init__(self, at: float | None, limit: float | None = None) -> None:
        self._at = at
        self._limit = limit
        self._scope: Scope | None = None
        self._timer: Timer | None = None

    def __enter__(self) -> deadline:
        if self._at is not None:
            self._scope = Scope()
            self._scope.enter()
            self._timer = current_loop().at(self._at, self._scope.interrupt)
        return self

    def move(self, at: float) -> None:
        """Another moment, while the block runs."""
        if self._timer is not None and self._scope is not None:
            self._timer.cancel()
            self._timer = current_loop().at(at, self._scope.interrupt)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._scope is None or self._timer is None:
            return
        self._timer.cancel()
        self._scope.leave()
        if self._scope.owns(error):
            raise TimedOut("the time is over", limit=self._limit) from None


def timeout(seconds: float | None) -> deadline:
    """`with timeout(seconds)`: a deadline counted from now."""
    return deadline(None if seconds is None else current_loop().clock.now() + seconds, seconds)


@contextmanager
def shielded() -> Generator[None, None, None]:
    """Hold cancellation and outer deadlines back until the block ends: for clean-up that waits."""
    task = current_task()
    task.shields += 1
    try:
        yield
    finally:
        task.shields -= 1
        if task.cancelling or task.scopes:
            task.disturbed = True
