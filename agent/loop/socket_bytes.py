"""Bytes of a non-blocking socket, on the loop: for a line here and there. Associations have streams
of their own (`agent.network.stream`)."""

from __future__ import annotations

import socket

from agent.loop.waiting import readable, writable

_PIECE = 65536


async def receive(end: socket.socket) -> bytes:
    """Some bytes; empty at the end. Raises OSError."""
    while True:
        try:
            return end.recv(_PIECE)
        except BlockingIOError:
            await readable(end)


async def send_all(end: socket.socket, data: bytes) -> None:
    """Until the kernel has all of it. Raises OSError."""
    view = memoryview(data)
    while view:
        try:
            view = view[end.send(view) :]
        except BlockingIOError:
            await writable(end)
