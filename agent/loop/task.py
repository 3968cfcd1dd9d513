"""Tasks: coroutines on the loop, how they wait, and how a wait is interrupted.

A task waits by yielding from `suspend`; whoever it waits for wakes it. It is interrupted from two
sides: it was cancelled, or a deadline around the wait has passed. Either is delivered where the
task waits, and again at each later wait until the block that it ends is left (`finally` blocks that
must wait do so inside `with shielded()`). So no wait can swallow an interruption, and code that
catches `Cancelled` by mistake is told again.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from agent.errors import LocalError
from agent.quoting import quoted

if TYPE_CHECKING:
    from agent.loop.loop import Loop

T = TypeVar("T")


class Cancelled(BaseException):
    """Thrown into a task that shall end; let it pass. `scope` is what it shall end, None: all."""

    scope: object = None


class Scope:
    """A block of a task that can be interrupted on its own: a deadline, or a task group's body."""

    __slots__ = ("depth", "interrupted", "task")

    def __init__(self) -> None:
        self.task: Task[Any] = current_task()
        self.depth = self.task.shields
        self.interrupted = False

    def enter(self) -> None:
        """From here on the block can be interrupted."""
        self.task.scopes.append(self)

    def leave(self) -> None:
        """The block has ended."""
        self.task.scopes.remove(self)

    def interrupt(self) -> None:
        """End the block: `Cancelled` is thrown where it waits, with this scope."""
        if not self.interrupted:
            self.interrupted = True
            self.task.disturb()

    def owns(self, error: BaseException | None) -> bool:
        """Whether `error` is the interruption of just this block."""
        return isinstance(error, Cancelled) and error.scope is self


class Task(Generic[T]):
    """One coroutine on the loop. Made by `TaskGroup.start`."""

    __slots__ = (
        "__weakref__",
        "_abandon",
        "_loop",
        "_on_done",
        "_waiting",
        "cancelling",
        "coroutine",
        "disturbed",
        "done",
        "error",
        "name",
        "scopes",
        "shields",
        "value",
    )

    def __init__(self, loop: Loop, coroutine: Coroutine[Any, Any, T], name: str) -> None:
        self.coroutine = coroutine
        self.name = name
        self.done = False
        self.value: T | None = None
        self.error: BaseException | None = None
        self.cancelling = False
        self.disturbed = False
        self.shields = 0
        self.scopes: list[Scope] = []
        self._loop = loop
        self._waiting = False
        self._abandon: Callable[[], None] | None = None
        self._on_done: list[Callable[[Task[Any]], None]] = []

    def __repr__(self) -> str:
        state = "done" if self.done else "waiting" if self._waiting else "ready"
        return f"<task {self.name}, {state}>"

    def cancel(self) -> None:
        """End the task: `Cancelled` is thrown where it waits. Does nothing when it is done.

        A task that has not begun never does.
        """
        if not self.done and not self.cancelling:
            self.cancelling = True
            self.disturb()

    def when_done(self, call: Callable[[Task[Any]], None]) -> None:
        """Call `call(task)` when the task ends; at once when it has."""
        if self.done:
            call(self)
        else:
            self._on_done.append(call)

    async def join(self) -> T:
        """Wait until the task is done; its value, or what it raised.

        Raises LocalError when it was cancelled: that is not the cancellation of the one who waits.
        """
        if not self.done:
            waiter = current_task()

            def wake(_: Task[Any]) -> None:
                waiter.wake()

            def abandon() -> None:
                # Not there any more when the end of this very task is what ends the wait.
                if wake in self._on_done:
                    self._on_done.remove(wake)

            self._on_done.append(wake)
            await suspend(abandon)
        if isinstance(self.error, Cancelled):
            raise LocalError(f"the task {self.name} was cancelled")
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]

    def disturb(self) -> None:
        """Something about cancellation changed: look at it now, or at the next wait."""
        self.disturbed = True
        if self._waiting and self.interruption() is not None:
            self._stop_waiting()
            self._loop.schedule(self)

    def interruption(self) -> Cancelled | None:
        """What is to be thrown into the task where it stands; None when all is shielded or calm.

        Of several blocks that shall end, the outermost: its interruption passes through the others.
        """
        if self.cancelling and not self.shields:
            return Cancelled(f"{self.name} was cancelled")
        pending = False
        for scope in self.scopes:
            if scope.interrupted:
                pending = True
                if scope.depth >= self.shields:
                    error = Cancelled(f"a block of {self.name} was interrupted")
                    error.scope = scope
                    return error
        self.disturbed = pending or self.cancelling
        return None

    def wake(self) -> None:
        """Go on from the wait; does nothing when the task does not wait."""
        if self._waiting:
            self._waiting = False
            self._abandon = None
            self._loop.schedule(self)

    def wait(self, abandon: Callable[[], None] | None) -> None:
        """Count as waiting from now on; whoever calls this yields next.

        Raises Cancelled when the task shall end, without having waited.
        """
        if self.disturbed:
            interruption = self.interruption()
            if interruption is not None:
                if abandon is not None:
                    abandon()
                raise interruption
        self._waiting = True
        self._abandon = abandon

    def _stop_waiting(self) -> None:
        self._waiting = False
        abandon, self._abandon = self._abandon, None
        if abandon is not None:
            abandon()

    def step(self, error: BaseException | None = None) -> None:
        """Run until the next wait or the end; with `error`, that is thrown in where it waits.

        Raises what is neither an error nor a cancellation, KeyboardInterrupt for one, when the task
        has ended by it.
        """
        global _current
        _current = self
        if self.disturbed and error is None:
            error = self.interruption()
        try:
            coroutine = self.coroutine
            foreign = coroutine.send(None) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            self._finish(stop.value, None)
        except BaseException as ended_by:
            self._finish(None, ended_by)
            if not isinstance(ended_by, (Exception, Cancelled)):
                raise
        else:
            if foreign is not None:
                # Nobody would ever wake it: the wait belongs to another loop.
                self.step(
                    LocalError(f"{self.name} waits for what is not of this loop: {quoted(foreign)}")
                )

    def _finish(self, value: T | None, error: BaseException | None) -> None:
        self.done = True
        self.value = value
        self.error = error
        calls, self._on_done = self._on_done, []
        for call in calls:
            call(self)


_current: Task[Any] | None = None


def no_current_task() -> None:
    """The loop does its own work: no task runs."""
    global _current
    _current = None


def current_task() -> Task[Any]:
    """The task that runs. Raises LocalError outside of a loop."""
    if _current is None:
        raise LocalError("no task is running: this works on the loop only")
    return _current


@types.coroutine
def suspend(abandon: Callable[[], None] | None = None) -> Generator[None, None, None]:
    """Wait until someone calls `wake` on this task; `abandon` undoes the wait when interrupted."""
    current_task().wait(abandon)
    yield
