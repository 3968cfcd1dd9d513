"""An archive as it was at one moment, for a backup, while its node goes on.

The index is copied by SQLite's online backup in one step: a reader of its own, which holds up
nobody. The objects that it tells of get second names (hard links) in a folder beside them, so that
what is deleted meanwhile stays until the backup has it. What was acknowledged before is committed,
so it is in the copy.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from agent.archive import layout
from agent.archive.index import connect
from agent.archive.schema import VERSION
from agent.errors import StorageError
from agent.quoting import quoted

PREFIX = ".backup-"
_TRIES = 20
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV)


class Frozen:
    """The copy of the index, and where each object lies."""

    def __init__(self, folder: Path, staging: Path) -> None:
        self.folder = folder
        self.index = staging / layout.INDEX
        self._staging = staging
        self._links = True

    def numbers(self) -> Iterator[int]:
        """The numbers of all objects, ascending."""
        with closing(connect(self.index, read_only=True)) as connection:
            for (number,) in connection.execute("SELECT id FROM instance ORDER BY id"):
                yield int(number)

    def path(self, number: int) -> Path:
        """Where to read an object; it may be gone on a volume that knows no hard links."""
        if self._links:
            return layout.object_path(self._staging, number)
        return layout.object_path(self.folder, number)

    def freeze(self) -> None:
        """Raises StorageError where objects go faster than they can be held."""
        for _ in range(_TRIES):
            self._copy_index()
            if all(self._hold(each) for each in self.numbers()):
                return
        raise StorageError(
            f"objects of {quoted(self.folder)} are deleted faster than they can be held",
            way_out="Try again when less is delivered and deleted, or stop the node meanwhile.",
        )

    def _copy_index(self) -> None:
        self.index.unlink(missing_ok=True)
        try:
            with (
                closing(connect(self.folder / layout.INDEX, read_only=True)) as source,
                closing(connect(self.index)) as target,
            ):
                source.backup(target, pages=-1)
                # One file, which needs no log beside it.
                target.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:
            raise StorageError(
                f"the index of {quoted(self.folder)} cannot be copied: {quoted(error)}"
            ) from error

    def _hold(self, number: int) -> bool:
        """Whether the object is there and will stay."""
        source = layout.object_path(self.folder, number)
        if not self._links:
            return source.exists()
        target = self.path(number)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target)
        except FileExistsError:
            return True
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._links = False
            return source.exists()
        return True


@contextmanager
def frozen(folder: Path) -> Iterator[Frozen]:
    """An archive, frozen as long as the context lasts; needs room for its index in its folder.

    What a killed backup left is cleared away. Raises StorageError, OSError.
    """
    if not (folder / layout.INDEX).exists():
        raise StorageError(f"there is no archive in {quoted(folder)}")
    staging = folder / f"{PREFIX}{os.getpid()}"
    with _as_owner(folder):
        _clear(folder)
        staging.mkdir(mode=0o700)
    lock = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = Frozen(folder, staging)
        with _as_owner(folder):
            made.freeze()
        yield made
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        os.close(lock)


def _clear(folder: Path) -> None:
    for left in folder.glob(f"{PREFIX}*"):
        lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                f"another backup of {quoted(folder)} is being made", way_out="Wait for it."
            ) from error
        finally:
            os.close(lock)
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _as_owner(folder: Path) -> Iterator[None]:
    """Root becomes the owner of the archive: files that SQLite makes beside the index are his."""
    about = folder.stat()
    if os.geteuid() != 0 or about.st_uid == 0:
        yield
        return
    group = os.getegid()
    os.setegid(about.st_gid)
    os.seteuid(about.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


def index_version(index: Path) -> int:
    """The version of the tables. Raises StorageError where it is no whole index of ours, or newer.

    Reads all of it.
    """
    try:
        with closing(connect(index, read_only=True)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise StorageError(f"the index is damaged: {quoted(error)}") from error
    if verdict != "ok":
        raise StorageError(f"the index is damaged: {quoted(verdict)}")
    if not 0 < version <= VERSION:
        raise StorageError(
            "the index was made by a newer version",
            value=version,
            limit=VERSION,
            way_out="Install that version, or a later one, before you restore.",
        )
    return int(version)
