"""One object being received, from the node's side: a descriptor to write the data set to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from agent.archive import failure, incoming
from agent.archive.settings import StorageStatuses
from agent.dataset.whole_write import write_whole


class Reception:
    """A nameless file that starts with the file meta information. Close it in any case.

    Write the data set to `descriptor` (it stands behind the file meta information, at
    `data_set_offset`), then hand the reception to `Archive.commit`; or `discard` it, and nothing
    stays. A context manager: what was not committed is discarded.
    """

    def __init__(
        self,
        folder: Path,
        file_meta: bytes,
        statuses: StorageStatuses,
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        """Raises StorageError, with the status that the C-STORE gets, when the disk says no."""
        self._folder = folder
        self._closed = closed
        self._file = incoming.create(folder, statuses)
        self.data_set_offset = len(file_meta)
        try:
            write_whole(self._file.descriptor, file_meta)
        except OSError as error:
            self._file.discard(folder)
            raise failure.of_system(error, "write the object", statuses) from error

    @property
    def descriptor(self) -> int:
        """The open file; -1 when it is closed."""
        return self._file.descriptor

    @property
    def hidden_name(self) -> str:
        """Its name in `incoming/` where the file system has no nameless files; else ""."""
        return self._file.name

    def size(self) -> int:
        """Bytes that the file has now."""
        return os.fstat(self._file.descriptor).st_size

    def discard(self) -> None:
        """Let the file go; unless it was committed, nothing of it stays. May be called again."""
        if self._file.descriptor >= 0:
            self._file.discard(self._folder)
            self._closed()

    def __enter__(self) -> Reception:
        return self

    def __exit__(self, *details: object) -> None:
        self.discard()
