"""Inventories that peers have asked for: a file of JSON each, beside the index.

They outlive a rebuild of the index. One task at a time changes a transaction; a change is durable
when its call returns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from agent.archive import failure
from agent.dataset.uid import is_valid_uid
from agent.dataset.whole_write import sync_folder, write_whole

INVENTORIES = "inventories"
_STATE, _RECORDS, _NEW = ".json", ".records", ".new"


class Part(NamedTuple):
    """An inventory instance that is stored, and how many study records it has."""

    sop_instance_uid: str
    records: int


class InventoryState(NamedTuple):
    """A transaction, and how far it is.

    `scope`, `identifier` and `below` are packed attributes in hexadecimal: what the inventory says
    of its studies, the query for them, and what is asked below them, empty where nothing is.
    `mechanisms` are those agreed on, `timezone` is our own offset from UTC in minutes for them.
    `place` is how far the query of studies came, None at its end; `written` is how many bytes of
    records wait for the next instance, `waiting` how many records these are, `next_uid` what that
    instance will be called. `root` is the instance on which the others hang, at the end;
    `announced` says that the peer is told of the end. Times are seconds since 1970; `interval` is
    seconds between reports, 0: none.
    """

    transaction: str
    entity: str
    peer: str
    level: str
    purpose: str
    scope: str
    identifier: str
    begun: float
    next_uid: str
    status: str = "PROCESSING"
    interval: float = 0.0
    place: tuple[int, ...] | None = ()
    written: int = 0
    waiting: int = 0
    parts: tuple[Part, ...] = ()
    comment: str = ""
    root: str = ""
    announced: bool = False
    below: str = ""
    mechanisms: tuple[str, ...] = ()
    timezone: int = 0

    @property
    def records(self) -> int:
        """Study records so far."""
        return self.waiting + sum(each.records for each in self.parts)


def keep_inventory(folder: str, state: InventoryState, is_new: bool = False) -> bool:
    """Keep a state, durably; False where it should be new and its transaction is known already.

    Raises StorageError.
    """
    with _opened(folder) as place:
        path = place / (state.transaction + _STATE)
        if is_new and path.exists():
            return False
        new = path.with_name(path.name + _NEW)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            write_whole(descriptor, json.dumps(state._asdict()).encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.replace(path)
        sync_folder(place)
    return True


def inventories(folder: str, forget_before: float = 0.0) -> list[InventoryState]:
    """All transactions, the oldest first; those that ended before a time are forgotten.

    Raises StorageError.
    """
    found = []
    with _opened(folder) as place:
        for path in place.glob("*" + _STATE):
            state = _read(path)
            if state is None:
                continue
            over = state.status not in ("PROCESSING", "PAUSED")
            if over and path.stat().st_mtime < forget_before:
                path.unlink()
                continue
            found.append(state)
    return sorted(found, key=lambda each: (each.begun, each.transaction))


def drop_records(folder: str, transaction: str) -> None:
    """What was gathered for the next instance goes."""
    with _opened(folder) as place:
        (place / (transaction + _RECORDS)).unlink(missing_ok=True)


def records_path(folder: str, transaction: str) -> Path:
    """The file in which the records of the next instance are gathered."""
    return Path(folder) / INVENTORIES / (transaction + _RECORDS)


def _read(path: Path) -> InventoryState | None:
    if not is_valid_uid(path.name.removesuffix(_STATE)):
        return None
    try:
        kept = json.loads(path.read_bytes())
        kept["parts"] = tuple(Part(*each) for each in kept["parts"])
        kept["mechanisms"] = tuple(kept.get("mechanisms", ()))
        kept["place"] = None if kept["place"] is None else tuple(kept["place"])
        return InventoryState(**kept)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        # What somebody else has put there is none of ours.
        return None


@contextmanager
def _opened(folder: str) -> Iterator[Path]:
    place = Path(folder) / INVENTORIES
    try:
        if not place.is_dir():
            place.mkdir(mode=0o750, exist_ok=True)
            sync_folder(place.parent)
        yield place
    except OSError as error:
        raise failure.of_system(error, "keep the state of an inventory") from error
