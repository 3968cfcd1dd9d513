"""Where the files of a disc of ISO 9660 lie (PS3.12 annex F, ECMA-119), to be read back.

Reads an image, or the device of a drive. Extensions (Rock Ridge, Joliet) are not looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from agent.errors import StorageError
from agent.media.file_ids import comparable
from agent.quoting import quoted

_SECTOR = 2048
_PRIMARY = 16 * _SECTOR
_ROOT = 156
_IS_FOLDER, _MULTI_EXTENT = 0x02, 0x80
_LARGEST_FOLDER = 1 << 20
_DEEPEST = 8


class FileOnDisc(NamedTuple):
    """A file: its name below the root, with "/", and its place in bytes."""

    name: str
    position: int
    size: int


def files_in(descriptor: int) -> Iterator[FileOnDisc]:
    """The files of a disc, folder by folder.

    Memory: the records of one folder a level, at most a MiB. Raises StorageError for what is no
    such disc, and for a file in several extents, which Level 1 has not; OSError.
    """
    primary = os.pread(descriptor, _SECTOR, _PRIMARY)
    if primary[:7] != b"\1CD001\1":
        raise StorageError("there is no file system of ISO 9660", clause="ECMA-119 8.4")
    yield from _below(descriptor, "", primary[_ROOT : _ROOT + 34], 0)


def _below(descriptor: int, prefix: str, record: bytes, depth: int) -> Iterator[FileOnDisc]:
    size = _size(record)
    if depth > _DEEPEST or size > _LARGEST_FOLDER:
        raise _damaged(f"the folder {prefix or '/'}")
    for each in _records(os.pread(descriptor, size, _position(record))):
        identifier = each[33 : 33 + each[32]]
        if identifier in (b"\0", b"\1"):
            continue
        name = prefix + comparable(identifier.decode("ascii", "replace"))
        if each[25] & _IS_FOLDER:
            yield from _below(descriptor, f"{name}/", each, depth + 1)
        elif each[25] & _MULTI_EXTENT:
            raise _damaged(f"the file {quoted(name)}")
        else:
            yield FileOnDisc(name, _position(each), _size(each))


def _records(folder: bytes) -> Iterator[bytes]:
    """Records do not cross sectors: what is left of one is zero (ECMA-119 6.8.1.1)."""
    position = 0
    while position < len(folder):
        length = folder[position]
        if not length:
            position = (position // _SECTOR + 1) * _SECTOR
            continue
        record = folder[position : position + length]
        if length < 34 or len(record) < length or 33 + record[32] > length:
            raise _damaged("a record of a folder")
        yield record
        position += length


def _position(record: bytes) -> int:
    return int.from_bytes(record[2:6], "little") * _SECTOR


def _size(record: bytes) -> int:
    return int.from_bytes(record[10:14], "little")


def _damaged(what: str) -> StorageError:
    return StorageError(f"{what} of the disc is not as ISO 9660 has it", clause="ECMA-119 9.1")
