"""Files below a folder that others may write to: no symbolic link is followed, whenever it is made.

A name that was looked at may lead elsewhere a moment later. So each step of the way down is opened
in the one before, without following a link, and what is to be done is done in the folder that is
open. The folder itself may be reached over links: its owner has named it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@contextlib.contextmanager
def folder_beneath(
    root: str | os.PathLike[str], parts: Sequence[str], *, make: bool = False
) -> Iterator[int]:
    """A descriptor of the folder that these names lead to, for `dir_fd`; closed at the end.

    With `make` folders that are missing are made. Raises OSError: ELOOP or ENOTDIR where a link is
    in the way, and for a name that is none (PermissionError), such as "..".
    """
    place = os.open(root, _FOLDER)
    try:
        for part in parts:
            _check(part)
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=place)
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=place)
            os.close(place)
            place = inner
        yield place
    finally:
        os.close(place)


def open_beneath(root: str | os.PathLike[str], name: str) -> int:
    """A descriptor to read a file, `name` with "/" between its parts; a pipe or a device is never
    waited for. Raises OSError, as `folder_beneath` does."""
    *folders, last = name.split("/")
    _check(last)
    with folder_beneath(root, folders) as place:
        return os.open(last, _FILE, dir_fd=place)


def _check(part: str) -> None:
    if part in ("", ".", "..") or "/" in part:
        raise PermissionError(1, "the name leads out of its folder", part)
