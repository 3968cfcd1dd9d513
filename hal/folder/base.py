"""The interface of a folder that is watched: which files in it are complete?

A watcher has no thread and no loop. Its owner waits for `descriptor` to be readable, or for the
clock to reach `deadline()`, and then calls `collect()`, which gives events and never waits. One
call does a bounded amount of work; while there is more, `deadline()` is now.

A file is complete when it was closed after writing, or moved in, and is not being written again.
One that nobody was seen closing (it was there at the start, or its writer is on the far side of a
network mount) is complete when size and modification time have been still for `settle` seconds.
Each version of a file is told once: a version that replaces another within one call is told in
place of it, an unchanged file never again. Symbolic links are never followed, neither to files
nor to folders; names that programs give to unfinished files are passed over.

Errors: `open()` raises `FolderError` when the system has no means to watch (no inotify instance
left; example: `max_user_instances` used up by another program). All else is an event: a folder
that is not there, that vanishes (example: the stick was pulled, the share unmounted) and comes
back, or a sub-folder that may not be read.

The watcher keeps a few hundred bytes for each file that lies in the folder: who takes a file
should move it away or delete it.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from hal.beneath import folder_beneath
from hal.drivers import made_by_driver

DRIVERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "inotify": ("hal.folder.inotify", "InotifyFolder"),
        "simulator": ("hal.folder.simulator", "SimulatedFolder"),
    }
)
"""Driver name to (module, class)."""

UNFINISHED_NAMES = (
    ".*",
    "~*",
    "*~",
    "*.tmp",
    "*.temp",
    "*.part",
    "*.partial",
    "*.filepart",
    "*.crdownload",
    "*.download",
    "*.swp",
    "*.lock",
)
"""Patterns of names, in any case, that programs give to files they are not done with."""


class FolderError(Exception):
    """The folder cannot be watched at all. Example: no inotify instance is left for this user."""


class FileChanged(Exception):
    """The file is no longer the version that was told. Example: it was replaced in between.

    The new version is told in its turn.
    """


class FileVersion(NamedTuple):
    """What tells two versions of a file at the same place apart."""

    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileVersion:
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class FolderEvent:
    """Something that happened. `path` is relative to the folder, "" for the folder itself; bytes
    that are no UTF-8 are kept as surrogates (os.fsencode gives them back)."""

    path: str


@dataclass(frozen=True, slots=True)
class FileComplete(FolderEvent):
    """A version of a file is complete."""

    version: FileVersion


@dataclass(frozen=True, slots=True)
class FolderGone(FolderEvent):
    """The folder is not there; files in it that were not told yet will be when it is back."""

    reason: str


@dataclass(frozen=True, slots=True)
class FolderReturned(FolderEvent):
    """The folder is there again and is being looked through."""


@dataclass(frozen=True, slots=True)
class FolderRescanned(FolderEvent):
    """The kernel lost track (more changes than its queue holds); all is being looked through."""


@dataclass(frozen=True, slots=True)
class FolderTrouble(FolderEvent):
    """A part of the folder cannot be seen; it is tried again. Said once until it works."""

    reason: str


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """How to watch. All times in seconds.

    `pattern` is what names of files must match, `ignored` what no name on the way may match.
    `settle` is the stillness after which an unclosed file counts as complete; `abandoned` the
    same for one whose writer has it open and does nothing. `rescan` is the interval of looking
    through everything, for file systems whose writers the kernel does not see; None finds out
    whether this is one. `check` is how often to see whether the folder is still the same.
    """

    recursive: bool = True
    pattern: str = "*"
    ignored: tuple[str, ...] = UNFINISHED_NAMES
    settle: float = 5.0
    abandoned: float = 120.0
    rescan: float | None = None
    check: float = 5.0
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _ignored: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pattern", re.compile(fnmatch.translate(self.pattern)))
        either = "|".join(fnmatch.translate(name.lower()) for name in self.ignored) or r"(?!)"
        object.__setattr__(self, "_ignored", re.compile(either))

    def takes_file(self, name: str) -> bool:
        """Whether a file of this name (without its folders) counts."""
        return self._pattern.match(name) is not None and not self._ignored.match(name.lower())

    def enters_folder(self, name: str) -> bool:
        """Whether a folder of this name within the folder is looked into."""
        return self.recursive and not self._ignored.match(name.lower())


class WatchedFolder(ABC):
    """A folder that is watched. Every call may touch the file system and so block on a dead
    network mount: the owner of such a folder calls from a worker."""

    @abstractmethod
    def open(self) -> None:
        """Begin to watch; files that are there already count too. Raises FolderError."""

    @abstractmethod
    def close(self) -> None:
        """Stop. Never raises; can be called twice."""

    @property
    @abstractmethod
    def descriptor(self) -> int | None:
        """Readable when something happened; the same from `open` to `close`. None: deadlines only.

        The owner only waits for it, and forgets it before `close()`.
        """

    @abstractmethod
    def deadline(self) -> float | None:
        """When to call `collect()` even if the descriptor is silent, in seconds of the clock."""

    @abstractmethod
    def collect(self, limit: int = 128) -> list[FolderEvent]:
        """What happened, in order; about `limit` files are looked at. Never waits."""


def open_version(folder: str, file: FileComplete) -> int:
    """Open a complete file for reading, without following a symbolic link below the folder.

    Returns a descriptor that the caller closes. Raises FileChanged when what lies there is not
    the version of the event, OSError when it cannot be opened.
    """
    try:
        with folder_beneath(folder, file.path.split("/")[:-1]) as place:
            return version_in(place, file)
    except FileNotFoundError:
        raise FileChanged(f"{file.path} is not there any more") from None


def version_in(place: int, file: FileComplete) -> int:
    """The same where the folder that it lies in is open already. Raises as `open_version` does."""
    # Non-blocking: what was a file may be a pipe by now.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(file.path.rpartition("/")[2], flags, dir_fd=place)
    except FileNotFoundError:
        raise FileChanged(f"{file.path} is not there any more") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or FileVersion.of(status) != file.version:
        os.close(descriptor)
        raise FileChanged(f"{file.path} was replaced or written again")
    return descriptor


def open_driver(name: str, **options: Any) -> WatchedFolder:
    """Make a watcher by its driver's name; imports the driver's module now.

    Raises FolderError for a name that is not in DRIVERS.
    """
    made = made_by_driver(DRIVERS, name, options, "folder driver", FolderError)
    assert isinstance(made, WatchedFolder)
    return made
