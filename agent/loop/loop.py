"""The loop: one thread that gives each task its turn, and waits for descriptors and timers.

A lap rings the timers that are due and gives every task that is ready at its start one turn; what
becomes ready meanwhile has its turn in the next lap. Between laps the kernel is asked which
descriptors are ready: always before the loop sleeps, and while there is work at least every
`_POLL_INTERVAL`. So neither tasks, nor timers, nor descriptors can starve each other.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from agent import observation
from agent.errors import LocalError
from agent.loop.clock import Clock, ManualClock, MonotonicClock
from agent.loop.descriptors import Descriptors, HasDescriptor
from agent.loop.interrupt import Interrupt
from agent.loop.lag import Lag
from agent.loop.task import Cancelled, Task, no_current_task
from agent.loop.timers import Timer, Timers

T = TypeVar("T")

# Real seconds of work after which the kernel is asked for ready descriptors: a poll costs as much
# as a short turn, and what becomes ready in one lap is nearly always done within the next ones.
_POLL_INTERVAL = 0.001
# Reading the CPU clock is a system call, reading the monotonic clock is not, and a turn uses no
# more CPU time than real time: the CPU clock is read only when so much real time has passed.
_CPU_INTERVAL = 0.001

_running: Loop | None = None


def leave_loop() -> None:
    """No loop runs in this process any more; nothing of the last one is closed.

    For a child that was forked while a loop ran, too: that one is the parent's, with its
    descriptors, and the child may run another.
    """
    global _running
    _running = None
    no_current_task()


def current_loop() -> Loop:
    """The loop that runs in this process. Raises LocalError when there is none."""
    if _running is None:
        raise LocalError("no loop is running")
    return _running


class Loop:
    """A single-threaded loop over `selectors`.

    `turn_budget` is the CPU time in seconds after which `turn()` gives way. `lag` has the figures;
    laps longer than `lag_budget` real seconds (None: the turn budget) count there as over budget.
    Memory: about 1 KiB for each task, 0.5 KiB for each descriptor.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        turn_budget: float = 0.005,
        lag_budget: float | None = None,
    ) -> None:
        self.clock: Clock = clock if clock is not None else MonotonicClock()
        self.turn_budget = turn_budget
        self.lag = Lag(turn_budget if lag_budget is None else lag_budget)
        # Calls under way outside of this process, which will be answered (`ManualClock` waits).
        self.outside = 0
        self.descriptors = Descriptors()
        self._ready: deque[Task[Any]] = deque()
        self._timers = Timers()
        self._tasks: set[Task[Any]] = set()
        self._manual = self.clock if isinstance(self.clock, ManualClock) else None
        # By hand nothing may depend on real time, so each lap asks the kernel.
        self._poll_interval = 0.0 if self._manual is not None else _POLL_INTERVAL
        self._polled_at = 0.0
        self._interrupt = Interrupt(lambda: None)
        self._turn_started = 0.0
        self._cpu_at = 0.0
        self._cpu_used = 0.0

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` until it ends; then cancel what is left, wait for it, and return its value.

        Raises what `main` raised, and LocalError when every task waits for what cannot come. A
        SIGINT that would have raised KeyboardInterrupt somewhere cancels `main` instead, and
        KeyboardInterrupt is raised here when that has ended; a second one is raised at once.
        """
        global _running
        if _running is not None:
            main.close()
            raise LocalError("a loop is running already; it is not re-entrant")
        _running = self
        task = Task(self, main, "main")
        self._ready.append(task)
        self._polled_at = time.monotonic()
        self._interrupt = Interrupt(task.cancel)
        try:
            with self._interrupt:
                try:
                    self._until_done(task)
                finally:
                    self._end(task)
            if isinstance(task.error, Cancelled) and self._interrupt.came:
                raise KeyboardInterrupt
        finally:
            leave_loop()
            self.descriptors.close()
            self._ready.clear()
            self._tasks.clear()
        if task.error is not None:
            raise task.error
        return task.value  # type: ignore[return-value]

    def _end(self, main: Task[Any]) -> None:
        # The tasks of a group are ended by its owner, who may need them to end well: here only
        # those that have no owner are cancelled.
        main.cancel()
        self._until_done(main)
        while self._tasks:
            left = tuple(self._tasks)
            for task in left:
                task.cancel()
            for task in left:
                self._until_done(task)

    def start(self, coroutine: Coroutine[Any, Any, T], name: str) -> Task[T]:
        """A task without an owner, cancelled when the loop ends; what it raises is its own affair.

        Use a `TaskGroup` wherever there can be one.
        """
        task = Task(self, coroutine, name)
        self._tasks.add(task)
        task.when_done(self._tasks.discard)
        self._ready.append(task)
        return task

    @property
    def tasks(self) -> int:
        """How many tasks there are that have not ended."""
        return len(self._tasks)

    def start_background(self, coroutine: Coroutine[Any, Any, Any], name: str) -> Task[Any]:
        """A task without an owner, cancelled when the loop ends; what it raises is logged."""
        task = self.start(coroutine, name)
        task.when_done(_log_failure)
        return task

    def schedule(self, task: Task[Any]) -> None:
        """Give the task a turn in the next lap; for `Task`, which knows that it is due one."""
        self._ready.append(task)

    def at(self, when: float, call: Callable[[], None]) -> Timer:
        """Call `call()` at the moment `when` of the loop's clock; it must not raise."""
        return self._timers.add(when, call)

    def forget(self, thing: int | HasDescriptor) -> None:
        """The descriptor is about to be closed: who waits on it is woken and finds it closed.

        Must be called before a descriptor is closed that was ever waited on.
        """
        self.descriptors.forget(thing)

    def measure_anew(self) -> None:
        """Forget how long laps and turns took, this one included. For one whose start is over: it
        kept nobody waiting, and would stand in the figures for as long as the process lives."""
        self.lag.clear()
        self._polled_at = self._cpu_at = time.monotonic()
        self._cpu_used = time.thread_time()

    @property
    def turn_used(self) -> bool:
        """Whether the running turn has used up its budget."""
        if time.monotonic() - self._turn_started <= self.turn_budget:
            return False
        return time.thread_time() - self._cpu_used > self.turn_budget

    def _until_done(self, task: Task[Any]) -> None:
        ready, timers, clock = self._ready, self._timers, self.clock
        while not task.done:
            timers.ring(clock.now())
            if ready:
                self._lap(len(ready))
                if task.done:
                    return
            if self._interrupt.pending:
                self._interrupt.deliver()
            if not ready:
                self._sleep()
            elif time.monotonic() - self._polled_at >= self._poll_interval:
                self._poll(0.0)

    def _lap(self, number: int) -> None:
        ready, monotonic = self._ready, time.monotonic
        started = monotonic()
        try:
            for _ in range(number):
                if started - self._cpu_at > _CPU_INTERVAL:
                    self._cpu_at = started
                    self._cpu_used = time.thread_time()
                self._turn_started = started
                ready.popleft().step()
                ended = monotonic()
                if ended - started > _CPU_INTERVAL:
                    self.lag.turn(time.thread_time() - self._cpu_used, self.turn_budget)
                started = ended
        finally:
            no_current_task()

    def _sleep(self) -> None:
        at = self._timers.next_at()
        descriptors = self.descriptors
        if at is None:
            if not descriptors.waiting:
                raise LocalError("every task waits, and nothing is left that could wake one")
            self._poll(None)
            return
        seconds = max(0.0, at - self.clock.now())
        if self._manual is not None and seconds:
            self._wait_by_hand(self._manual, at)
            return
        self._poll(seconds)

    def _wait_by_hand(self, clock: ManualClock, at: float) -> None:
        patience = clock.patience if self.outside else clock.grace
        end = time.monotonic() + patience
        # A poll may end early and wake nobody: what is ready is not always what is waited for.
        while self.descriptors.waiting and patience > 0:
            self._poll(patience)
            if self._ready or self._interrupt.pending:
                return
            patience = end - time.monotonic()
        clock.move_to(at)

    def _poll(self, seconds: float | None) -> None:
        self.lag.lap(time.monotonic() - self._polled_at)
        if seconds == 0.0:
            self.descriptors.poll(0.0)
        else:
            self._interrupt.cut_short(self.descriptors.poll, seconds)
        self._polled_at = time.monotonic()


def _log_failure(task: Task[Any]) -> None:
    if task.error is not None and not isinstance(task.error, Cancelled):
        observation.error(
            "background task failed", task=task.name, **observation.unforeseen(task.error)
        )
