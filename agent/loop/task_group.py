"""Task groups: tasks that end before the block does that started them."""

from __future__ import annotations

from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

from agent.errors import LocalError
from agent.loop.loop import current_loop
from agent.loop.task import Cancelled, Scope, Task, current_task, suspend

T = TypeVar("T")


class TaskGroup:
    """`async with TaskGroup() as group`: the block ends when all its tasks have ended.

    When a task fails, the others and the block itself are cancelled, and its error comes out of the
    block. When the block fails or is cancelled, so are the tasks. Of several errors the first comes
    out and the others are its notes; an error goes before a cancellation, so that none is lost.
    """

    def __init__(self) -> None:
        self._tasks: set[Task[Any]] = set()
        self._error: BaseException | None = None
        self._owner: Task[Any] | None = None
        self._scope: Scope | None = None
        self._ending = False
        self._joining = False

    def __len__(self) -> int:
        return len(self._tasks)

    async def __aenter__(self) -> TaskGroup:
        self._owner = current_task()
        self._scope = Scope()
        self._scope.enter()
        return self

    def start(self, coroutine: Coroutine[Any, Any, T], name: str = "") -> Task[T]:
        """Start a task; its name shows in logs. It never begins when the group is ending."""
        if self._owner is None:
            coroutine.close()
            raise LocalError("the task group is not open")
        loop = current_loop()
        task = Task(loop, coroutine, name or getattr(coroutine, "__qualname__", "task"))
        self._tasks.add(task)
        task.when_done(self._ended)
        loop.schedule(task)
        if self._ending:
            task.cancel()
        return task

    def cancel(self) -> None:
        """Cancel all tasks of the group; the block itself goes on."""
        for task in tuple(self._tasks):
            task.cancel()

    def _end(self) -> None:
        self._ending = True
        self.cancel()

    def _ended(self, task: Task[Any]) -> None:
        self._tasks.discard(task)
        if task.error is not None and not isinstance(task.error, Cancelled):
            self._failed(task.error, f"in {task.name}")
        if self._joining and not self._tasks and self._owner is not None:
            self._owner.wake()

    def _failed(self, error: BaseException, where: str) -> None:
        if self._error is None:
            self._error = error
            self._end()
            if self._scope is not None and not self._joining:
                self._scope.interrupt()
        elif error is not self._error:
            self._error.add_note(f"also, {where}: {error!r}")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        assert self._scope is not None
        self._scope.leave()
        self._joining = True
        if isinstance(error, Cancelled):
            self._end()
        elif error is not None:
            self._failed(error, "in the block")
        interruption = await self._wait_for_all()
        self._owner = None
        if self._error is error and error is not None:
            return False
        if self._error is not None:
            _raise_as_it_is(self._error)
        if interruption is not None and error is None:
            raise interruption
        return False

    async def _wait_for_all(self) -> Cancelled | None:
        """Wait until no task is left, whatever happens; what wanted to end the wait."""
        assert self._owner is not None
        owner = self._owner
        try:
            while self._tasks:
                await suspend()
        except Cancelled:
            self._end()
            owner.shields += 1
            try:
                while self._tasks:
                    await suspend()
            finally:
                owner.shields -= 1
                owner.disturbed = True
            # Not what came first, but what counts by now: an outer limit may have passed as well.
            return owner.interruption()
        return None


def _raise_as_it_is(error: BaseException) -> None:
    # A raise inside `__aexit__` would replace the context in which the task raised its error by the
    # cancellation of the block.
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
        del error, context
