"""Files that are being received: nameless until they are whole, so nothing half-written has a name.

Where the file system has no `O_TMPFILE` they have hidden names in `incoming/`, which the writer
deletes when it starts.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from agent.archive import failure
from agent.archive.layout import INCOMING
from agent.archive.settings import StorageStatuses

# What open(2) answers where O_TMPFILE is not known: by the file system, or by the kernel.
_NO_NAMELESS_FILES = frozenset((errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL))
_MODE = 0o640
_DEFAULT = StorageStatuses()


@dataclass(slots=True)
class IncomingFile:
    """An open file without a name, or with the hidden name `name` in `incoming/`."""

    descriptor: int
    name: str

    def detach(self, folder: Path) -> int:
        """The descriptor, which is the caller's from now on; a hidden name goes at once."""
        descriptor, self.descriptor = self.descriptor, -1
        if self.name:
            (folder / INCOMING / self.name).unlink(missing_ok=True)
        return descriptor

    def discard(self, folder: Path) -> None:
        """Close it; nothing of it stays. May be called again."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
            if self.name:
                (folder / INCOMING / self.name).unlink(missing_ok=True)


def create(folder: Path, statuses: StorageStatuses = _DEFAULT) -> IncomingFile:
    """A new file in the file system of the archive's `folder`, open for reading and writing.

    Raises StorageError with the status that the C-STORE gets.
    """
    place = f"{folder}/{INCOMING}"
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        try:
            return IncomingFile(os.open(place, flags | os.O_TMPFILE, _MODE), "")
        except OSError as error:
            if error.errno not in _NO_NAMELESS_FILES:
                raise
        name = f".{os.urandom(12).hex()}"
        return IncomingFile(os.open(f"{place}/{name}", flags | os.O_CREAT | os.O_EXCL, _MODE), name)
    except OSError as error:
        raise failure.of_system(error, "make a file for the object", statuses) from error
