"""What SQLite reports, turned into StorageError with its status: for those who open the index."""

from __future__ import annotations

import sqlite3

from agent.archive import failure
from agent.archive.settings import StorageStatuses
from agent.errors import GantryError, StatusReaction, StorageError
from agent.quoting import quoted

REBUILD = "Run `gantry doctor --rebuild-index`: the objects are not touched."

_DEFAULT = StorageStatuses()
_OF_THE_DISK = frozenset((sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN))


def of_index(error: sqlite3.Error, step: str, statuses: StorageStatuses = _DEFAULT) -> StorageError:
    """The error for a statement of SQLite that failed while doing `step`."""
    # Extended result codes keep the primary one in their low byte.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return failure.DiskFull(
            f"The disk is full; could not {step}.",
            value=code,
            reaction=StatusReaction(statuses.disk_full, "Out of disk space"),
            way_out="Free some space, or let retention delete what is delivered.",
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StorageError(
            f"The index is damaged ({quoted(error)}); could not {step}.",
            value=code,
            reaction=StatusReaction(statuses.storage_failure, "Index is damaged"),
            way_out=REBUILD,
        )
    if code == sqlite3.SQLITE_READONLY:
        return failure.DiskUnusable(
            f"The index is read-only; could not {step}.",
            value=code,
            reaction=StatusReaction(statuses.storage_failure, "Storage is read-only"),
            way_out="Check the file system, and whom the archive's folder belongs to.",
        )
    return (failure.DiskUnusable if code in _OF_THE_DISK else StorageError)(
        f"The index failed: {quoted(error)}; could not {step}.",
        value=code,
        reaction=StatusReaction(statuses.storage_failure, "Index failure"),
        way_out="Look at the kernel's log and at the health of the disk.",
    )


def of_any(error: Exception, step: str, statuses: StorageStatuses = _DEFAULT) -> GantryError:
    """Any error of a step, as one of ours; what is ours already stays as it is."""
    if isinstance(error, GantryError):
        return error
    if isinstance(error, OSError):
        return failure.of_system(error, step, statuses)
    if isinstance(error, sqlite3.Error):
        return of_index(error, step, statuses)
    return StorageError(
        f"Could not {step}: {type(error).__name__}: {quoted(error)}.",
        value=error.args,
        reaction=StatusReaction(0x0110, "Processing failure"),
        way_out="This is a fault of Gantry: please report it with the log.",
    )
