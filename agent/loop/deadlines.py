"""Limits on time: blocks that end by themselves, and blocks that cancellation must not end."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from agent.errors import GantryError
from agent.loop.loop import current_loop
from agent.loop.task import Scope, Task, current_task
from agent.loop.timers import Timer


class TimedOut(GantryError):
    """The block took longer than it was given; `limit` says how long, in seconds."""


class deadline:
    """`with deadline(at)`: raises TimedOut when the block is still running at that moment.

    None sets no limit. The clock is the loop's. An outer limit or a cancellation passes through
    unchanged. It is delivered where the block waits: a block that never waits is not ended.
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
            allowed = "its moment" if self._limit is None else f"{self._limit:g} s"
            raise TimedOut(f"this was not done within {allowed}", limit=self._limit) from None


def timeout(seconds: float | None) -> deadline:
    """`with timeout(seconds)`: a deadline counted from now. None sets no limit."""
    return deadline(None if seconds is None else current_loop().clock.now() + seconds, seconds)


class shielded:
    """`with shielded()`: hold cancellation and outer deadlines back until the block ends.

    For clean-up that waits. Deadlines that are set inside hold, and there should be one.
    """

    __slots__ = ("_task",)

    def __enter__(self) -> None:
        self._task: Task[Any] = current_task()
        self._task.shields += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._task.shields -= 1
        if self._task.cancelling or self._task.scopes:
            self._task.disturbed = True
