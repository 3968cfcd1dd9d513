"""What is on a medium as files with names: those of a folder, of a ZIP file, or of a mail.

Of a ZIP file and of a mail nothing is unpacked under its name: a file that is opened is unpacked
into one without a name, so that there is nothing to be led astray, and nothing that stays behind.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from agent.errors import StorageError
from agent.media.file_ids import DICOMDIR, FileNames, comparable, parts_of
from agent.media.found import Damage
from agent.media.opening import NO_OPENER, Opener
from agent.media.zip_reading import Entry, entries_of, unpack
from agent.quoting import quoted
from hal.beneath import open_beneath

_MOST_FAULTS = 1000
DEEPEST = 64
MOST_FILES = 2_000_000
"""What lies below each other, and how many files there may be: folders of a damaged file system can
hold themselves, several times over."""


class Tree(Protocol):
    """The files of a medium by their names, with "/" between components."""

    def real_name(self, file_id: str) -> str | None:
        """The name of the file that a File ID means; None where there is none. Raises
        StorageError where the medium cannot be read."""

    def files(self) -> Iterator[str | Damage]:
        """All names, folder by folder; what cannot be had is damage."""

    def open(self, name: str) -> int:
        """A descriptor to read a file, of a Secure DICOM file the plain one. Raises OSError, and
        StorageError with the reason where it cannot be had."""

    def close(self) -> None:
        """Let go of what is open."""


class FolderTree:
    """A folder, that of a medium that is mounted."""

    def __init__(self, root: Path, opener: Opener = NO_OPENER) -> None:
        self._root = root
        self._opener = opener
        self._names = FileNames(root)

    def real_name(self, file_id: str) -> str | None:
        """As FileNames has it."""
        return self._names.real_name(file_id)

    def files(self) -> Iterator[str | Damage]:
        """In the order of names; links are not followed. Memory: the names of the folders on the
        way down. What lies too deep, or behind too many others, is passed over and told."""
        pending = [""]
        left = MOST_FILES
        while pending:
            folder = pending.pop()
            if folder.count("/") >= DEEPEST:
                yield Damage(folder, f"there are more than {DEEPEST} folders in each other")
                continue
            try:
                with os.scandir(self._root / folder) as entries:
                    listed = sorted((each.name, _kind_of(each)) for each in entries)
            except OSError as error:
                yield Damage(folder or ".", f"the folder cannot be read: {error.strerror}")
                continue
            prefix = f"{folder}/" if folder else ""
            left -= len(listed) + 1
            if left < 0:
                yield Damage(folder or ".", f"there are more than {MOST_FILES} files: no more read")
                return
            yield from (prefix + name for name, kind in listed if kind == "file")
            pending.extend(prefix + name for name, kind in reversed(listed) if kind == "folder")

    def open(self, name: str) -> int:
        """Raises OSError, StorageError. No link is followed: what was a file when it was listed may
        be one now."""
        descriptor = open_beneath(self._root, name)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise StorageError("it is no file any more")
        return self._opener.opened(descriptor)

    def close(self) -> None:
        """Nothing is open."""


def _kind_of(entry: os.DirEntry[str]) -> str:
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return "file" if entry.is_file(follow_symlinks=False) else ""


class Packed(Protocol):
    """A file that is packed into another."""

    name: str
    size: int

    def unpack(self, target: int) -> None:
        """Write it. Raises OSError, StorageError."""


class PackedTree:
    """Files that are packed into one; the last that was opened is remembered.

    Memory: some 500 bytes a file.
    """

    def __init__(
        self,
        files: Iterable[Packed | Damage],
        opener: Opener = NO_OPENER,
        owned: Sequence[int] = (),
    ) -> None:
        """`owned` are descriptors that are closed with the tree. Raises what `files` raises, and
        closes them then."""
        self._opener = opener
        self._owned = [*owned]
        self._files: dict[str, Packed] = {}
        self._faults: list[Damage] = []
        self._last: tuple[str, int] | None = None
        try:
            for each in files:
                self._take(each)
        except BaseException:
            self.close()
            raise
        self._prefix = self._prefix_of_the_file_set()

    def _take(self, each: Packed | Damage) -> None:
        if isinstance(each, Damage):
            fault = each
            # Where a directory leads to it, the reason is told again.
            self._files.setdefault(comparable(each.file), RefusedFile(each))
        elif comparable(each.name) in self._files:
            fault = Damage(each.name, "a file of this name is there already")
        else:
            self._files[comparable(each.name)] = each
            return
        if len(self._faults) < _MOST_FAULTS:
            self._faults.append(fault)

    def _prefix_of_the_file_set(self) -> str:
        """Many put the folder into the archive, not what is in it: its one DICOMDIR says where."""
        found = [each for each in self._files if each.rsplit("/", 1)[-1] == DICOMDIR]
        return found[0][: -len(DICOMDIR)] if len(found) == 1 else ""

    def real_name(self, file_id: str) -> str | None:
        """The name in the archive."""
        parts = parts_of(file_id)
        if any(part in ("", ".", "..") for part in parts):
            return None
        found = self._files.get(self._prefix + "/".join(comparable(part) for part in parts))
        return found.name if found else None

    def files(self) -> Iterator[str | Damage]:
        """In the order of the archive, damage first."""
        yield from self._faults
        yield from (each.name for each in self._files.values() if type(each) is not RefusedFile)

    @property
    def faults(self) -> Sequence[Damage]:
        """What could not be taken into the tree."""
        return self._faults

    def open(self, name: str) -> int:
        """Raises OSError, StorageError."""
        if self._last is None or self._last[0] != name:
            self._forget()
            file = self._files[comparable(name)]
            self._last = name, unpacked(file, self._opener.folder)
        return self._opener.opened(_again(self._last[1]))

    def _forget(self) -> None:
        if self._last is not None:
            os.close(self._last[1])
            self._last = None

    def close(self) -> None:
        """The archive is closed."""
        self._forget()
        while self._owned:
            os.close(self._owned.pop())


class RefusedFile:
    """A file that is in the archive and cannot be had."""

    __slots__ = ("_reason", "name", "size")

    def __init__(self, damage: Damage) -> None:
        self.name = damage.file
        self.size = 0
        self._reason = damage.reason

    def unpack(self, target: int) -> None:
        """Raises StorageError."""
        raise StorageError(f"{quoted(self._reason)}")


def unpacked(file: Packed, folder: str | None) -> int:
    """A descriptor of a file without a name with what is packed. Raises OSError, StorageError."""
    with tempfile.TemporaryFile(dir=folder) as plain:
        free = os.fstatvfs(plain.fileno())
        if file.size > free.f_bavail * free.f_frsize:
            raise StorageError(
                f"it has {quoted(file.size)} bytes, and there is no room to unpack it",
                value=file.size,
            )
        file.unpack(plain.fileno())
        return _again(plain.fileno())


def _again(descriptor: int) -> int:
    """A descriptor of its own for the same file, for reading, with a position of its own."""
    return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)


class ZippedFile:
    """A file in a ZIP file."""

    __slots__ = ("_archive", "_entry", "name", "size")

    def __init__(self, archive: int, entry: Entry, prefix: str = "") -> None:
        self._archive = archive
        self._entry = entry
        self.name = prefix + entry.name
        self.size = entry.size

    def unpack(self, target: int) -> None:
        """Raises OSError, StorageError."""
        unpack(self._archive, self._entry, target)


def zipped_files(archive: int, prefix: str = "") -> Iterator[Packed | Damage]:
    """The files of an open ZIP file. Raises StorageError, OSError."""
    for each in entries_of(archive):
        if isinstance(each, Damage):
            yield Damage(prefix + each.file, each.reason)
        else:
            yield ZippedFile(archive, each, prefix)
