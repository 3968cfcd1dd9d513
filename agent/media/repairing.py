"""A new DICOMDIR for a file-set whose own is broken or missing: `gantry media repair`.

It is made from the files, which stay as they are. The old directory is copied first, and the new
one takes its place by one rename: whatever cuts the power, there is the old one or the new one.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from agent.dataset.uid import is_valid_uid
from agent.dataset.whole_write import sync_folder
from agent.errors import GantryError, PeerError, StorageError
from agent.media.application_profiles import AnyProfile, Profile
from agent.media.checking import Fault, check
from agent.media.directory_file import DirectoryFile
from agent.media.directory_records import Key
from agent.media.directory_writer import Creator
from agent.media.file_ids import DICOMDIR, FileNames, is_file_set_id, open_file
from agent.media.file_set import FileSetWriter
from agent.media.found import FoundInstance
from agent.media.opening import is_secure
from agent.media.reading import walk
from agent.quoting import quoted

# The keys of PS3.11 Table D.3-2: whatever the files are, they do no harm.
ANY = AnyProfile(
    "any application profile",
    "PS3.10 8",
    "",
    (),
    None,
    {"IMAGE": (Key("ImageType", "1C"), Key("ReferencedImageSequence", "1C"))},
)
_ASIDE = "DICOMDIR.OLD"


class Repaired(NamedTuple):
    """What was wrong `before`, and is `after`; files that no record leads to, with reasons; the
    name of the old directory, "" where there was none, and how many records of files there are.

    Nothing was done where nothing was wrong: `referred` is 0.
    """

    before: tuple[Fault, ...]
    after: tuple[Fault, ...]
    left_out: tuple[Fault, ...]
    aside: str
    referred: int


def repair(
    root: Path, creator: Creator, profile: Profile = ANY, *, icons: bool = False
) -> Repaired:
    """Make a new directory for all that lies below `root`, where `check` has something to say.

    The File-set ID and UID stay, where they can be read. Memory: that of `check` and of
    `FileSetWriter`, and the faults. Raises StorageError for a medium that cannot be written, one of
    Secure DICOM files, and one with nothing that a directory could lead to: it is left untouched.
    """
    _check_writable(root)
    before = tuple(check(root))
    if not before:
        return Repaired((), (), (), "", 0)
    name = FileNames(root).real_name(DICOMDIR) or ""
    file_set_id, uid = _identity(root, name)
    left_out: list[Fault] = []
    with FileSetWriter(
        root,
        profile,
        creator,
        file_set_id=file_set_id,
        file_set_uid=uid,
        icons=icons,
        anew=name,
    ) as writer:
        referred = 0
        for found in walk(root):
            if isinstance(found, FoundInstance):
                reason = _adopted(writer, found.file)
                referred += not reason
                if reason:
                    left_out.append(Fault(found.file, reason))
        if not referred:
            raise StorageError(
                f"{quoted(root)} has no file that a directory could lead to.",
                value=str(root),
                way_out="Look whether it is the root of the medium.",
            )
        aside = _put_aside(root, name) if name else ""
        writer.finish()
    return Repaired(before, tuple(check(root)), tuple(left_out), aside, referred)


def _adopted(writer: FileSetWriter, file: str) -> str:
    """Why no record leads to a file; "" where one does."""
    try:
        return "" if writer.adopt(file) else "another file has the same SOP Instance UID"
    except GantryError as error:
        return error.message


def _check_writable(root: Path) -> None:
    """Raises StorageError where nothing can be made in the folder."""
    probe = root / "GANTRY.TRY"
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        probe.unlink()
    except OSError as error:
        read_only = error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
        raise StorageError(
            f"{quoted(root)} cannot be written to"
            + (": it is read-only." if read_only else f": {error.strerror}."),
            value=str(root),
            way_out="Take its write protection off, or copy it into a folder and repair that.",
        ) from error


def _identity(root: Path, name: str) -> tuple[str, str]:
    """The File-set ID and UID of the old directory, as far as it can be read, and may stay."""
    if not name:
        return "", ""
    descriptor = open_file(root / name)
    try:
        if is_secure(descriptor):
            raise StorageError(
                "The DICOMDIR is a Secure DICOM file: only who made it can make it anew.",
                clause="PS3.15 D.1",
                way_out="Import what is on the medium, and make a new file-set of it.",
            )
        directory = _opened(descriptor)
    finally:
        os.close(descriptor)
    if directory is None:
        return "", ""
    file_set_id = directory.information.file_set_id
    uid = directory.meta.media_storage_sop_instance_uid
    return (
        file_set_id if is_file_set_id(file_set_id) else "",
        uid if is_valid_uid(uid) else "",
    )


def _opened(descriptor: int) -> DirectoryFile | None:
    try:
        return DirectoryFile(descriptor)
    except (PeerError, StorageError):
        return None


def _put_aside(root: Path, name: str) -> str:
    """A copy of the directory, on the medium; its name. Raises StorageError."""
    aside = next(
        each
        for each in (_ASIDE, *(f"DICOMDIR.{number:03}" for number in range(1000)))
        if not os.path.lexists(root / each)
    )
    try:
        with (root / name).open("rb") as old, (root / aside).open("xb") as copy:
            shutil.copyfileobj(old, copy)
            copy.flush()
            os.fsync(copy.fileno())
        sync_folder(root)
    except OSError as error:
        (root / aside).unlink(missing_ok=True)
        raise StorageError(
            f"{quoted(aside)}: {error.strerror}.",
            value=error.errno,
            way_out="Make room on the medium.",
        ) from error
    return aside
