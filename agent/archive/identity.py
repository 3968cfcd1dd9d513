"""Which archive a folder is: so that an unmounted volume is a failure, and never an empty archive.

A marker file in the folder carries the archive's identity. A record outside the volume remembers
the identity that was there: when the record exists and the marker does not, or is another one's,
the volume is away or has been swapped, and nothing is created in its place.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from agent.archive import failure
from agent.archive.settings import ArchiveSettings
from agent.dataset.whole_write import sync_folder
from agent.errors import StatusReaction, StorageError

MARKER = "gantry-archive.json"


def settle(folder: Path, settings: ArchiveSettings) -> str:
    """Make or check the identity of the archive in `folder`; returns it.

    Raises StorageError when the volume is not mounted, is another archive's, or cannot be written.
    """
    if settings.volume and not os.path.ismount(settings.volume):
        raise _away(settings, f"{settings.volume} is not mounted")
    record = Path(settings.identity_record) if settings.identity_record else None
    try:
        expected = _read(record) if record is not None else ""
        found = _read(folder / MARKER)
        if expected and not found:
            raise _away(settings, f"{folder} is not the archive that was there: it has no marker")
        if expected and found != expected:
            raise _away(settings, f"{folder} is another archive than the one that was there")
        if not found:
            # Also where there are objects already: a person took the marker away, and no record
            # says that another archive belongs here.
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            found = os.urandom(16).hex()
            _write(folder / MARKER, found)
        if record is not None and not expected:
            record.parent.mkdir(parents=True, exist_ok=True)
            _write(record, found)
    except OSError as error:
        raise failure.of_system(error, "mark the archive's folder", settings.statuses) from error
    return found


def _away(settings: ArchiveSettings, why: str) -> failure.DiskUnusable:
    return failure.DiskUnusable(
        f"The volume of the archive is away: {why}.",
        value=settings.volume,
        reaction=StatusReaction(settings.statuses.volume_away, "Storage volume is away"),
        way_out=(
            "Mount the volume. If the archive was moved or replaced on purpose, delete the record "
            f"{settings.identity_record or 'of its identity'}."
        ),
    )


def _read(path: Path) -> str:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return ""
    except (ValueError, UnicodeDecodeError):
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("archive"), str):
        raise StorageError(
            f"{path} is damaged.",
            value=str(path),
            way_out="Delete it, if the archive is there.",
        )
    return str(content["archive"])


def _write(path: Path, identity: str) -> None:
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        os.write(descriptor, json.dumps({"archive": identity, "layout": 1}).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.rename(path)
    sync_folder(path.parent)
