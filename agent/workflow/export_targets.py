"""Where an export goes: the places of its volumes, what they hold, and whether there is room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from agent.configuration.mail import Mail
from agent.errors import LocalError
from agent.media.application_profiles import Profile
from agent.media.file_ids import DICOMDIR, FileNames
from agent.media.web_content import check_room_for_pages
from agent.quoting import quoted
from agent.workflow.export_addresses import check_addresses
from agent.workflow.export_settings import (
    DISC,
    FILES,
    FOLDER,
    IMAGE,
    MAIL,
    MEDIA,
    MESSAGE,
    ZIP,
    NoRoom,
    Target,
    Volume,
)
from agent.workflow.export_unfinished import Unfinished

DISCS = {
    "120 mm CD-R": 359_840 * 2048,
    "120 mm DVD": 2_295_104 * 2048,
    "120 mm DVD-RAM": 2_236_704 * 2048,
    "Blu-ray disc": 12_219_392 * 2048,
}
"""Bytes that fit on a disc of one layer, by the medium that a profile names. They are those of the
physical formats, of DVD-R and DVD+R the smaller: PS3.12 says only that a CD has 74 or 80 minutes
(F.2.1.1), of which this is the longer."""

SECTOR = 2048
DISC_OVERHEAD = 640 << 10
"""Bytes of an image that are no files: system area, descriptors, tables and padding."""
_LARGEST_CLUSTER = 32 << 10
_MAIL_OVERHEAD, _ZIP_OVERHEAD = 4096, 1024
_LAYERS_SEALED = 3
"""Of base64 in a mail that is signed and encrypted: its attachment, and both envelopes."""


def block_size(target: Target) -> int:
    """By how many bytes files grow there. Raises LocalError where the target cannot be."""
    if target.kind != FOLDER:
        return SECTOR
    return min(max(os.statvfs(base_of(target)).f_frsize, 512), _LARGEST_CLUSTER)


def capacity(target: Target, profile: Profile) -> int:
    """Bytes of files that a volume can have; 0: without limit."""
    size = target.volume_size
    if target.kind == FOLDER:
        return size
    if target.kind in (ZIP, MESSAGE, MAIL):
        layers = 0 if target.kind == ZIP else _LAYERS_SEALED if profile.sealed else 1
        for _ in range(layers):
            size = max(0, size - _MAIL_OVERHEAD) // 78 * 57
        return max(1, size - _ZIP_OVERHEAD) if target.volume_size else 0
    size = size or DISCS.get(profile.medium, 0)
    return max(1, size - DISC_OVERHEAD) if size else 0


def place_of(target: Target, number: int, count: int) -> str:
    """The folder, file, device or addresses of a volume; numbers begin with 1."""
    if count == 1 or target.kind not in (FOLDER, *FILES):
        return target.path
    path = Path(target.path)
    name = f"{path.name}-{number}"
    if target.kind != FOLDER:
        name = f"{path.stem}-{number}{path.suffix}"
    return str(path.with_name(name))


def base_of(target: Target) -> Path:
    """The folder that must be there already."""
    path = Path(target.path)
    return path if target.kind == FOLDER and path.is_dir() else path.parent


def mount_of(target: Target) -> str:
    """Where the file system of the target is mounted; "" for a disc that is not."""
    if target.kind not in (FOLDER, *FILES):
        return ""
    place = base_of(target).resolve()
    while not os.path.ismount(place):
        place = place.parent
    return str(place)


def check_target(target: Target, profile: Profile, mail: Mail) -> None:
    """Raises LocalError for a target that cannot be written, before anything is."""
    path = Path(target.path)
    if target.kind != MAIL and not path.is_absolute():
        raise LocalError(f"{quoted(path)} is not a whole path", value=target.path)
    if target.kind not in (FOLDER, DISC, MAIL, *FILES) or target.volume_size < 0:
        raise LocalError(
            "it is not clear where to", value=target, limit=(FOLDER, DISC, MAIL, *FILES)
        )
    _check_medium(target, profile)
    if target.kind in (IMAGE, DISC) and profile.wants_udf:
        raise LocalError(
            f"{profile.name} wants the file system UDF, and discs are made with ISO 9660",
            clause="PS3.12 J, X",
            value=profile.name,
            way_out="Take a profile for CD or DVD, or export into a folder.",
        )
    if target.update and (target.kind != FOLDER or not profile.updates):
        raise LocalError(
            f"{profile.name} has no File-set Updater"
            if target.kind == FOLDER
            else "a disc, its image, a ZIP file and a mail are written once",
            clause=profile.clause if target.kind == FOLDER else "",
            way_out="Leave --update out, or export into a folder.",
        )
    if target.pages and target.kind not in MEDIA:
        raise LocalError(
            "pages for a web browser are for media, not for ZIP files and mails",
            way_out="Leave --web out.",
        )
    if target.pages and target.update:
        raise LocalError(
            "pages for a web browser are made with a new file-set only",
            way_out="Leave --web out, or --update.",
        )
    if target.kind == MAIL:
        check_addresses(target.path, mail, profile)
        return
    if target.kind in (IMAGE, DISC) and shutil.which("xorriso") is None:
        raise LocalError(
            "discs are made by xorriso, which is not installed", way_out="Install that package."
        )
    if target.kind == DISC:
        if not path.exists():
            raise LocalError(f"there is no drive {quoted(path)}", value=target.path)
        return
    base = base_of(target)
    if not base.is_dir() or not os.access(base, os.W_OK | os.X_OK):
        raise LocalError(
            f"there is no folder {quoted(base)}"
            if not base.is_dir()
            else f"{quoted(base)} cannot be written to",
            value=str(base),
            way_out="Make it, or look whether the medium is mounted, and writable.",
        )


def _check_medium(target: Target, profile: Profile) -> None:
    """Raises LocalError for a profile that is for another medium."""
    if target.kind in (MESSAGE, MAIL) and not profile.mail:
        raise LocalError(
            f"{profile.name} is not for mails",
            clause=profile.clause,
            value=profile.name,
            way_out="Use STD-GEN-ZIP-MAIL, or another profile of mails.",
        )
    if target.kind in (FOLDER, IMAGE, DISC) and profile.mail:
        raise LocalError(
            f"{profile.name} is for mails only",
            clause=profile.clause,
            value=profile.name,
            way_out="Send it (mailto:ADDRESS), or use the profile of a medium, as STD-GEN-CD.",
        )
    if target.kind == MESSAGE and profile.sealed:
        raise LocalError(
            f"{profile.name} wants mails that are encrypted for somebody",
            clause="PS3.15 B.8",
            value=profile.name,
            way_out="Send it (mailto:ADDRESS).",
        )


def check_places(target: Target, volumes: Sequence[Volume]) -> None:
    """Raises LocalError where one of the volumes has something in its way; what an export left
    unfinished there is taken back first. Raises OSError."""
    if target.kind == FOLDER:
        for volume in volumes:
            Unfinished(Path(volume.place)).take_back()
    if target.update:
        if len(volumes) > 1:
            raise LocalError(
                f"there are {len(volumes)} volumes, and one file-set is added to",
                value=len(volumes),
                limit=1,
            )
        if not _has_file_set(Path(target.path)):
            raise LocalError(
                f"{quoted(target.path)} has no file-set",
                value=target.path,
                way_out="Leave --update out.",
            )
        return
    for volume in volumes:
        place = Path(volume.place)
        if target.kind in FILES and place.exists():
            raise LocalError(f"{quoted(place)} is there already", way_out="Take another name.")
        if target.kind == FOLDER and place.exists() and not place.is_dir():
            raise LocalError(f"{quoted(place)} is no folder", way_out="Take another name.")
        if target.kind == FOLDER and target.pages and place.is_dir():
            check_room_for_pages(place)
        if target.kind == FOLDER and _has_file_set(place):
            raise LocalError(
                f"{quoted(place)} has a file-set already",
                value=str(place),
                way_out="Add to it (--update), or take another folder.",
            )


def _has_file_set(folder: Path) -> bool:
    return folder.is_dir() and FileNames(folder).real_name(DICOMDIR) is not None


_STAGED = {IMAGE: 1, ZIP: 1, MESSAGE: 2, DISC: 2, MAIL: 8}
"""How often a volume is on our own disk while it is made; a sealed mail grows with each layer."""


def check_room(target: Target, volumes: Sequence[Volume], scratch: Path) -> None:
    """Raises NoRoom where not all of it fits, with how much is missing.

    A disc is made from a folder of ours, and burnt from an image of ours.
    """
    wanted: dict[Path, int] = {}
    largest = max(each.size for each in volumes)
    if target.kind in (FOLDER, *FILES):
        # What is base64 takes a third more.
        size = sum(each.size for each in volumes)
        wanted[base_of(target)] = size * 7 // 5 if target.kind == MESSAGE else size
    if target.kind != FOLDER:
        wanted[scratch] = _STAGED[target.kind] * largest
        wanted[scratch] += DISC_OVERHEAD if target.kind == DISC else 0
        if target.kind in FILES and base_of(target).stat().st_dev == scratch.stat().st_dev:
            wanted[scratch] += wanted.pop(base_of(target))
    for folder, size in wanted.items():
        found = os.statvfs(folder)
        free = found.f_bavail * found.f_frsize
        if size > free:
            raise NoRoom(
                f"{size} bytes are needed on {quoted(folder)}, and {free} are free",
                value=size,
                limit=free,
                way_out="Make room, take a larger medium, or choose fewer studies.",
            )
