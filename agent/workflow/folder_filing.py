"""Files that were taken from a watched folder are deleted, or moved to where they are kept.

Others may write to that folder, and may put a link in the place of a folder at any moment: all is
done in folders that are open, and no link below them is followed.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from agent.dataset.whole_write import write_whole
from agent.errors import StorageError
from hal.beneath import folder_beneath
from hal.folder.base import FileChanged, FileComplete, version_in

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 1 << 20


def delete(folder: str, file: FileComplete) -> None:
    """Delete this version of the file; another one stays. Raises StorageError."""
    try:
        with _there(folder, file) as found:
            if found is not None:
                os.unlink(found[1], dir_fd=found[0])
    except FileNotFoundError:
        return
    except OSError as error:
        raise unreadable(error) from error


def move(folder: str, file: FileComplete, kept: str, reason: str) -> str:
    """Move this version of the file into the folder `kept`; where to. `reason` is written beside
    it.

    What has the same name there stays: the new one gets a number. Raises StorageError.
    """
    try:
        with _there(folder, file) as found:
            if found is None:
                return ""
            source, name = found
            with _kept(folder, kept, file.path.split("/")[:-1]) as target:
                free = _free_name(name, target)
                _rename(source, name, target, free)
                if reason:
                    _write(f"{free}.reason", target, f"{reason}\n".encode())
    except OSError as error:
        raise unreadable(error) from error
    return str(Path(kept, file.path).with_name(free))


def unreadable(error: OSError) -> StorageError:
    """The error for a folder that does not let us."""
    return StorageError(f"the folder does not let us: {error.strerror}", value=error.errno)


@contextlib.contextmanager
def _there(folder: str, file: FileComplete) -> Iterator[tuple[int, str] | None]:
    """The folder of the file and its name there; None where that version is there no more."""
    *folders, name = file.path.split("/")
    with contextlib.ExitStack() as opened:
        try:
            place = opened.enter_context(folder_beneath(folder, folders))
            os.close(version_in(place, file))
        except (FileChanged, FileNotFoundError, NotADirectoryError):
            yield None
            return
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            yield None
            return
        yield place, name


@contextlib.contextmanager
def _kept(folder: str, kept: str, folders: list[str]) -> Iterator[int]:
    """The folder that files go to; one within the watched folder belongs to others too."""
    place = Path(kept)
    inside = place.is_relative_to(folder) and ".." not in place.parts
    if inside:
        folders = [*place.relative_to(folder).parts, *folders]
    else:
        place.mkdir(parents=True, exist_ok=True)
    with folder_beneath(folder if inside else kept, folders, make=True) as found:
        yield found


def _free_name(name: str, place: int) -> str:
    found, number = name, 0
    while _exists(found, place):
        number += 1
        found = f"{name}-{number}"
    return found


def _exists(name: str, place: int) -> bool:
    try:
        os.stat(name, dir_fd=place, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _rename(source: int, name: str, target: int, new_name: str) -> None:
    try:
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Whole under its name, or not there: another file system takes a copy first.
        hidden = f".{new_name}.part"
        _copy(source, name, target, hidden)
        os.rename(hidden, new_name, src_dir_fd=target, dst_dir_fd=target)
        os.unlink(name, dir_fd=source)


def _copy(source: int, name: str, target: int, new_name: str) -> None:
    reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    try:
        with _made(new_name, target) as writing:
            while piece := os.read(reading, _PIECE):
                write_whole(writing, piece)
            os.fsync(writing)
    finally:
        os.close(reading)


def _write(name: str, place: int, data: bytes) -> None:
    with _made(name, place) as descriptor:
        write_whole(descriptor, data)


@contextlib.contextmanager
def _made(name: str, place: int) -> Iterator[int]:
    """A new file, in the place of one that was left there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=place)
    descriptor = os.open(name, _NEW, 0o666, dir_fd=place)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
