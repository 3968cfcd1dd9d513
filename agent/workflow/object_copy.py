"""An object out of a file of others: what it is, and its bytes behind a file meta of our own."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from agent.dataset import tags
from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import FileMeta
from agent.dataset.head import scan_head
from agent.dataset.whole_write import write_whole
from agent.errors import StorageError

_PIECE = 1 << 20
_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"


@dataclass(frozen=True, slots=True)
class Taken:
    """A file whose data set was copied."""

    sop_class_uid: str
    sop_instance_uid: str
    size: int
    remarks: tuple[str, ...]


def identity_of(source: int, meta: FileMeta) -> tuple[str, str]:
    """SOP class and instance as the data set has them, which is what counts."""
    head = scan_head(
        FileBytes(source, meta.data_set_offset),
        meta.encoding,
        frozenset((tags.SOP_CLASS_UID, tags.SOP_INSTANCE_UID)),
    )
    sop_class, instance = (
        head.values.get(tag, b"").rstrip(b"\0 ").decode("ascii", "replace")
        for tag in (tags.SOP_CLASS_UID, tags.SOP_INSTANCE_UID)
    )
    if meta.media_storage_sop_class_uid == _MEDIA_STORAGE_DIRECTORY:
        raise StorageError("the file is a DICOMDIR, which is the index of a medium and no object")
    if not (sop_class and instance):
        raise StorageError(
            "the file says no SOP Class UID and SOP Instance UID", clause="PS3.3 C.12.1"
        )
    return sop_class, instance


def copy_rest(source: int, offset: int, target: int) -> int:
    """Copy the rest of a file in the kernel where it can; how many bytes."""
    position = offset
    while True:
        try:
            count = os.copy_file_range(source, target, _PIECE, position)
        except OSError as error:
            # Which of the two files it was is found out by hand, and so is what cannot be done so.
            if error.errno == errno.ENOSPC:
                raise _copy_failed(error) from error
            return position - offset + _copy_by_hand(source, position, target)
        if not count:
            # Some file systems answer 0 for what they cannot copy so.
            return position - offset + _copy_by_hand(source, position, target)
        position += count


def _copy_by_hand(source: int, position: int, target: int) -> int:
    start = position
    while piece := os.pread(source, _PIECE, position):
        position += len(piece)
        write_to_archive(target, piece)
    return position - start


def write_to_archive(target: int, data: bytes) -> None:
    """Write behind what stands in a file of the archive. Raises StorageError with a reaction: it is
    no fault of the file that is copied."""
    try:
        write_whole(target, data)
    except OSError as error:
        raise _copy_failed(error) from error


def _copy_failed(error: OSError) -> StorageError:
    from agent.archive import failure

    return failure.of_system(error, "copy the object")
