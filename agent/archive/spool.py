"""The spool: the one writer's hold on the folder of Part 10 files.

An object gets its name when it is whole, by a link to the nameless file. Where it was synced before
its name is proof of a whole object. Where both are synced at once it is not, after a power cut, and
`agent.archive.confirmation` looks. After a crash there can be names without rows, but only above
the highest number that was ever committed.

All here may block, and is called in the storage worker only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.archive import failure, file_system, identity, layout
from agent.archive.settings import ArchiveSettings
from agent.dataset.whole_write import sync_folder
from agent.errors import StorageError
from agent.quoting import quoted

_STEP_OF_THE_LOCK = 0.02


class Spool:
    """The folder of one archive, locked for this process."""

    def __init__(self, folder: Path, settings: ArchiveSettings, lock: int, name: str) -> None:
        self.folder = folder
        self.identity = name
        self._settings = settings
        self._lock = lock
        self._objects = folder / layout.OBJECTS
        self._open_folders: dict[str, int] = {}
        self._unsynced: set[str] = set()

    @classmethod
    def open(cls, folder: Path, settings: ArchiveSettings) -> Spool:
        """Take the folder: check its identity, lock it, make its sub-folders, clear `incoming/`.

        Raises StorageError when the volume is away, when another process writes here, or when the
        disk fails.
        """
        name = identity.settle(folder, settings)
        lock = -1
        try:
            lock = _take_lock(folder / layout.LOCK, settings.lock_patience)
            for sub_folder in (layout.OBJECTS, layout.INCOMING, layout.STRAYS):
                (folder / sub_folder).mkdir(mode=0o750, exist_ok=True)
            sync_folder(folder)
            spool = cls(folder, settings, lock, name)
            spool._clear_incoming()
        except OSError as error:
            if lock >= 0:
                os.close(lock)
            raise failure.of_system(error, "open the archive", settings.statuses) from error
        return spool

    def close(self) -> None:
        """Let the folder go."""
        for descriptor in self._open_folders.values():
            os.close(descriptor)
        self._open_folders.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def path(self, number: int) -> Path:
        """Where an object lies."""
        return layout.object_path(self.folder, number)

    def open_object(self, number: int) -> int:
        """A descriptor to read an object with. Raises OSError."""
        return os.open(self.path(number), os.O_RDONLY | os.O_CLOEXEC)

    def link(self, descriptor: int, number: int) -> None:
        """Give the file behind `descriptor` its name. It was synced before, or is by `sync_whole`.

        The name is durable after `sync`. Raises OSError; FileExistsError when the number is taken.
        """
        folder = self._folder_of(number)
        # With a folder's descriptor Python calls linkat(2) with AT_SYMLINK_FOLLOW, which is what
        # gives a name to a nameless file; without one it calls link(2), which cannot.
        os.link(
            f"/proc/self/fd/{descriptor}",
            layout.file_name(number),
            dst_dir_fd=folder,
            follow_symlinks=True,
        )
        self._unsynced.add(layout.folder_name(number))

    def sync(self) -> None:
        """Make all names durable that were given since the last call. Raises OSError."""
        try:
            for name in self._unsynced:
                os.fsync(self._open_folders[name])
        finally:
            self._settle()

    def sync_whole(self) -> None:
        """Make names, objects and the log of the index durable, all at once. Raises OSError."""
        try:
            file_system.synchronise(self._lock)
        finally:
            self._settle()

    def _settle(self) -> None:
        self._unsynced.clear()
        # The counter only grows: of the folders only the last is needed again.
        for name in sorted(self._open_folders)[:-1]:
            os.close(self._open_folders.pop(name))

    def remove(self, numbers: Iterable[int]) -> None:
        """Delete objects, durably; those that are gone already are no error. Raises OSError."""
        folders: dict[Path, None] = {}
        for number in numbers:
            path = self.path(number)
            path.unlink(missing_ok=True)
            folders[path.parent] = None
        for folder in folders:
            try:
                sync_folder(folder)
            except FileNotFoundError:
                continue
            if folder.name not in self._open_folders:
                _remove_if_empty(folder)

    def forget_incoming(self, name: str) -> None:
        """Delete the hidden name of a file that was received where there are no nameless ones."""
        if name:
            (self.folder / layout.INCOMING / name).unlink(missing_ok=True)

    def numbers_above(self, number: int) -> Iterator[int]:
        """The numbers of objects above `number`, ascending: after a crash, those without rows.

        Looks into the folders from that number on only, so it costs the same for any archive.
        """
        first = (number + 1) // layout.OBJECTS_IN_A_FOLDER
        for folder in self._folders():
            if int(folder) >= first:
                yield from (found for found in self._numbers_in(folder) if found > number)

    def numbers(self) -> Iterator[int]:
        """All numbers of objects, ascending: for a rebuild of the index. Reads every folder."""
        return self.numbers_above(-1)

    def set_aside(self, number: int) -> Path:
        """Move a file that is no object out of the way, into `strays/`. Raises OSError."""
        path = self.path(number)
        aside = self.folder / layout.STRAYS / f"{path.name}.{time.time_ns()}"
        path.rename(aside)
        sync_folder(path.parent)
        sync_folder(aside.parent)
        return aside

    def _folders(self) -> list[str]:
        names = (entry.name for entry in os.scandir(self._objects) if entry.is_dir())
        return sorted(name for name in names if len(name) == 6 and name.isdigit())

    def _numbers_in(self, folder: str) -> list[int]:
        numbers = []
        for entry in os.scandir(self._objects / folder):
            number = layout.number_of(entry.name)
            if number is not None and layout.folder_name(number) == folder:
                numbers.append(number)
        return sorted(numbers)

    def _folder_of(self, number: int) -> int:
        name = layout.folder_name(number)
        found = self._open_folders.get(name)
        if found is None:
            path = self._objects / name
            if not path.is_dir():
                path.mkdir(mode=0o750)
                sync_folder(self._objects)
            found = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._open_folders[name] = found
        return found

    def _clear_incoming(self) -> None:
        for entry in os.scandir(self.folder / layout.INCOMING):
            if entry.is_file(follow_symlinks=False):
                Path(entry.path).unlink(missing_ok=True)


def _take_lock(path: Path, patience: float) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    ends = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() >= ends:
                os.close(descriptor)
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                raise StorageError(
                    f"Another process writes to the archive in {quoted(path.parent)}.",
                    value=str(path),
                    way_out="Stop the other node, or give this one a folder of its own.",
                ) from None
        time.sleep(_STEP_OF_THE_LOCK)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise
