"""What tasks tell each other: events, channels, and promises of a value."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

from agent.errors import LocalError
from agent.loop.task import Task, current_task, suspend

T = TypeVar("T")


class _Line:
    """Tasks in the order in which they came."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: deque[Task[Any]] = deque()

    async def wait(self) -> None:
        task = current_task()
        self._tasks.append(task)
        try:
            await suspend()
        except BaseException:
            if task in self._tasks:
                self._tasks.remove(task)
            else:
                # Woken and interrupted at once: the wake belongs to the next in line.
                self.wake_one()
            raise

    def wake_one(self) -> None:
        if self._tasks:
            self._tasks.popleft().wake()

    def wake_all(self) -> None:
        while self._tasks:
            self._tasks.popleft().wake()


class Event:
    """A flag that tasks wait for."""

    def __init__(self) -> None:
        self._set = False
        self._line = _Line()

    def is_set(self) -> bool:
        """Whether a wait would end at once."""
        return self._set

    def set(self) -> None:
        """Wake all who wait; who comes later does not wait."""
        self._set = True
        self._line.wake_all()

    def clear(self) -> None:
        """From now on tasks wait again."""
        self._set = False

    async def wait(self) -> None:
        """Wait until the flag is set; it is when this returns."""
        while not self._set:
            await self._line.wait()


class ChannelClosed(LocalError):
    """Nothing more can be put into the channel, or taken out of it."""


class Channel(AsyncIterator[T]):
    """A queue between tasks that holds at most `capacity` items, at least one.

    Items come out in the order in which they went in. `async for` takes them until the channel is
    closed and empty.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise LocalError("a channel holds at least one item", value=capacity, limit=1)
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._closed = False
        self._takers = _Line()
        self._givers = _Line()

    def __len__(self) -> int:
        return len(self._items)

    def put_nowait(self, item: T) -> bool:
        """Put an item if there is room; whether there was. Raises ChannelClosed."""
        if self._closed:
            raise ChannelClosed("the channel is closed")
        if len(self._items) >= self._capacity:
            return False
        self._items.append(item)
        self._takers.wake_one()
        return True

    async def put(self, item: T) -> None:
        """Put an item, when there is room. Raises ChannelClosed."""
        while not self.put_nowait(item):
            await self._givers.wait()

    async def get(self) -> T:
        """The next item; raises ChannelClosed when there is none and never will be."""
        while not self._items:
            if self._closed:
                raise ChannelClosed("the channel is closed")
            await self._takers.wait()
        return self._take()

    def _take(self) -> T:
        item = self._items.popleft()
        self._givers.wake_one()
        if self._items:
            self._takers.wake_one()
        return item

    def close(self) -> None:
        """No more items: what is in the channel can still be taken."""
        self._closed = True
        self._takers.wake_all()
        self._givers.wake_all()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.get()
        except ChannelClosed:
            raise StopAsyncIteration from None


class Promise(Generic[T]):
    """A value that one task will give and another waits for."""

    __slots__ = ("_error", "_kept", "_line", "_value")

    def __init__(self) -> None:
        self._kept = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._line = _Line()

    @property
    def kept(self) -> bool:
        """Whether there is a value or an error."""
        return self._kept

    def keep(self, value: T) -> None:
        """Give the value; only the first counts."""
        if not self._kept:
            self._kept = True
            self._value = value
            self._line.wake_all()

    def fail(self, error: BaseException) -> None:
        """Give an error instead: it is raised by `wait`."""
        if not self._kept:
            self._kept = True
            self._error = error
            self._line.wake_all()

    async def wait(self) -> T:
        """The value, when it is there; or raises the error."""
        while not self._kept:
            await self._line.wait()
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]


class Limit:
    """At most `number` holders at once; the others wait in line."""

    __slots__ = ("_free", "_line")

    def __init__(self, number: int) -> None:
        self._free = number
        self._line = _Line()

    def try_acquire(self) -> bool:
        """Become a holder if there is room now."""
        if self._free > 0:
            self._free -= 1
            return True
        return False

    async def acquire(self) -> None:
        """Become a holder as soon as there is room."""
        while not self.try_acquire():
            await self._line.wait()

    def release(self) -> None:
        """Hold no longer."""
        self._free += 1
        self._line.wake_one()
