"""Signals as something to wait for, through a wake-up descriptor."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections import deque
from types import FrameType, TracebackType
from typing import Any

from agent.loop.loop import current_loop
from agent.loop.waiting import readable


class Signals:
    """`async with Signals(SIGTERM, SIGHUP) as signals`: take these signals as they come.

    The handlers and the wake-up descriptor that were there before are put back at the end.
    """

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers
        self._came: deque[int] = deque()
        self._before: dict[int, Any] = {}
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._wakeup_before = -1

    async def __aenter__(self) -> Signals:
        ours, theirs = self._ends = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            self._before[number] = signal.signal(number, self._take)
        return self

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._came.append(number)

    async def receive(self) -> int:
        """The next signal; its number."""
        assert self._ends is not None
        while not self._came:
            await readable(self._ends[0])
            with contextlib.suppress(BlockingIOError):
                self._ends[0].recv(64)
        return self._came.popleft()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        if self._ends is not None:
            current_loop().forget(self._ends[0])
            for end in self._ends:
                end.close()
