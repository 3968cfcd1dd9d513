"""Messages between the node and its workers: pickled values with descriptors, over a socket pair.

A frame is a header of twelve bytes (length of the value, number of the call, how many descriptors,
what kind of message) and the value. Descriptors travel with the first byte of their frame
(SCM_RIGHTS), so they are there when it is read. Both ends are our own processes: pickle carries
nothing that another could have written. A message has any size up to 4 GiB; it is in memory as a
whole at both ends.
"""

from __future__ import annotations

import array
import errno
import os
import pickle
import socket
import struct
from collections import deque
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from agent.errors import LocalError

# The kernel's SCM_MAX_FD.
MOST_DESCRIPTORS = 253

_HEADER = struct.Struct("<IIHBx")
_NUMBERS = (1 << 32) - 1
_ROOM = socket.CMSG_SPACE(MOST_DESCRIPTORS * 4)
# As plain numbers: an `IntFlag` makes an object of each combination.
_CLOSE_ON_EXEC, _CUT = int(socket.MSG_CMSG_CLOEXEC), int(socket.MSG_CTRUNC)
# One for the process, which has one thread: what is read is copied out at once.
_BUFFER = memoryview(bytearray(1 << 16))


class Kind(IntEnum):
    """What a message is."""

    START = 1  # node to worker, the first: what to run
    HELLO = 2  # worker to node, the first: its process, as number and as descriptor
    CALL = 3  # node to worker
    ANSWER = 4  # worker to node: the value of a call
    ERROR = 5  # worker to node: what a call, or with number 0 the whole worker, failed with


class Message:
    """A message that came in; its descriptors are the receiver's to close.

    `error` says why the value could not be read: a class that is not there, or has changed.
    """

    __slots__ = ("descriptors", "error", "kind", "number", "value")

    def __init__(
        self, kind: int, number: int, value: Any, error: Exception | None, descriptors: list[int]
    ) -> None:
        self.kind = kind
        self.number = number
        self.value = value
        self.error = error
        self.descriptors = descriptors


def encode(kind: Kind, number: int, value: object, descriptors: Sequence[int] = ()) -> bytes:
    """A frame. Raises what pickle raises, and LocalError for what is too large."""
    data = pickle.dumps(value, protocol=5)
    if len(data) > _NUMBERS or len(descriptors) > MOST_DESCRIPTORS:
        raise LocalError(
            f"a message of {len(data)} bytes with {len(descriptors)} descriptors is too large",
            value=(len(data), len(descriptors)),
            limit=(_NUMBERS, MOST_DESCRIPTORS),
        )
    return _HEADER.pack(len(data), number & _NUMBERS, len(descriptors), kind) + data


def rights(descriptors: Sequence[int]) -> list[tuple[int, int, array.array[int]]]:
    """The ancillary data that carries descriptors; none for none."""
    if not descriptors:
        return []
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]


def carried_descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors that came with ancillary data, now of this process."""
    numbers = array.array("i")
    for level, kind, carried in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers.frombytes(carried[: len(carried) // numbers.itemsize * numbers.itemsize])
    return list(numbers)


class Incoming:
    """Bytes and descriptors as they come in, taken out as whole messages."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._descriptors: deque[int] = deque()

    def receive(self, end: socket.socket, flags: int = 0) -> bool:
        """Read once; False at the end of the stream.

        Raises BlockingIOError, and OSError when the connection is lost or descriptors were (EMFILE:
        this process has too many open).
        """
        length, ancillary, result, _ = end.recvmsg_into([_BUFFER], _ROOM, flags | _CLOSE_ON_EXEC)
        if ancillary:
            self._descriptors.extend(carried_descriptors(ancillary))
        if result & _CUT:
            raise OSError(errno.EMFILE, "descriptors were lost: too many are open")
        self._data += _BUFFER[:length]
        return length > 0

    @property
    def begun(self) -> bool:
        """Whether a message is here in part, or whole."""
        return bool(self._data)

    @property
    def whole(self) -> bool:
        """Whether `take` has a message."""
        if len(self._data) < _HEADER.size:
            return False
        length = _HEADER.unpack_from(self._data)[0]
        return len(self._data) >= _HEADER.size + int(length)

    def take(self) -> Message | None:
        """The next whole message; None when there is none yet."""
        if len(self._data) < _HEADER.size:
            return None
        length, number, carried, kind = _HEADER.unpack_from(self._data)
        end = _HEADER.size + length
        if len(self._data) < end:
            return None
        value, error = None, None
        with memoryview(self._data) as whole, whole[_HEADER.size : end] as view:
            try:
                value = pickle.loads(view)
            except Exception as problem:
                error = problem
        del self._data[:end]
        return Message(
            kind, number, value, error, [self._descriptors.popleft() for _ in range(carried)]
        )

    def close(self) -> None:
        """Close descriptors that nobody took."""
        while self._descriptors:
            os.close(self._descriptors.popleft())
