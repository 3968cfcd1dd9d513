"""All that was written to the archive's file system, made durable by one wait for the disk.

syncfs(2) brings the data of new files, their names and the log of the index onto the disk together;
synced one after the other each waits for the disk anew, and on a card a wait takes ten
milliseconds. It promises as much as they do where two things hold: the kernel tells by it what
could not be written (from 5.8 on), and the file system is one whose answer we know. Everywhere else
each is synced for itself.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from hal.removable.mounts import mounts

_FILE_SYSTEMS = frozenset(("btrfs", "ext4", "f2fs", "tmpfs", "xfs"))
_TELLS_OF_ERRORS = (5, 8)
_RELEASE = re.compile(r"(\d+)\.(\d+)")


def can_be_synchronised_whole(folder: Path) -> bool:
    """Whether `synchronise` keeps its promise for what lies in a folder. Raises OSError."""
    release = _RELEASE.match(os.uname().release)
    if release is None or (int(release[1]), int(release[2])) < _TELLS_OF_ERRORS:
        return False
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    return any(each.number == number and each.file_system in _FILE_SYSTEMS for each in mounts())


@cache
def _syncfs() -> Callable[[int], int]:
    """Looked up once: that takes as long as a small object's rows."""
    found: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    return found


def synchronise(descriptor: int) -> None:
    """Make all of the file system durable on which an open file or folder lies.

    Raises OSError where anything on it could not be written since the last call with this
    descriptor, or since that was opened, whosever it was.
    """
    if _syncfs()(descriptor) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
