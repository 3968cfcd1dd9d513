"""The loop: one thread that gives each task its turn, and waits for descriptors and timers.

A lap polls the kernel, rings the timers that are due, and runs every task that is ready at its
start once; what becomes ready meanwhile runs in the next lap. So neither tasks, nor timers, nor
descriptors can starve each other.
"""

from __future__ import annotations

import selectors
import time
import types
from collections import deque
from collections.abc import Coroutine, Generator
from typing import Any, Protocol, TypeVar

from agent import observation
from agent.errors import LocalError
from agent.loop.clock import Clock, ManualClock, MonotonicClock
from agent.loop.lag import Lag
from agent.loop.task import Cancelled, Task, current_task, set_current, suspend
from agent.loop.timers import Timer, Timers

T = TypeVar("T")
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class HasDescriptor(Protocol):
    def fileno(self) -> int: ...


class _Waiters:
    """Who waits on a descriptor, and for what it stands in the selector."""

    __slots__ = ("events", "reader", "writer")

    def __init__(self) -> None:
        self.events = 0
        self.reader: Task[Any] | None = None
        self.writer: Task[Any] | None = None


_running: Loop | None = None


def current_loop() -> Loop:
    """The loop that runs in this process. Raises LocalError when there is none."""
    if _running is None:
        raise LocalError("no loop is running")
    return _running


class Loop:
    """A single-threaded loop over `selectors`.

    `turn_budget` is the CPU time in seconds after which `turn()` gives way. `lag` has the figures.
    """

    def __init__(self, clock: Clock | None = None, turn_budget: float = 0.005) -> None:
        self.clock: Clock = clock if clock is not None else MonotonicClock()
        self.turn_budget = turn_budget
        self.lag = Lag(max(turn_budget, 0.05))
        self._ready: deque[Task[Any]] = deque()
        self._timers = Timers()
        self._selector = selectors.DefaultSelector()
        self._waiters: dict[int, _Waiters] = {}
        self._waiting = 0
        self._background: set[Task[Any]] = set()
        self._turn_started = 0.0

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` until it ends; then cancel what is left and wait for it."""
        global _running
        if _running is not None:
            main.close()
            raise LocalError("a loop is running already; it is not re-entrant")
        _running = self
        task = self.start(main, "main")
        try:
            try:
                self._until_done(task)
            except BaseException:
                task.cancel()
                self._until_done(task)
                raise
            finally:
                while self._background:
                    rest = next(iter(self._background))
                    rest.cancel()
                    self._until_done(rest)
                    self._background.discard(rest)
        finally:
            _running = None
            self._selector.close()
            self._waiters.clear()
        if task.error is not None:
            raise task.error
        return task.value  # type: ignore[return-value]

    def start(self, coroutine: Coroutine[Any, Any, T], name: str) -> Task[T]:
        """A task without an owner; use a `TaskGroup` wherever there can be one."""
        task = Task(self, coroutine, name)
        self._ready.append(task)
        return task

    def start_background(self, coroutine: Coroutine[Any, Any, Any], name: str) -> Task[Any]:
        """A task that belongs to the loop itself and is cancelled when the loop ends."""
        task = self.start(coroutine, name)
        self._background.add(task)
        task.when_done(self._background_done)
        return task

    def _background_done(self, task: Task[Any]) -> None:
        self._background.discard(task)
        if task.error is not None and not isinstance(task.error, Cancelled):
            observation.error("background task failed", task=task.name, error=task.error)

    def schedule(self, task: Task[Any]) -> None:
        self._ready.append(task)

    def at(self, when: float, call: Any) -> Timer:
        """Call `call()` at the moment `when` of the loop's clock."""
        return self._timers.add(when, call)

    def _until_done(self, task: Task[Any]) -> None:
        ready, timers, clock = self._ready, self._timers, self.clock
        while not task.done:
            lap_started = time.monotonic()
            timers.ring(clock.now())
            self._run(len(ready))
            self.lag.lap(time.monotonic() - lap_started)
            if not task.done:
                self._poll()

    def _run(self, number: int) -> None:
        ready, lag, budget = self._ready, self.lag, self.turn_budget
        self._turn_started = started = time.thread_time()
        try:
            for _ in range(number):
                task = ready.popleft()
                set_current(task)
                task.step()
                ended = time.thread_time()
                used = ended - started
                if used > lag.longest_turn:
                    lag.longest_turn = used
                if used > budget:
                    lag.turns_over_budget += 1
                self._turn_started = started = ended
        finally:
            set_current(None)

    def _poll(self) -> None:
        timeout: float | None = 0.0
        if not self._ready:
            at = self._timers.next_at()
            timeout = None if at is None else max(0.0, at - self.clock.now())
            if at is not None and isinstance(self.clock, ManualClock) and timeout:
                if self._waiting and self._select(self.clock.grace):
                    return
                self.clock.move_to(at)
                timeout = 0.0
            elif timeout is None and not self._waiting:
                raise LocalError("every task waits, and nothing is left that could wake one")
        self._select(timeout)

    def _select(self, timeout: float | None) -> bool:
        woken = False
        for key, events in self._selector.select(timeout):
            waiters: _Waiters = key.data
            unwanted = 0
            if events & READ:
                if waiters.reader is not None:
                    task, waiters.reader = waiters.reader, None
                    self._waiting -= 1
                    task.wake()
                    woken = True
                else:
                    unwanted |= READ
            if events & WRITE:
                if waiters.writer is not None:
                    task, waiters.writer = waiters.writer, None
                    self._waiting -= 1
                    task.wake()
                    woken = True
                else:
                    unwanted |= WRITE
            if unwanted:
                # Registrations outlive waits, so that the next wait costs no system call; only
                # what is ready and unwanted must go, or the kernel would tell of it without end.
                self._register(key.fd, waiters, waiters.events & ~unwanted)
        return woken

    def _register(self, descriptor: int, waiters: _Waiters, events: int) -> None:
        if events == waiters.events:
            return
        if not events:
            self._selector.unregister(descriptor)
        elif waiters.events:
            self._selector.modify(descriptor, events, waiters)
        else:
            self._selector.register(descriptor, events, waiters)
        waiters.events = events

    def _waiters_of(self, thing: int | HasDescriptor) -> tuple[int, _Waiters]:
        descriptor = thing if isinstance(thing, int) else thing.fileno()
        waiters = self._waiters.get(descriptor)
        if waiters is None:
            if descriptor < 0:
                raise LocalError("the descriptor is closed", value=descriptor)
            waiters = self._waiters[descriptor] = _Waiters()
        return descriptor, waiters

    def add_reader(self, thing: int | HasDescriptor, task: Task[Any]) -> _Waiters:
        descriptor, waiters = self._waiters_of(thing)
        if waiters.reader is not None:
            raise LocalError("a task waits for this descriptor already", value=descriptor)
        if not waiters.events & READ:
            self._register(descriptor, waiters, waiters.events | READ)
        waiters.reader = task
        self._waiting += 1
        return waiters

    def add_writer(self, thing: int | HasDescriptor, task: Task[Any]) -> _Waiters:
        descriptor, waiters = self._waiters_of(thing)
        if waiters.writer is not None:
            raise LocalError("a task waits for this descriptor already", value=descriptor)
        if not waiters.events & WRITE:
            self._register(descriptor, waiters, waiters.events | WRITE)
        waiters.writer = task
        self._waiting += 1
        return waiters

    def drop_reader(self, waiters: _Waiters) -> None:
        if waiters.reader is not None:
            waiters.reader = None
            self._waiting -= 1

    def drop_writer(self, waiters: _Waiters) -> None:
        if waiters.writer is not None:
            waiters.writer = None
            self._waiting -= 1

    def forget(self, thing: int | HasDescriptor) -> None:
        """The descriptor is about to be closed: who waits on it is woken and finds it closed."""
        descriptor = thing if isinstance(thing, int) else thing.fileno()
        waiters = self._waiters.pop(descriptor, None)
        if waiters is None:
            return
        self._register(descriptor, waiters, 0)
        for task in (waiters.reader, waiters.writer):
            if task is not None:
                self._waiting -= 1
                task.wake()
        waiters.reader = waiters.writer = None

    @property
    def turn_used(self) -> bool:
        """Whether the running turn has used up its budget."""
        return time.thread_time() - self._turn_started > self.turn_budget


def now() -> float:
    """The time of the loop's clock in seconds."""
    return current_loop().clock.now()


async def sleep_until(at: float) -> None:
    """Wait until the loop's clock reaches `at`; a moment that is past still gives others a turn."""
    task = current_task()
    timer = current_loop().at(at, task.wake)
    await suspend(timer.cancel)


async def sleep(seconds: float) -> None:
    await sleep_until(now() + seconds)


async def turn() -> None:
    """Give way if this turn has used up its CPU time; cheap enough for each round of a hot loop."""
    if current_loop().turn_used:
        await give_way()


@types.coroutine
def give_way() -> Generator[None, None, None]:
    """Let everything else that is ready have its turn first."""
    task = current_task()
    task.wait(None)
    task.wake()
    yield


async def readable(thing: int | HasDescriptor) -> None:
    """Wait until there is something to read, or the other end is gone."""
    loop = current_loop()
    waiters = loop.add_reader(thing, current_task())
    await suspend(lambda: loop.drop_reader(waiters))


async def writable(thing: int | HasDescriptor) -> None:
    """Wait until something can be written, or the other end is gone."""
    loop = current_loop()
    waiters = loop.add_writer(thing, current_task())
    await suspend(lambda: loop.drop_writer(waiters))
