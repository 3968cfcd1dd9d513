"""Copying Part 10 files onto a medium, whole and on the disk before anyone counts on them.

Media have FAT mostly, which has no journal: what is not synced may arrive in any order, or never.
There a rename is several writes, and where the new name leads to is written with the file itself,
not with its folder; so both are synced, and nothing that must not be lost is renamed.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from agent.dataset.file_meta import encode_file_meta
from agent.dataset.whole_write import write_whole
from agent.media.directory_writer import Creator
from agent.media.envelope import Envelope
from agent.media.examining import Examined

_BLOCK = 1 << 20


def copy_part_10(
    descriptor: int,
    found: Examined,
    root: Path,
    name: str,
    creator: Creator,
    envelope: Envelope | None = None,
) -> None:
    """Write the file to a new name below `root`, synced; a file meta information that is wrong is
    written anew.

    On a medium the file meta information must say what the data set is (PS3.4 I.3.1, PS3.10 7.1);
    the data set stays as it is. With an envelope it is a Secure DICOM file (PS3.10 7.4). Memory:
    one MiB. Raises OSError; nothing is left then.
    """
    target = root / name
    _make_folders(root, target.parent)
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        head, position = b"", 0
        if not _is_right(found):
            head, position = _new_meta(found, creator), found.meta.data_set_offset
        if envelope is not None:
            envelope.write(partial(write_whole, out), descriptor, position, head)
            os.fsync(out)
            return
        write_whole(out, head)
        while piece := os.pread(descriptor, _BLOCK, position):
            write_whole(out, piece)
            position += len(piece)
        os.fsync(out)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        os.close(out)


def _make_folders(root: Path, folder: Path) -> None:
    """Those that are missing below the root, each on the disk before there is anything in it: else
    it may be found with what was in its place before.

    The root is not made: where a medium was, there may be nothing any more.
    """
    if folder == root or folder.is_dir():
        return
    _make_folders(root, folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder)
    sync_folder(folder.parent)


def _is_right(found: Examined) -> bool:
    meta = found.meta
    return (
        meta.has_preamble
        and meta.encoding_uid == meta.transfer_syntax_uid
        and meta.media_storage_sop_class_uid == found.sop_class_uid
        and meta.media_storage_sop_instance_uid == found.sop_instance_uid
        and not meta.remarks
    )


def _new_meta(found: Examined, creator: Creator) -> bytes:
    return encode_file_meta(
        sop_class_uid=found.sop_class_uid,
        sop_instance_uid=found.sop_instance_uid,
        transfer_syntax_uid=found.meta.encoding_uid,
        implementation_class_uid=creator.implementation_class_uid,
        implementation_version_name=creator.implementation_version_name,
        source_ae_title=creator.source_ae_title,
    )


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
    """What was written to a file is on the disk. Raises OSError."""
    _sync(path, os.O_RDONLY | os.O_CLOEXEC)


def sync_folder(folder: Path) -> None:
    """What was created or renamed in the folder is on the disk. Raises OSError."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
