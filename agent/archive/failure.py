"""What the operating system reports, turned into StorageError with its status."""

from __future__ import annotations

import errno

from agent.archive.settings import StorageStatuses
from agent.errors import StatusReaction, StorageError
from agent.quoting import quoted


class DiskUnusable(StorageError):
    """The disk is away, read-only or fails; it may be there again without a change of ours."""


class DiskFull(StorageError):
    """There is no room."""


_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_AWAY = frozenset((errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN))
_DEFAULT = StorageStatuses()


def of_system(error: OSError, step: str, statuses: StorageStatuses = _DEFAULT) -> StorageError:
    """The error for a system call that failed while doing `step` ("sync the object")."""
    if error.errno in _FULL:
        return DiskFull(
            f"The disk is full; could not {step}.",
            value=error.errno,
            reaction=StatusReaction(statuses.disk_full, "Out of disk space"),
            way_out="Free some space, or let retention delete what is delivered.",
        )
    if error.errno == errno.EROFS:
        return DiskUnusable(
            f"The file system is read-only; could not {step}.",
            value=error.errno,
            reaction=StatusReaction(statuses.storage_failure, "Storage is read-only"),
            way_out="The kernel makes a damaged file system read-only: check it, and the disk.",
        )
    if error.errno in _AWAY:
        return DiskUnusable(
            f"The volume of the archive is gone; could not {step}.",
            value=error.errno,
            reaction=StatusReaction(statuses.volume_away, "Storage volume is away"),
            way_out="Plug it in or mount it again.",
        )
    return (DiskUnusable if error.errno == errno.EIO else StorageError)(
        f"The disk failed: {error.strerror or quoted(error)}; could not {step}.",
        value=error.errno,
        reaction=StatusReaction(statuses.storage_failure, "Storage failure"),
        way_out="Look at the kernel's log and at the health of the disk.",
    )
