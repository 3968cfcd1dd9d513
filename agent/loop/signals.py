"""Signals as something to wait for, through a wake-up descriptor."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections import deque
from types import FrameType, TracebackType
from typing import Any

from agent.errors import LocalError
from agent.loop.loop import current_loop
from agent.loop.synchronization import Event
from agent.loop.task import Task
from agent.loop.waiting import readable


class _WakeUp:
    """The one descriptor that Python writes to when a signal comes; all open `Signals` share it."""

    def __init__(self) -> None:
        self.taken: dict[int, Signals] = {}
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._before = -1
        self._task: Task[Any] | None = None

    def open(self, numbers: tuple[int, ...], by: Signals) -> None:
        for number in numbers:
            if number in self.taken:
                name = signal.Signals(number).name
                raise LocalError(f"{name} is being waited for already", value=number)
        if self._ends is None:
            ours, theirs = self._ends = socket.socketpair()
            ours.setblocking(False)
            theirs.setblocking(False)
            self._before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
            self._task = current_loop().start_background(self._watch(ours), "signals")
        self.taken.update((number, by) for number in numbers)

    def close(self, numbers: tuple[int, ...]) -> None:
        for number in numbers:
            self.taken.pop(number, None)
        if self.taken or self._ends is None or self._task is None:
            return
        signal.set_wakeup_fd(self._before)
        self._task.cancel()
        current_loop().forget(self._ends[0])
        for end in self._ends:
            end.close()
        self._ends = self._task = None

    async def _watch(self, end: socket.socket) -> None:
        while True:
            await readable(end)
            with contextlib.suppress(BlockingIOError):
                # What the numbers are, the handlers say: they run before this goes on.
                end.recv(4096)
            for signals in self.taken.values():
                signals.came.set()


_wake_up = _WakeUp()


class Signals:
    """`async with Signals(SIGTERM, SIGHUP) as signals`: take these signals as they come.

    Several blocks may be open, each for signals of its own, else LocalError. The handlers that were
    there before are put back at the end. Only the main thread can do this.
    """

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers
        self._received: deque[int] = deque()
        self._before: dict[int, Any] = {}
        self.came = Event()

    async def __aenter__(self) -> Signals:
        _wake_up.open(self._numbers, self)
        try:
            for number in self._numbers:
                self._before[number] = signal.signal(number, self._take)
        except BaseException:
            self._put_back()
            raise
        return self

    def _take(self, number: int, frame: FrameType | None) -> None:
        # Runs between any two instructions of the loop: it only notes the number.
        self._received.append(number)

    async def receive(self) -> int:
        """The next signal; its number. Signals wait here in the order in which they came."""
        while not self._received:
            self.came.clear()
            await self.came.wait()
        return self._received.popleft()

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        _wake_up.close(self._numbers)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._put_back()
