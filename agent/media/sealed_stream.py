"""A long stream of bytes in sealed segments: each is a Secure file of its own (RFC 5652).

Segment after segment is encrypted as it is written, and decrypted and verified as it is read, so
that neither side holds more than one and nothing plain is ever on a disk. The segments lie in a
folder, or in one tar file; `openssl cms` opens each of them too, and put behind one another the
contents are the stream. Memory: four segments.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from agent.dataset.whole_write import sync_folder, write_whole
from agent.errors import StorageError
from agent.media.envelope import Envelope
from agent.media.secure_file import SecureFiles
from agent.quoting import quoted

SEGMENT = 1 << 23
"""Plain bytes of a segment."""

_LONGEST = SEGMENT + (1 << 20)
_BLOCK = tarfile.BLOCKSIZE


class Segments(ABC):
    """Where segments are written to."""

    @abstractmethod
    def add(self, name: str, data: bytes) -> None:
        """Raises OSError."""

    @abstractmethod
    def finish(self) -> None:
        """Make all of them durable, under the name that was wanted. Raises OSError."""

    @abstractmethod
    def abandon(self) -> None:
        """Leave nothing behind."""


class SegmentFolder(Segments):
    """A folder with a file for each: for media that hold no large files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._new = folder.with_name(f".{folder.name}.new")
        self.abandon()
        self._new.mkdir(mode=0o700)

    def add(self, name: str, data: bytes) -> None:
        descriptor = os.open(self._new / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            write_whole(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def finish(self) -> None:
        sync_folder(self._new)
        self._new.rename(self._folder)
        sync_folder(self._folder.parent)

    def abandon(self) -> None:
        shutil.rmtree(self._new, ignore_errors=True)


class SegmentFile(Segments):
    """One tar file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new = path.with_name(f".{path.name}.new")
        self._new.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self._new, flags, 0o600)

    def add(self, name: str, data: bytes) -> None:
        about = tarfile.TarInfo(name)
        about.size, about.mode = len(data), 0o600
        write_whole(self._descriptor, about.tobuf())
        write_whole(self._descriptor, data)
        write_whole(self._descriptor, bytes(-len(data) % _BLOCK))

    def finish(self) -> None:
        write_whole(self._descriptor, bytes(2 * _BLOCK))
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        self._new.replace(self._path)
        sync_folder(self._path.parent)

    def abandon(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._new.unlink(missing_ok=True)


class SealedWriter:
    """A stream to write to, for `tarfile`."""

    def __init__(self, envelope: Envelope, segments: Segments) -> None:
        self._envelope = envelope
        self._segments = segments
        self._held = bytearray()
        self._count = 0

    def write(self, data: bytes) -> int:
        """Raises OSError, StorageError."""
        self._held += data
        while len(self._held) >= SEGMENT:
            self._seal(self._held[:SEGMENT])
            del self._held[:SEGMENT]
        return len(data)

    def finish(self) -> None:
        """What is left is sealed too. Raises OSError, StorageError."""
        if self._held or not self._count:
            self._seal(self._held)
        self._segments.finish()

    def _seal(self, plain: bytes | bytearray) -> None:
        self._count += 1
        descriptor = os.memfd_create("segment")
        sealed = bytearray()
        try:
            write_whole(descriptor, plain)
            self._envelope.write(sealed.extend, descriptor)
        finally:
            os.close(descriptor)
        self._segments.add(_name(self._count), bytes(sealed))


class SealedReader:
    """A stream to read from, for `tarfile`."""

    def __init__(self, place: Path, files: SecureFiles) -> None:
        self._segments = _of_folder(place) if place.is_dir() else _of_file(place)
        self._files = files
        self._held = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end. Raises StorageError where a segment is not whole, or is
        not ours to open."""
        pieces = []
        while size > 0:
            if self._at >= len(self._held):
                sealed = next(self._segments, None)
                if sealed is None:
                    break
                self._held, self._at = self._opened(sealed), 0
                continue
            piece = self._held[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def _opened(self, sealed: bytes) -> bytes:
        descriptor = os.memfd_create("segment")
        try:
            write_whole(descriptor, sealed)
            plain = self._files.open(descriptor).descriptor
        finally:
            os.close(descriptor)
        with os.fdopen(plain, "rb") as opened:
            return opened.read(_LONGEST)


def _name(number: int) -> str:
    return f"segment-{number:08d}.p7m"


def _of_folder(folder: Path) -> Iterator[bytes]:
    number = 1
    while (path := folder / _name(number)).exists():
        with path.open("rb") as opened:
            data = opened.read(_LONGEST + 1)
        yield _checked(path.name, data)
        number += 1


def _of_file(path: Path) -> Iterator[bytes]:
    number = 1
    with path.open("rb") as opened:
        while any(block := opened.read(_BLOCK)):
            try:
                about = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.HeaderError as error:
                raise StorageError(
                    f"{quoted(path.name)} is no backup, or is damaged: {quoted(error)}"
                ) from error
            if about.name != _name(number) or not about.isreg() or about.size > _LONGEST:
                raise StorageError(
                    f"{quoted(path.name)} is no backup: it has {quoted(repr(about.name))} in it"
                )
            data = opened.read(about.size)
            if len(data) != about.size:
                raise StorageError(f"{quoted(path.name)} is cut off in {quoted(about.name)}")
            opened.read(-about.size % _BLOCK)
            yield data
            number += 1


def _checked(name: str, data: bytes) -> bytes:
    if len(data) > _LONGEST:
        raise StorageError(f"{name} is longer than a segment")
    return data
