"""Making a backup: one encrypted stream of all that a box needs to be itself again.

Inside the segments is a tar archive: first what the backup says of itself, then the files under
their full names, at last their digests, by which a restore knows that it has all of them, and all
as they were. Memory: four segments and a few rows.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from agent import __version__
from agent.archive import layout
from agent.archive.backup import Frozen, frozen
from agent.archive.schema import VERSION
from agent.configuration.configuration import Configuration
from agent.errors import StorageError
from agent.media.envelope import Envelope
from agent.media.sealed_stream import SealedWriter, SegmentFile, SegmentFolder
from agent.workflow.backup_contents import (
    archives_of,
    check_known,
    configuration_files,
    not_taken,
    roots_of,
    state_files,
)

FORMAT = 1
ABOUT, DIGESTS = "gantry-backup.json", "gantry-digests"
"""The first and the last file of the archive."""

_BLOCK = 1 << 18


@dataclass(slots=True)
class Made:
    """What came of it: where it lies, how much, and what could not be taken."""

    place: Path
    files: int
    objects: int
    size: int
    not_taken: list[str]


def write_backup(
    configuration: Configuration, target: Path, envelope: Envelope, *, in_segments: bool
) -> Made:
    """Make one; it has its name when it is whole. `in_segments`: a folder of small files.

    The node may run. Raises StorageError, ConfigurationError.
    """
    check_known(configuration)
    try:
        with ExitStack() as stack:
            archives = [
                stack.enter_context(frozen(folder))
                for folder in archives_of(configuration).values()
                if (folder / layout.INDEX).exists()
            ]
            segments = SegmentFolder(target) if in_segments else SegmentFile(target)
            stack.callback(segments.abandon)
            out = SealedWriter(envelope, segments)
            made = _write(configuration, target, out, archives)
            out.finish()
            return made
    except OSError as error:
        where = error.filename or target
        raise StorageError(f"{where}: {error.strerror}", value=error.errno) from error


def _write(
    configuration: Configuration, target: Path, out: SealedWriter, archives: list[Frozen]
) -> Made:
    with (
        tempfile.TemporaryFile() as digests,
        tarfile.open(
            fileobj=cast(BinaryIO, out), mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 16
        ) as tar,
    ):
        writing = _Writing(tar, cast(BinaryIO, digests))
        _add_text(tar, ABOUT, json.dumps(_about(configuration)).encode())
        for path in configuration_files(configuration):
            writing.add(path, path)
        for path in state_files(configuration):
            writing.add(path, path, may_be_gone=True)
        for each in archives:
            writing.add(each.index, each.folder / layout.INDEX)
            for number in each.numbers():
                writing.add(each.path(number), layout.object_path(each.folder, number))
                writing.objects += 1
        size = digests.tell()
        digests.seek(0)
        about = tarfile.TarInfo(DIGESTS)
        about.size = size
        tar.addfile(about, digests)
    return Made(target, writing.files, writing.objects, writing.size, not_taken(configuration))


def _about(configuration: Configuration) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": __version__,
        "index": VERSION,
        "name": configuration.node.name,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "roots": [str(each) for each in roots_of(configuration)],
        "owners": [_owner(each) for each in roots_of(configuration)],
        "archives": [str(each) for each in archives_of(configuration).values()],
        "files": [str(each) for each in configuration_files(configuration)],
        "not_taken": not_taken(configuration),
    }


def _owner(folder: Path) -> list[int]:
    about = folder.stat()
    return [about.st_uid, about.st_gid, about.st_mode & 0o777]


def _add_text(tar: tarfile.TarFile, name: str, text: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(text)
    tar.addfile(about, io.BytesIO(text))


class _Writing:
    """Files on their way into the archive, and what is noted of them."""

    def __init__(self, tar: tarfile.TarFile, digests: BinaryIO) -> None:
        self._tar = tar
        self._digests = digests
        self.files = self.objects = self.size = 0

    def add(self, source: Path, name: Path, *, may_be_gone: bool = False) -> None:
        """A file or a folder, under its full name. Raises OSError."""
        try:
            if source.is_dir():
                self._tar.addfile(self._about(name, source.stat(), 0, tarfile.DIRTYPE))
                return
            opened = source.open("rb")
        except FileNotFoundError:
            if may_be_gone:
                return
            raise
        with opened:
            about = os.fstat(opened.fileno())
            # What grows meanwhile is taken as it was when it was opened.
            reading = _Digested(opened, about.st_size)
            entry = self._about(name, about, about.st_size, tarfile.REGTYPE)
            self._tar.addfile(entry, cast(BinaryIO, reading))
        self._digests.write(digest_line(str(name), reading.digest.hexdigest()))
        self.files += 1
        self.size += about.st_size
        # What tarfile remembers of each would grow with the archive.
        self._tar.members.clear()  # type: ignore[attr-defined]

    def _about(self, name: Path, about: os.stat_result, size: int, kind: bytes) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(str(name).lstrip("/"))
        entry.type, entry.size, entry.mode = kind, size, about.st_mode & 0o7777
        entry.uid, entry.gid, entry.mtime = about.st_uid, about.st_gid, about.st_mtime
        return entry


class _Digested:
    """A file that is read once, no further than its size."""

    def __init__(self, opened: BinaryIO, size: int) -> None:
        self._opened = opened
        self._left = size
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._opened.read(min(size, self._left))
        self._left -= len(data)
        self.digest.update(data)
        return data


def digest_line(name: str, digest: str) -> bytes:
    """What is noted of a file: its name as JSON, so that it is one line whatever is in it."""
    return f"{digest} {json.dumps(name)}\n".encode()


def pieces(opened: BinaryIO) -> Iterator[bytes]:
    """A file, piece after piece."""
    while piece := opened.read(_BLOCK):
        yield piece
