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


def write_synced(file: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write a file whose content is on the disk afterwards; its name may not be (`put_in_place`).

    It gets exactly `mode`, and what the umask leaves where none is given. One that is there is not
    written into: it may be a link, or of another user. Raises OSError; a part may be there then.
    """
    file.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(file, flags, 0o666 if mode is None else 0o600)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        write_whole(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(file: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write a file that is there wholly, and on the disk, or stays as it was. Raises OSError."""
    new = file.with_name(f"{file.name}.new")
    write_synced(new, data, mode=mode)
    put_in_place(new, file)


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
