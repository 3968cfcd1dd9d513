"""Writing that can be counted on: all of some bytes, and the names of files too."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write `data`, a view of single bytes, behind what stands in a blocking descriptor: one
    write(2) may take only a part of it, at a full disk too.

    Holds nothing of `data` afterwards, so that a bytearray can be resized again. Raises OSError;
    a part may have been written then.
    """
    start = os.write(descriptor, data)
    if start == len(data):
        return
    with memoryview(data) as view:
        while start < len(view):
            with view[start:] as rest:
                start += os.write(descriptor, rest)


def put_in_place(new: Path, target: Path) -> None:
    """Rename a file that is synced; afterwards it is under that name on the disk. Raises OSError.

    Until then FAT may have the old file, an empty one, or none under that name.
    """
    descriptor = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
    try:
        new.replace(target)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(target.parent)


def sync_file(path: Path) -> None:
    """Make durable what was written to a file. Raises OSError."""
    _sync(path, os.O_RDONLY | os.O_CLOEXEC)


def sync_folder(folder: Path) -> None:
    """Make durable what was created or renamed in a folder. Raises OSError."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
