"""Old worklist entries are deleted: those that we made, and where configured those of others.

Blocks, and runs in a worker. The rules of the folder are those of `agent.archive.worklist_store`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from agent.archive.worklist_entry import STEP, STEP_STATUS
from agent.archive.worklist_store import LOCK_FILE, entries_of, files_in
from agent.dataset.attributes import Attributes
from agent.errors import StorageError
from hal.beneath import open_beneath

_OWN = re.compile(r"[0-9a-f]{32}\.json")
_OPEN = frozenset(("IN PROGRESS", "STARTED"))
_DAY = 86400


def forget_entries(
    folder: str, titles: tuple[str, ...], own_before: float, others_before: float
) -> int:
    """Delete files of entries that were written, and are scheduled for days, before these times.

    `titles` name the subfolders that are answered from. A time of 0 deletes nothing. Files that
    cannot be read whole, entries whose step is under way, and folders whose lock somebody holds
    stay. Returns how many went. Raises StorageError where the disk fails.
    """
    forgotten = 0
    for title in ("", *titles):
        place = Path(folder, title)
        try:
            if place.is_dir():
                with _alone(place / LOCK_FILE) as alone:
                    forgotten += _forget_in(place, own_before, others_before) if alone else 0
        except OSError as error:
            raise StorageError(
                f"Old worklist entries cannot be deleted: {error.strerror}.",
                value=error.filename,
                way_out="Let the node write to the folder, or set keep_of_others to 0.",
            ) from error
    return forgotten


def _forget_in(place: Path, own_before: float, others_before: float) -> int:
    forgotten = 0
    for path in files_in(place):
        before = own_before if _OWN.fullmatch(path.name) else others_before
        if before and _is_old(path, before):
            path.unlink(missing_ok=True)
            forgotten += 1
    return forgotten


def _is_old(path: Path, before: float) -> bool:
    try:
        written = path.stat().st_mtime
    except OSError:
        return False
    if written >= before:
        return False
    entries, remarks = entries_of(path)
    if not entries or remarks:
        return False
    return all(
        each.item_of(STEP).text(STEP_STATUS) not in _OPEN and _end_of_day(each) < before
        for each in entries
    )


def _end_of_day(entry: Attributes) -> float:
    """When the day ends for which it is scheduled; 0 where it does not say so."""
    date = entry.item_of(STEP).text("ScheduledProcedureStepStartDate")
    try:
        return time.mktime(time.strptime(date, "%Y%m%d")) + _DAY
    except (ValueError, OverflowError):
        return 0.0


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[bool]:
    """Whether nobody else uses the folder; for as long as this lasts nobody who asks does."""
    try:
        descriptor = open_beneath(lock.parent, lock.name)
    except OSError:
        yield True
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
