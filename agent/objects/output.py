"""The file that an object is written into, from its end on; what was written can be taken back."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from agent.errors import StorageError

Bytes: TypeAlias = bytes | bytearray | memoryview


class OutputFile:
    """Writes at given offsets of a regular file, so its position does not matter.

    All methods raise StorageError when the disk is full or broken.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.started_at = self._storing(lambda: os.lseek(descriptor, 0, os.SEEK_END))
        self.position = self.started_at

    def append(self, parts: Sequence[Bytes]) -> None:
        """Write the parts one after another."""
        for part in parts:
            # No view outlives this call, not even in a traceback: the buffer may be a device's.
            with memoryview(part) as lent, lent.cast("B") as view:
                start = 0
                while start < len(view):
                    with view[start:] as rest:
                        written = self._storing(partial(self._put, rest))
                    start += written
                    self.position += written

    def patch(self, data: bytes, offset: int) -> None:
        """Replace bytes that are written already."""
        written = self._storing(lambda: os.pwrite(self._descriptor, data, offset))
        if written != len(data):
            raise StorageError("The file cannot be completed.", value=offset)

    def seek_end(self) -> None:
        """Leave the file's position behind what was written."""
        self._storing(lambda: os.lseek(self._descriptor, self.position, os.SEEK_SET))

    def take_back(self) -> None:
        """The file is as long as before."""
        self._storing(lambda: os.ftruncate(self._descriptor, self.started_at))

    def _put(self, view: memoryview) -> int:
        return os.pwrite(self._descriptor, view, self.position)

    def _storing(self, act: Callable[[], int | None]) -> int:
        try:
            return act() or 0
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            raise StorageError(
                "The disk is full." if full else "The object cannot be written.",
                value=error.errno,
                way_out="Free some room." if full else "",
            ) from error
