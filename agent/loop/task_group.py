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
    block; further errors are added to it as notes. When the block fails or is cancelled, so are the
    tasks.
    """

    def __init__(self) -> None:
        self._tasks: set[Task[Any]] = set()
        self._error: BaseException | None = None
        self._owner: Task[Any] | None = None
        self._scope: Scope | None = None
        self._joining = False

    def __len__(self) -> int:
        return len(self._tasks)

    async def __aenter__(self) -> TaskGroup:
        self._owner = current_task()
        self._scope = Scope()
        self._scope.enter()
        return self

    def start(self, coroutine: Coroutine[Any, Any, T], name: str = "") -> Task[T]:
        """Start a task; its name shows in logs."""
        if self._owner is None:
            coroutine.close()
            raise LocalError("the task group is not open")
        task = current_loop().start(coroutine, name or getattr(coroutine, "__qualname__", "task"))
        self._tasks.add(task)
        task.when_done(self._ended)
        return task

    def cancel(self) -> None:
        """Cancel all tasks of the group; the block itself goes on."""
        for task in tuple(self._tasks):
            task.cancel()

    def _ended(self, task: Task[Any]) -> None:
        self._tasks.discard(task)
        if task.error is not None and not isinstance(task.error, Cancelled):
            if self._error is None:
                self._error = task.error
                self.cancel()
                if self._scope is not None and not self._joining:
                    self._scope.interrupt()
            elif task.error is not self._error:
                self._error.add_note(f"also, in {task.name}: {task.error!r}")
        if self._joining and not self._tasks and self._owner is not None:
            self._owner.wake()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        assert self._owner is not None
        assert self._scope is not None
        if error is not None:
            self.cancel()
        self._scope.leave()
        self._joining = True
        owner = self._owner
        interruption: BaseException | None = None
        while self._tasks:
            try:
                await suspend()
            except Cancelled as cancelled:
                # Pass it on, and still wait: nothing of the group outlives the block.
                interruption = cancelled
                self.cancel()
                owner.shields += 1
                try:
                    while self._tasks:
                        await suspend()
                finally:
                    owner.shields -= 1
                    owner.disturbed = True
        self._owner = None
        if self._error is not None and (
            error is None
            or self._scope.owns(error)
            or (isinstance(error, Cancelled) and not owner.cancelling)
        ):
            raise self._error
        if interruption is not None and error is None:
            raise interruption
        return False
