"""Bytes kept for later: a little in memory, the rest in a nameless file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from agent.errors import StorageError

_PIECE = 1 << 16


class Spill:
    """Append, then read all once. Holds at most `limit` bytes in memory.

    Raises StorageError when the file that takes the rest cannot be written.
    """

    def __init__(self, limit: int) -> None:
        # What it brings along, a worker that needs no spill shall not have in memory.
        import tempfile

        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=limit)  # noqa: SIM115
        self.length = 0

    def append(self, data: bytes | bytearray | memoryview) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise StorageError(
                "There is no room to compress the frame.", value=error.errno
            ) from error
        self.length += len(data)

    def pieces(self) -> Iterator[bytes]:
        """All that was appended; the spill is empty and closed afterwards."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece
        self.close()

    def close(self) -> None:
        self._file.close()
