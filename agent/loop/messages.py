"""Messages between the node and its workers: pickled values with descriptors, over a socket pair.

A frame is eight bytes (length of the value, number of descriptors) and the value. Descriptors
travel with the first byte of their frame (SCM_RIGHTS), so they are there when it is read. Both ends
are our own processes: pickle carries nothing that another could have written.
"""

from __future__ import annotations

import array
import os
import pickle
import socket
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any

_HEADER = struct.Struct("<II")
_ROOM = socket.CMSG_SPACE(253 * 4)  # SCM_MAX_FD of the kernel
PIECE = 1 << 18


def encode(value: object, descriptors: Sequence[int] = ()) -> bytes:
    data = pickle.dumps(value, protocol=5)
    return _HEADER.pack(len(data), len(descriptors)) + data


def rights(descriptors: Sequence[int]) -> list[tuple[int, int, array.array[int]]]:
    """The ancillary data that carries descriptors; none for none."""
    if not descriptors:
        return []
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]


class Incoming:
    """Bytes and descriptors as they come in, taken out as whole messages."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._descriptors: deque[int] = deque()

    def receive(self, end: socket.socket, flags: int = 0) -> bool:
        """Read once; False at the end of the stream. Raises BlockingIOError, OSError."""
        data, ancillary, _, _ = end.recvmsg(PIECE, _ROOM, flags | socket.MSG_CMSG_CLOEXEC)
        for level, kind, carried in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(carried[: len(carried) // numbers.itemsize * numbers.itemsize])
                self._descriptors.extend(numbers)
        self._data += data
        return bool(data)

    def take(self) -> tuple[Any, list[int]] | None:
        """The next whole message and its descriptors, which are now the caller's."""
        if len(self._data) < _HEADER.size:
            return None
        length, number = _HEADER.unpack_from(self._data)
        end = _HEADER.size + length
        if len(self._data) < end:
            return None
        with memoryview(self._data) as view:
            value = pickle.loads(view[_HEADER.size : end])
        del self._data[:end]
        return value, [self._descriptors.popleft() for _ in range(number)]

    def close(self) -> None:
        """Close descriptors that nobody took."""
        while self._descriptors:
            os.close(self._descriptors.popleft())
