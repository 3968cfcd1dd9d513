"""What was written, read back from the medium and held against what it was written from.

Of each file are kept its name, and digests of its two parts: the file meta information as it was
written, and the data set as it is in the archive. They wait in a nameless file: 64 bytes each.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agent.dataset.file_meta import read_file_meta
from agent.media.disc_image import files_in
from agent.media.file_ids import DICOMDIR, open_file
from agent.media.file_set import TOP_FOLDER
from agent.media.found import FoundInstance
from agent.media.reading import found_in
from agent.quoting import quoted
from agent.workflow.export_settings import NotAsWritten

_PIECE = 1 << 20
_DIGEST = 16


class Written(NamedTuple):
    """A file of the file-set, as it must be."""

    name: str
    head: int
    checksum: int
    digest: bytes


class WrittenFiles:
    """Those of one volume, in the order in which they were written."""

    def __init__(self, scratch: Path) -> None:
        self._rows = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 (closed by close)
        self.count = 0

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()

    def add(self, written: Written) -> None:
        """One more. Raises OSError."""
        name, head, checksum, digest = written
        self._rows.seek(0, os.SEEK_END)
        self._rows.write(f"{name} {head} {checksum} {digest.hex()}\n".encode())
        self.count += 1

    def __iter__(self) -> Iterator[Written]:
        self._rows.flush()
        position = 0
        while True:
            self._rows.seek(position)
            line = self._rows.readline()
            if not line:
                return
            position += len(line)
            name, head, checksum, digest = line.decode().split()
            yield Written(name, int(head), int(checksum), bytes.fromhex(digest))


def digest_of_data_set(path: Path) -> bytes:
    """Of a Part 10 file. Raises OSError, and StorageError for what is none."""
    descriptor = open_file(path)
    try:
        return _digest(descriptor, read_file_meta(descriptor).data_set_offset)
    finally:
        os.close(descriptor)


def written_as(folder: Path, file_id: str, digest: bytes) -> Written:
    """A file that was just written, with its file meta information as it is, and the digest of
    the data set that it must have. Raises OSError, and NotAsWritten for what is no DICOM file."""
    name = file_id.replace("\\", "/")
    descriptor = open_file(folder / name)
    try:
        head = read_file_meta(descriptor).data_set_offset
        return Written(name, head, zlib.crc32(os.pread(descriptor, head, 0)), digest)
    finally:
        os.close(descriptor)


def directory_as(folder: Path, name: str = DICOMDIR) -> Written:
    """The directory as it was just written. Raises OSError."""
    descriptor = open_file(folder / name)
    try:
        return Written(name, 0, 0, _digest(descriptor, 0))
    finally:
        os.close(descriptor)


def verify_file(folder: Path, written: Written) -> int:
    """Read a file from the medium, not from memory, and compare it; its bytes.

    Raises NotAsWritten, naming it, and OSError.
    """
    try:
        descriptor = open_file(folder / written.name)
    except FileNotFoundError as error:
        raise NotAsWritten(f"{quoted(written.name)} is missing", value=written.name) from error
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        head = os.pread(descriptor, written.head, 0)
        if zlib.crc32(head) != written.checksum or len(head) != written.head:
            raise _differs(written.name)
        if _digest(descriptor, written.head) != written.digest:
            raise _differs(written.name)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def verify_directory(folder: Path, files: WrittenFiles, *, alone: bool) -> None:
    """Whether the directory leads to every file that was written, and to nothing else where they
    are `alone`. Memory: 60 bytes for each file. Raises NotAsWritten, StorageError, OSError."""
    wanted = {hash(each.name) for each in files if each.name.startswith(f"{TOP_FOLDER}/")}
    for found in found_in(folder, open_files=False):
        if isinstance(found, FoundInstance):
            mine = hash(found.file)
            if alone and mine not in wanted:
                raise NotAsWritten(f"the directory leads to {quoted(found.file)} twice, or wrongly")
            wanted.discard(mine)
        elif alone:
            raise NotAsWritten(f"{quoted(found.file)}: {quoted(found.reason)}")
    if wanted:
        raise NotAsWritten(f"the directory does not lead to {len(wanted)} of the files")


def verify_image(image: Path, folder: Path, count: int) -> Iterator[str]:
    """Whether an image has every file of the folder, byte for byte; their names as it goes on.

    Raises NotAsWritten, StorageError for what is no image, OSError.
    """
    descriptor = open_file(image)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        seen = 0
        for name, position, size in files_in(descriptor):
            _compare(descriptor, position, size, folder / name, name)
            seen += 1
            yield name
        if seen != count:
            raise NotAsWritten(
                f"{quoted(image.name)} has {quoted(seen)} of {count} files", value=seen, limit=count
            )
    finally:
        os.close(descriptor)


def _compare(image: int, position: int, size: int, path: Path, name: str) -> None:
    try:
        original = open_file(path)
    except FileNotFoundError as error:
        raise NotAsWritten(
            f"{quoted(name)} is in the image, and should not be", value=name
        ) from error
    try:
        if os.fstat(original).st_size != size:
            raise _differs(name)
        done = 0
        while piece := os.pread(original, _PIECE, done):
            if os.pread(image, len(piece), position + done) != piece:
                raise _differs(name)
            done += len(piece)
    finally:
        os.close(original)


def _digest(descriptor: int, position: int) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST)
    while piece := os.pread(descriptor, _PIECE, position):
        digest.update(piece)
        position += len(piece)
    return digest.digest()


def _differs(name: str) -> NotAsWritten:
    return NotAsWritten(
        f"{quoted(name)} is not what was written",
        value=name,
        way_out="Take another medium: this one does not keep what is written to it.",
    )
