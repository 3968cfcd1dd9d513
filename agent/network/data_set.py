"""Where data sets come from and where they go to, without ever being held whole."""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from agent.dataset.whole_write import write_whole
from agent.errors import LocalError, PeerError, StatusReaction, StorageError
from agent.network.status import OUT_OF_RESOURCES, RESOURCE_LIMITATION


class DataSetSource(Protocol):
    """The encoded bytes of a data set, read from front to back."""

    @property
    def length(self) -> int | None:
        """In bytes; None when it is not known before the end."""

    def read_into(self, view: memoryview, position: int) -> int:
        """Fill `view` with what stands at `position`; how much, 0 at the end."""


class ArrivingSource(ABC):
    """A data set that is being made while it is sent: its length is known at its end."""

    length: int | None = None

    @abstractmethod
    async def arrive(self) -> None:
        """Wait until as much is there as is sent at once, or the end. Raises StorageError when it
        will not come."""

    @abstractmethod
    def read_into(self, view: memoryview, position: int) -> int:
        """As of a `DataSetSource`: what has arrived, from front to back."""


class BytesSource:
    """A data set that is in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length: int | None = len(data)

    def read_into(self, view: memoryview, position: int) -> int:
        piece = self._data[position : position + len(view)]
        view[: len(piece)] = piece
        return len(piece)


class FileSource:
    """A part of an open file, read with `preadv`. The descriptor stays the caller's."""

    def __init__(self, descriptor: int, offset: int = 0, length: int | None = None) -> None:
        self._descriptor = descriptor
        self._offset = offset
        if length is None:
            length = max(0, os.fstat(descriptor).st_size - offset)
        self.length: int | None = length
        self._end = length

    def read_into(self, view: memoryview, position: int) -> int:
        room = self._end - position
        if room <= 0:
            return 0
        if room < len(view):
            view = view[:room]
        try:
            count = os.preadv(self._descriptor, [view], self._offset + position)
        except OSError as error:
            raise StorageError(f"the file cannot be read: {error.strerror}") from error
        if not count:
            raise StorageError("the file became shorter while it was sent", value=position)
        return count


class ChainSource:
    """Sources of known length, one behind the other."""

    def __init__(self, sources: Sequence[DataSetSource]) -> None:
        self._parts: list[tuple[int, int, DataSetSource]] = []
        start = 0
        for source in sources:
            if source.length is None:
                raise LocalError("only sources of known length can be chained")
            self._parts.append((start, start + source.length, source))
            start += source.length
        self.length: int | None = start

    def read_into(self, view: memoryview, position: int) -> int:
        for start, end, source in self._parts:
            if start <= position < end:
                return source.read_into(view[: end - position], position - start)
        return 0


class DataSetSink(Protocol):
    """Takes a data set as it comes in. `write` must not wait, and must not keep the view."""

    def write(self, view: memoryview) -> None: ...

    def complete(self) -> None:
        """All of it came."""

    def discard(self) -> None:
        """It will not come to an end: forget it."""


class FileSink:
    """Writes to a descriptor, which stays the caller's; `length` counts the bytes.

    `status` answers what is longer than `limit` and a disk that fails, `full` a disk that is full.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        limit: int = 0,
        status: int = OUT_OF_RESOURCES,
        full: int = OUT_OF_RESOURCES,
    ) -> None:
        self.descriptor = descriptor
        self.length = 0
        self._limit = limit
        self._status = status
        self._full = full

    def write(self, view: memoryview) -> None:
        self.length += len(view)
        if self._limit and self.length > self._limit:
            raise StorageError(
                "the object is larger than allowed",
                limit=self._limit,
                reaction=StatusReaction(self._status, "Object larger than allowed"),
            )
        try:
            write_whole(self.descriptor, view)
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            raise StorageError(
                f"the object cannot be written: {error.strerror}",
                reaction=StatusReaction(self._full, "Disk full")
                if is_full
                else StatusReaction(self._status, "Storage failure"),
            ) from error

    def complete(self) -> None:
        pass

    def discard(self) -> None:
        pass


class MemorySink:
    """Keeps a data set of at most `limit` bytes in memory: identifiers, attribute lists."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()

    @property
    def value(self) -> bytes:
        return bytes(self._data)

    def write(self, view: memoryview) -> None:
        if len(self._data) + len(view) > self._limit:
            self._data.clear()
            raise PeerError(
                "the data set is longer than allowed",
                limit=self._limit,
                reaction=StatusReaction(RESOURCE_LIMITATION, "Data set longer than allowed"),
            )
        self._data += view

    def complete(self) -> None:
        pass

    def discard(self) -> None:
        self._data.clear()
