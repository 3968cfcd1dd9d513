"""How the tests of the loop run what they test."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from agent.loop import Loop, ManualClock, current_loop
from agent.loop.clock import Clock


def run(main: Callable[[], Awaitable[Any]], clock: Clock | None = None) -> Any:
    """Run `main` on a loop of its own, by a clock that is moved by hand."""

    async def wrapped() -> Any:
        return await main()

    return Loop(clock if clock is not None else ManualClock()).run(wrapped())


@contextmanager
def socket_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets that do not block, forgotten by the loop and closed at the end."""
    ours, theirs = socket.socketpair()
    try:
        for end in (ours, theirs):
            end.setblocking(False)
        yield ours, theirs
    finally:
        for end in (ours, theirs):
            current_loop().forget(end)
            end.close()


def fill(end: socket.socket) -> int:
    """Write until nothing more fits; how many bytes did."""
    written = 0
    try:
        while True:
            written += end.send(b"." * 65536)
    except BlockingIOError:
        return written
