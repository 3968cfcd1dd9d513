"""Media creation requests (PS3.4 S): two small files each, in a folder beside the index.

`UID.request` has the attributes as they came; it never changes. `UID.json` has the state, and is
replaced whole by each change: a request is there when its state is. So they outlive an index that
has to be rebuilt, and whatever cuts the power, a change was made or it was not.

Each change looks at the state and writes it under a lock. All of this blocks and runs in a worker.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from agent.archive import failure
from agent.archive.layout import MEDIA_REQUESTS
from agent.dataset.uid import is_valid_uid
from agent.dataset.whole_write import sync_folder, write_whole

_STATE, _REQUEST, _NEW = ".json", ".request", ".new"


class MadeVolume(NamedTuple):
    """One file-set of a request, with its identifiers."""

    file_set_id: str
    file_set_uid: str


class FailedInstance(NamedTuple):
    """Why an instance cannot be on the media (PS3.3 C.22.1.4)."""

    sop_class_uid: str
    sop_instance_uid: str
    reason: int


class RequestState(NamedTuple):
    """What is known of a request beside its attributes.

    `volumes` is set before the media are put where they belong: from then on it cannot be
    cancelled. `since` is when it was last tried and put off, 0 where never. Times are seconds since
    1970.
    """

    uid: str
    status: str
    info: str
    calling: str
    entity: str
    created: float
    changed: float
    initiated: float = 0.0
    copies: int = 1
    priority: str = ""
    failed: tuple[FailedInstance, ...] = ()
    volumes: tuple[MadeVolume, ...] = ()
    since: float = 0.0


def add_media_request(folder: str, state: RequestState, attributes: bytes) -> str:
    """Keep a new one, durably; "" then, else the status of the one of this UID that is there.

    Raises StorageError where the disk fails; nothing of it counts then.
    """
    with _opened(folder, "keep the media creation request") as place:
        found = _read(place, state.uid)
        if found is not None:
            return found.status
        _replace(place / (state.uid + _REQUEST), attributes)
        _write(place, state)
        return ""


def change_media_request(folder: str, state: RequestState, before: Iterable[str]) -> bool:
    """Replace the state of one whose status is among `before`; False where it is another, or the
    request is gone. Raises StorageError."""
    with _opened(folder, "keep the media creation request") as place:
        found = _read(place, state.uid)
        if found is None or found.status not in before:
            return False
        _write(place, state._replace(changed=time.time()))
        return True


def remove_media_request(folder: str, uid: str, before: Iterable[str]) -> tuple[str, bool]:
    """Forget one whose status is among `before`, and whose volumes are not being finished.

    Returns the status that it had, "" where there is none, and whether it is gone. Raises
    StorageError.
    """
    with _opened(folder, "forget the media creation request") as place:
        found = _read(place, uid)
        if found is None:
            return "", False
        is_gone = found.status in before and not found.volumes
        if is_gone:
            _remove(place, uid)
        return found.status, is_gone


def forget_media_requests(folder: str, statuses: Iterable[str], begin: float, end: float) -> int:
    """Forget those of these statuses that were last changed in this time; returns how many.

    Raises StorageError.
    """
    wanted = frozenset(statuses)
    with _opened(folder, "forget media creation requests") as place:
        stale = [
            each.uid
            for each in _all(place)
            if each.status in wanted and begin <= each.changed < end
        ]
        for uid in stale:
            _remove(place, uid)
        return len(stale)


def media_requests(folder: str, statuses: Iterable[str] = ()) -> list[RequestState]:
    """Those in one of these statuses, or all; the oldest first. Raises StorageError."""
    wanted = frozenset(statuses)
    try:
        found = [
            each
            for each in _all(Path(folder) / MEDIA_REQUESTS)
            if not wanted or each.status in wanted
        ]
    except OSError as error:
        raise failure.of_system(error, "read the media creation requests") from error
    return sorted(found, key=lambda each: (each.created, each.uid))


def media_request(folder: str, uid: str) -> tuple[RequestState, bytes] | None:
    """One of them with its attributes as they were added, or None. Raises StorageError."""
    place = Path(folder) / MEDIA_REQUESTS
    try:
        found = _read(place, uid)
        return None if found is None else (found, (place / (uid + _REQUEST)).read_bytes())
    except FileNotFoundError:
        return None  # It was forgotten in between.
    except OSError as error:
        raise failure.of_system(error, "read the media creation request") from error


@contextmanager
def _opened(folder: str, step: str) -> Iterator[Path]:
    """The folder of requests, of which one worker at a time holds the lock."""
    place = Path(folder) / MEDIA_REQUESTS
    try:
        if not place.is_dir():
            place.mkdir(mode=0o750, exist_ok=True)
            sync_folder(place.parent)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield place
        finally:
            os.close(descriptor)
    except OSError as error:
        raise failure.of_system(error, step) from error


def _all(place: Path) -> Iterator[RequestState]:
    if place.is_dir():
        for path in place.glob("*" + _STATE):
            found = _read(place, path.name.removesuffix(_STATE))
            if found is not None:
                yield found


def _read(place: Path, uid: str) -> RequestState | None:
    if not is_valid_uid(uid):
        return None  # A peer may ask for anything: it is no way to other files.
    try:
        kept = json.loads((place / (uid + _STATE)).read_bytes())
        kept["failed"] = tuple(FailedInstance(*each) for each in kept["failed"])
        kept["volumes"] = tuple(MadeVolume(*each) for each in kept["volumes"])
        return RequestState(**kept)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        # What somebody else has put there is none of ours.
        return None


def _write(place: Path, state: RequestState) -> None:
    text = json.dumps(state._asdict(), ensure_ascii=False)
    _replace(place / (state.uid + _STATE), text.encode())


def _replace(path: Path, data: bytes) -> None:
    new = path.with_name(path.name + _NEW)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        write_whole(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(path)
    sync_folder(path.parent)


def _remove(place: Path, uid: str) -> None:
    (place / (uid + _STATE)).unlink(missing_ok=True)
    sync_folder(place)
    (place / (uid + _REQUEST)).unlink(missing_ok=True)
