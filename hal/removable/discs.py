"""Making, burning and reading back discs as PS3.12 Annex F (CD-R) wants them.

ISO 9660 Level 1, without extensions that other systems read in its place (Rock Ridge, Joliet); the
File-set ID is the Volume Identifier. All of this blocks for minutes: it is for a worker.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from hal.removable import optical, xorriso
from hal.removable.base import (
    MediumGone,
    NotWritten,
    WriteProtected,
    WrongSettings,
)
from hal.removable.xorriso import Progress

FILE_SET_ID = re.compile(r"[A-Z0-9_]{0,16}")
"""PS3.10 8.1 and 8.5."""
_FILE_NAME = re.compile(r"[A-Z0-9_]{1,8}(\.[A-Z0-9_]{0,3})?")
_FOLDER_NAME = re.compile(r"[A-Z0-9_]{1,8}")
_DEEPEST = 8
"""Levels of folders, the root included: ECMA-119 6.8.2.1."""
_LARGEST_FILE = 2**32 - 2048
"""Bytes of a file that is one extent, as Level 1 has it."""
_CHUNK = 1 << 20


def check_names(folder: str) -> None:
    """Whether all that lies below a folder can be on a disc of Level 1 under its own name.

    Raises WrongSettings with the first path that cannot: xorriso would give it another name, which
    no DICOMDIR knows.
    """
    root = Path(folder)
    for place, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(place, name)
            shown = path.relative_to(root)
            status = path.lstat()
            is_folder = stat.S_ISDIR(status.st_mode)
            if not is_folder and not stat.S_ISREG(status.st_mode):
                raise WrongSettings(f"{shown} is neither a file nor a folder")
            if not (_FOLDER_NAME if is_folder else _FILE_NAME).fullmatch(name):
                raise WrongSettings(
                    f"{shown} cannot be on a disc of ISO 9660 Level 1: names have up to eight of"
                    " A-Z, 0-9 and _, those of files that are not DICOM a dot and three more"
                )
            if len(shown.parts) >= _DEEPEST + (not is_folder):
                raise WrongSettings(f"{shown} lies deeper than {_DEEPEST} folders; make it flatter")
            if status.st_size > _LARGEST_FILE and not is_folder:
                raise WrongSettings(f"{shown} has more than 4 GiB; Level 1 has no such files")


def make_image(
    folder: str, image: str, file_set_id: str = "", progress: Progress | None = None
) -> None:
    """Write an image of a disc with all that lies below a folder; another image is replaced.

    Raises WrongSettings for names that a disc cannot have, NotAllowed without xorriso, MediumFull
    where the image does not fit. Whatever goes wrong, no half of an image is left.
    """
    if not FILE_SET_ID.fullmatch(file_set_id):
        raise WrongSettings(f"{file_set_id!r} is no File-set ID: up to 16 of A-Z, 0-9 and _")
    check_names(folder)
    unfinished = Path(f"{image}.unfinished").absolute()
    words = ["-as", "mkisofs", "-iso-level", "1", "--norock", "-V", file_set_id]
    try:
        xorriso.run([*words, "-o", f"{unfinished}", str(Path(folder).absolute())], progress)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(image)
    finally:
        unfinished.unlink(missing_ok=True)


def burn(image: str, drive: str, progress: Progress | None = None) -> None:
    """Write an image onto the blank disc in a drive; `drive` may be a file that stands for one.

    The disc is closed: nothing can be added to it (Annex F has one File-set on a CD-R). Raises
    WriteProtected where the disc is not blank, MediumGone where there is none, MediumFull,
    MediumBusy, NotAllowed, and NotWritten where the drive complains: such a disc is spoilt.
    """
    is_file = not Path(drive).exists() or Path(drive).is_file()
    if Path(drive).exists():
        found = optical.look_into(drive)
        if found.status is not optical.DriveStatus.CDS_DISC_OK:
            raise MediumGone(f"there is no disc in {drive}; put a blank one in")
        if not found.is_blank:
            label = f" ({found.label})" if found.label else ""
            raise WriteProtected(f"the disc in {drive} is not blank{label}; put a blank one in")
    target = f"stdio:{Path(drive).absolute()}" if is_file else drive
    xorriso.run(
        ["-as", "cdrecord", "-v", f"dev={target}", "padsize=300k", str(Path(image).absolute())],
        progress,
    )


def verify(image: str, drive: str, progress: Progress | None = None) -> None:
    """Read a disc back and compare it with the image that was burnt; memory: two megabytes.

    Raises NotWritten, with the position, where they differ, and MediumGone where a drive, or the
    image, cannot be opened.
    """
    try:
        with Path(image).open("rb") as wanted, Path(drive).open("rb") as found:
            # What the kernel remembers of the disc is not what lies on it.
            os.posix_fadvise(found.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            size = os.fstat(wanted.fileno()).st_size
            position = 0
            while expected := wanted.read(_CHUNK):
                _compare(expected, _read(found.fileno(), len(expected), position), position)
                position += len(expected)
                if progress is not None:
                    progress(position / size)
    except OSError as error:
        raise MediumGone(f"{error.filename or drive} cannot be read: {error.strerror}") from error


def _read(descriptor: int, size: int, position: int) -> bytes:
    parts = []
    while size > 0:
        try:
            part = os.pread(descriptor, size, position)
        except OSError as error:
            raise NotWritten(f"the disc cannot be read at {position}: {error.strerror}") from error
        if not part:
            break
        parts.append(part)
        size, position = size - len(part), position + len(part)
    return b"".join(parts)


def _compare(expected: bytes, found: bytes, position: int) -> None:
    if expected == found:
        return
    pairs = zip(expected, found, strict=False)
    at = next(
        (number for number, (one, other) in enumerate(pairs) if one != other),
        len(found),
    )
    raise NotWritten(f"the disc is not what was burnt, from byte {position + at} on; burn another")
