"""Descriptors that tasks wait for.

A registration outlives the wait that made it, so that the next wait costs no system call: a stream
that receives all day is registered once. The price is that the kernel tells of a descriptor that is
ready while nobody waits for it; then the registration goes, until the next wait.

A registration belongs to what was opened, not to its number. A descriptor that is closed while it
is registered stays in the kernel's list as long as another process holds a copy of it, is reported
without end, and can no longer be removed by its number: the loop would spin. Therefore `forget`
before `close`. Should someone not, the spinning is noticed and the selector made anew.
"""

from __future__ import annotations

import contextlib
import selectors
import time
from typing import Any, Protocol

from agent import observation
from agent.errors import LocalError
from agent.loop.task import Task

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
# So many polls in a row that end early and tell of nothing mean a stale descriptor.
_EMPTY_POLLS = 20


class HasDescriptor(Protocol):
    """A socket, or a file object that is one in effect."""

    def fileno(self) -> int: ...


class Waiters:
    """Who waits for a descriptor, and for what it stands in the selector."""

    __slots__ = ("drop_reader", "drop_writer", "events", "owner", "reader", "thing", "writer")

    def __init__(self, owner: Descriptors, thing: int | HasDescriptor) -> None:
        self.owner = owner
        self.thing = thing
        self.events = 0
        self.reader: Task[Any] | None = None
        self.writer: Task[Any] | None = None
        # Bound once: a wait allocates nothing.
        self.drop_reader = self._drop_reader
        self.drop_writer = self._drop_writer

    def _drop_reader(self) -> None:
        if self.reader is not None:
            self.reader = None
            self.owner.waiting -= 1

    def _drop_writer(self) -> None:
        if self.writer is not None:
            self.writer = None
            self.owner.waiting -= 1


class Descriptors:
    """All descriptors that a loop watches; `waiting` is how many waits are under way."""

    def __init__(self) -> None:
        self.waiting = 0
        self._selector: selectors.BaseSelector | None = None
        self._waiters: dict[int, Waiters] = {}
        self._empty_polls = 0

    def __len__(self) -> int:
        return len(self._waiters)

    def wait_to_read(self, thing: int | HasDescriptor, task: Task[Any]) -> None:
        """Wake `task` once when there is something to read; it must yield next.

        Raises LocalError when another task waits for the same, OSError for what cannot be waited
        for (EPERM: an ordinary file), Cancelled when the task shall end.
        """
        descriptor = thing if type(thing) is int else thing.fileno()  # type: ignore[union-attr]
        waiters = self._waiters.get(descriptor)
        if waiters is None or (waiters.thing is not thing and type(thing) is not int):
            waiters = self._watch(descriptor, thing)
        if waiters.reader is not None:
            raise LocalError("a task waits to read this descriptor already", value=descriptor)
        if not waiters.events & READ:
            self._register(descriptor, waiters, waiters.events | READ)
        task.wait(waiters.drop_reader)
        waiters.reader = task
        self.waiting += 1

    def wait_to_write(self, thing: int | HasDescriptor, task: Task[Any]) -> None:
        """Wake `task` once when something can be written; else like `wait_to_read`."""
        descriptor = thing if type(thing) is int else thing.fileno()  # type: ignore[union-attr]
        waiters = self._waiters.get(descriptor)
        if waiters is None or (waiters.thing is not thing and type(thing) is not int):
            waiters = self._watch(descriptor, thing)
        if waiters.writer is not None:
            raise LocalError("a task waits to write this descriptor already", value=descriptor)
        if not waiters.events & WRITE:
            self._register(descriptor, waiters, waiters.events | WRITE)
        task.wait(waiters.drop_writer)
        waiters.writer = task
        self.waiting += 1

    def poll(self, seconds: float | None) -> None:
        """Wake the tasks whose descriptors are ready; wait `seconds` for one, None: for ever."""
        started = time.monotonic() if seconds else 0.0
        ready = self._open().select(seconds)
        for key, events in ready:
            waiters: Waiters = key.data
            unwanted = 0
            if events & READ:
                if waiters.reader is not None:
                    task, waiters.reader = waiters.reader, None
                    self.waiting -= 1
                    task.wake()
                else:
                    unwanted |= READ
            if events & WRITE:
                if waiters.writer is not None:
                    task, waiters.writer = waiters.writer, None
                    self.waiting -= 1
                    task.wake()
                else:
                    unwanted |= WRITE
            if unwanted:
                self._register(key.fd, waiters, waiters.events & ~unwanted)
        if ready or seconds == 0.0:
            self._empty_polls = 0
        elif seconds is None or time.monotonic() - started < seconds / 2:
            self._empty_polls += 1
            if self._empty_polls >= _EMPTY_POLLS:
                self._start_anew()

    def forget(self, thing: int | HasDescriptor) -> None:
        """The descriptor is about to be closed: who waits for it goes on, and finds it closed."""
        descriptor = thing if isinstance(thing, int) else thing.fileno()
        waiters = self._waiters.pop(descriptor, None)
        if waiters is not None:
            self._drop(descriptor, waiters)

    def close(self) -> None:
        """Forget all; the next wait starts with a new selector."""
        self._waiters.clear()
        self.waiting = 0
        if self._selector is not None:
            self._selector.close()
            self._selector = None

    def _open(self) -> selectors.BaseSelector:
        if self._selector is None:
            self._selector = selectors.DefaultSelector()
        return self._selector

    def _watch(self, descriptor: int, thing: int | HasDescriptor) -> Waiters:
        if descriptor < 0:
            raise LocalError("what is closed cannot be waited for", value=descriptor)
        waiters = self._waiters.get(descriptor)
        if waiters is not None:
            if isinstance(waiters.thing, int):
                waiters.thing = thing
                return waiters
            # Another object under the same number: the first was closed and not forgotten, and the
            # kernel may have dropped it without a word.
            self._drop(descriptor, waiters)
        waiters = self._waiters[descriptor] = Waiters(self, thing)
        return waiters

    def _drop(self, descriptor: int, waiters: Waiters) -> None:
        self._register(descriptor, waiters, 0)
        for task, drop in (
            (waiters.reader, waiters.drop_reader),
            (waiters.writer, waiters.drop_writer),
        ):
            drop()
            if task is not None:
                task.wake()

    def _register(self, descriptor: int, waiters: Waiters, events: int) -> None:
        if events == waiters.events:
            return
        selector = self._open()
        if not events:
            with contextlib.suppress(KeyError):
                selector.unregister(descriptor)
        elif waiters.events:
            try:
                selector.modify(descriptor, events, waiters)
            except FileNotFoundError:
                # Closed, not forgotten, and its number is in use again.
                waiters.events = 0
                self._register(descriptor, waiters, events)
                return
        else:
            selector.register(descriptor, events, waiters)
        waiters.events = events

    def _start_anew(self) -> None:
        observation.warning("a descriptor was closed before the loop was told", polls=_EMPTY_POLLS)
        self._empty_polls = 0
        self._open().close()
        self._selector = None
        for descriptor, waiters in tuple(self._waiters.items()):
            events, waiters.events = waiters.events, 0
            try:
                self._register(descriptor, waiters, events)
            except OSError:
                self._waiters.pop(descriptor)
                self._drop(descriptor, waiters)
