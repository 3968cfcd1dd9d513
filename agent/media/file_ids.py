"""File IDs (PS3.10 8.2 and 8.5), and the real names under which a medium shows them (PS3.12).

A File ID is up to eight components of up to eight characters. File systems show it in their own
ways: in lower case, with the version ";1" of ISO 9660, with a point where there is no extension.
Never is anything resolved that lies outside the root of the file-set.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from agent.errors import StorageError
from agent.quoting import quoted

DICOMDIR = "DICOMDIR"
"""The File ID of the file with the directory (PS3.10 8.6)."""

MOST_COMPONENTS = 8
LONGEST_COMPONENT = 8

_COMPONENT = re.compile(r"[A-Z0-9_]{1,8}", re.ASCII)
_FILE_SET_ID = re.compile(r"[A-Z0-9_]{0,16}", re.ASCII)
_VERSION = re.compile(r";[0-9]*$", re.ASCII)
_SEPARATORS = re.compile(r"[\\/]")
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)
"""What file systems say of names that they do not have, or could not have."""


def parts_of(file_id: str) -> tuple[str, ...]:
    """The components of a Referenced File ID (0004,1500); "/" is taken for a backslash."""
    return tuple(part.strip(" ") for part in _SEPARATORS.split(file_id))


def fault_of(file_id: str) -> str:
    """What PS3.10 8.2 and 8.5 say against a File ID; "" where it is right."""
    parts = file_id.split("\\")
    if len(parts) > MOST_COMPONENTS:
        return f"it has {len(parts)} components, at most {MOST_COMPONENTS} are allowed"
    for part in parts:
        if len(part) > LONGEST_COMPONENT:
            return f"the component {part!r} has more than {LONGEST_COMPONENT} characters"
        if not _COMPONENT.fullmatch(part):
            return f"the component {part!r} has other characters than A-Z, 0-9 and _"
    return ""


def is_file_set_id(text: str) -> bool:
    """Whether a File-set ID is as PS3.10 8.1 and 8.5 want it; none at all is right too."""
    return _FILE_SET_ID.fullmatch(text) is not None


def comparable(name: str) -> str:
    """A name without what drivers of ISO 9660 and of FAT make of it (PS3.12 annex F)."""
    return _VERSION.sub("", name).rstrip(".").upper()


class FileNames:
    """Finds the files below a root that File IDs mean.

    Holds the names of one folder at a time, and only where a name is not there as it is written.
    """

    def __init__(self, root: Path) -> None:
        self._root = Path(root)
        self._real_root = self._root.resolve()
        self._folder: str | None = None
        self._names: dict[str, str] = {}

    def real_name(self, file_id: str) -> str | None:
        """The name below the root, with "/" between components; None where there is no such file.

        None too for what leads out of the root, through ".." or a symbolic link, and for what is
        no regular file. A link that stays inside is followed here, once: the name is that of the
        file it leads to, and `open_beneath` can open it. Raises StorageError where the medium does
        not let itself be asked.
        """
        found = ""
        for part in parts_of(file_id):
            if part in ("", ".", "..") or "\0" in part:
                return None
            name = self._in_folder(found, part)
            if name is None:
                return None
            found = f"{found}/{name}" if found else name
        return self._real(found)

    def _real(self, name: str) -> str | None:
        try:
            real = (self._root / name).resolve(strict=True)
            mode = real.stat().st_mode
        except OSError as error:
            _check_not_there(name, error)
            return None
        except (RuntimeError, ValueError):
            return None
        if not stat.S_ISREG(mode) or not real.is_relative_to(self._real_root):
            return None
        return str(real.relative_to(self._real_root))

    def _in_folder(self, folder: str, part: str) -> str | None:
        try:
            (self._root / folder / part).lstat()
        except OSError as error:
            _check_not_there(f"{folder}/{part}" if folder else part, error)
        except ValueError:
            pass
        else:
            return part
        return self._listed(folder).get(comparable(part))

    def _listed(self, folder: str) -> dict[str, str]:
        if self._folder != folder:
            self._folder = None
            try:
                with os.scandir(self._root / folder) as entries:
                    self._names = {comparable(entry.name): entry.name for entry in entries}
            except OSError as error:
                _check_not_there(folder or ".", error)
                self._names = {}
            self._folder = folder
        return self._names


def _check_not_there(name: str, error: OSError) -> None:
    """Raises StorageError where the medium failed: that says nothing of what is on it."""
    if error.errno not in _NOT_THERE:
        raise StorageError(
            f"{quoted(name)} cannot be read: {error.strerror}.",
            value=error.errno,
            way_out="Look whether the medium is sound, and whether gantry may read it.",
        ) from error


def open_file(path: str | Path) -> int:
    """A descriptor to read a file of a medium; a pipe or a device is never waited for.

    Raises OSError.
    """
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
