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
from agent.dataset.whole_write import sync_folder, write_whole
from agent.media.directory_writer import Creator
from agent.media.envelope import Envelope
from agent.media.examining import Examined

_BLOCK = 1 << 20
_TOGETHER = 64


def copy_part_10(
    descriptor: int,
    found: Examined,
    root: Path,
    name: str,
    creator: Creator,
    envelope: Envelope | None = None,
    syncing: Syncing | None = None,
) -> None:
    """Write the file to a new name below `root`, synced; a file meta information that is wrong is
    written anew.

    With `syncing` it is synced with others, when that says so.
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
        else:
            write_whole(out, head)
            while piece := os.pread(descriptor, _BLOCK, position):
                write_whole(out, piece)
                position += len(piece)
        if syncing is None:
            os.fsync(out)
        else:
            syncing.later(out, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        os.close(out)


class Syncing:
    """Files that are to be on the disk soon, some dozen at a time.

    The first of them costs what one alone would: file systems with a journal write that once for
    all that has come together. What failed once fails again: nobody may count on those files.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, Path]] = []
        self._failure: OSError | None = None

    def later(self, descriptor: int, path: Path) -> None:
        """One more, which is being written out already. Raises OSError where one of those that
        have waited cannot be."""
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        self._waiting.append((os.dup(descriptor), path))
        if len(self._waiting) >= _TOGETHER:
            self.now()

    def now(self) -> None:
        """All of them. Raises OSError."""
        while self._waiting:
            descriptor, path = self._waiting.pop()
            try:
                os.fsync(descriptor)
            except OSError as error:
                self._failure = OSError(error.errno, error.strerror, str(path))
            finally:
                os.close(descriptor)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Let go of them, synced or not."""
        while self._waiting:
            os.close(self._waiting.pop()[0])


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
        and not meta.foreign_preamble
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
