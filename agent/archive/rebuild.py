"""The index made anew from the spool, with what can still be read of the old one.

The old index is kept beside the new one. Its jobs, deliveries and log are taken over as far as they
can be read, even from a damaged or newer one; an object that the old index does not tell of gets
its jobs from the rules, as if it had just come in. Sending twice is harmless, forgetting is not.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from agent.archive import index_failure, recovery
from agent.archive.change import Change
from agent.archive.decision import KeepAll, Receiver
from agent.archive.index import connect
from agent.archive.layout import INDEX
from agent.archive.records import JobState
from agent.archive.settings import ArchiveSettings
from agent.archive.spool import Spool
from agent.archive.store import Store
from agent.archive.worker_answers import Recovery
from agent.dataset.whole_write import sync_folder

_AT_ONCE = 500
_SUFFIXES = ("", "-wal", "-shm")

Row = Mapping[str, Any]


@dataclass(slots=True)
class Rebuilt:
    """What the new index holds, and where the old one lies."""

    objects: int = 0
    set_aside: int = 0
    jobs_kept: int = 0
    old_index: str = ""


@dataclass(slots=True)
class _Salvage:
    """What could be read of the old index."""

    instances: dict[int, Row] = field(default_factory=dict)
    doomed: set[int] = field(default_factory=set)
    last_number: int = 0
    others: dict[str, list[Row]] = field(default_factory=dict)


def rebuild(
    folder: Path,
    receiver: Receiver,
    settings: ArchiveSettings,
    progress: Callable[[int], None] = lambda objects: None,
) -> Rebuilt:
    """Make the index anew. No node may run: takes the lock. Reads the head of every object.

    `progress` is told how many objects are done. Raises StorageError when the disk fails.
    """
    result = Rebuilt()
    with closing(Spool.open(folder, settings)):
        old = _move_aside(folder)
    salvage = _Salvage()
    if old is not None:
        result.old_index = str(old)
        with suppress(sqlite3.Error), closing(connect(old)) as connection:
            salvage = _salvage(connection)
    store = Store.open(folder, receiver, settings)
    try:
        recovered = Recovery()
        # Jobs of objects that the old index knew come from there, and not from the rules. They are
        # put back before the rules make new ones, whose numbers follow.
        store.receiver = KeepAll()
        for group in _groups(each for each in store.spool.numbers() if each in salvage.instances):
            recovery.take_in(store, group, recovered)
            _describe(store, group, salvage)
            progress(recovered.indexed)
        with store.index.transaction():
            store.rows.doom(salvage.doomed)
            result.jobs_kept = _restore(store, salvage)
        store.queue.forget()
        store.receiver = receiver
        told_of = salvage.instances.keys() | salvage.doomed
        for group in _groups(each for each in store.spool.numbers() if each not in told_of):
            recovery.take_in(store, group, recovered)
            progress(recovered.indexed)
        store.use_up(salvage.last_number)
        store.process((), (Change(lambda: None),))
        result.objects, result.set_aside = recovered.indexed, recovered.set_aside
    except (sqlite3.Error, OSError) as error:
        raise index_failure.of_any(error, "rebuild the index", settings.statuses) from error
    finally:
        store.close()
    return result


def _move_aside(folder: Path) -> Path | None:
    stamp = f"{INDEX}.old-{time.time_ns()}"
    moved = None
    for suffix in _SUFFIXES:
        path = folder / f"{INDEX}{suffix}"
        if path.exists():
            path.rename(folder / f"{stamp}{suffix}")
            moved = folder / stamp
    sync_folder(folder)
    return moved


def _groups(numbers: Iterable[int]) -> Iterator[list[int]]:
    remaining = iter(numbers)
    while group := list(islice(remaining, _AT_ONCE)):
        yield group


def _describe(store: Store, numbers: Iterable[int], salvage: _Salvage) -> None:
    """What the file cannot tell: when it came, from whom, what was remarkable."""
    with store.index.transaction():
        for number in numbers:
            row = salvage.instances[number]
            store.index.execute(
                "UPDATE instance SET received = ?, source = ?, flags = ?, received_digest = ?"
                " WHERE id = ?",
                (row["received"], row["source"], row["flags"], row["received_digest"], number),
            )


def _salvage(connection: sqlite3.Connection) -> _Salvage:
    connection.row_factory = sqlite3.Row
    instance_columns = "id, received, source, flags, received_digest"
    salvage = _Salvage(
        instances={row["id"]: row for row in _rows(connection, "instance", instance_columns, "id")},
        doomed={row["id"] for row in _rows(connection, "doomed", "id", "id")},
    )
    for row in _rows(connection, "state", "name, value", "name"):
        if row["name"] == "last_number":
            salvage.last_number = int(row["value"])
    for table, key in (
        ("destination", "id"),
        ("job", "id"),
        ("finished_job", "id"),
        ("delivery", "instance, destination"),
        ("correction", "id"),
        ("step", "sop_instance_uid"),
        ("commitment", "transaction_uid"),
        ("commitment_item", "transaction_uid, sop_instance_uid"),
        ("examination", "id"),
    ):
        salvage.others[table] = list(_rows(connection, table, "*", key))
    return salvage


def _rows(connection: sqlite3.Connection, table: str, columns: str, key: str) -> Iterator[Row]:
    """The rows from both ends, up to a damaged page; each once."""
    seen = set()
    for order in ("ASC", "DESC"):
        ordered = ", ".join(f"{column} {order}" for column in key.split(", "))
        with suppress(sqlite3.Error):
            for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY {ordered}"):
                identity = tuple(row[column] for column in key.split(", "))
                if identity in seen:
                    break
                seen.add(identity)
                yield dict(row)
            else:
                return


def _restore(store: Store, salvage: _Salvage) -> int:
    """Put the old rows into the new index; those whose object or destination is gone stay out."""
    execute = store.index.execute
    destinations: dict[int, int] = {}
    for row in salvage.others.get("destination", ()):
        execute("INSERT OR IGNORE INTO destination (name) VALUES (?)", (row["name"],))
        execute(
            "UPDATE destination SET paused = ?, last_success = ? WHERE name = ?",
            (row["paused"], row["last_success"], row["name"]),
        )
        found = execute("SELECT id FROM destination WHERE name = ?", (row["name"],)).fetchone()
        destinations[row["id"]] = found[0]
    for table in (
        "finished_job",
        "delivery",
        "correction",
        "step",
        "commitment",
        "commitment_item",
        "examination",
    ):
        for row in salvage.others.get(table, ()):
            _copy(store, table, row, destinations)
    kept = 0
    for row in salvage.others.get("job", ()):
        instance = row["instance"]
        if (
            instance is not None
            and not execute("SELECT 1 FROM instance WHERE id = ?", (instance,)).fetchone()
        ):
            continue
        # What is not about an object keeps the number that holds its order.
        study = store.rows.study_of(instance) if instance is not None else min(0, row["study"])
        changed = {"study": study}
        if row["state"] == JobState.CLAIMED:
            changed["state"] = JobState.WAITING
        kept += _copy(store, "job", {**row, **changed}, destinations)
    return kept


def _copy(store: Store, table: str, row: Row, destinations: Mapping[int, int]) -> int:
    values = dict(row)
    if "destination" in values:
        if values["destination"] not in destinations:
            return 0
        values["destination"] = destinations[values["destination"]]
    known = {name for _, name, *_ in store.index.execute(f"PRAGMA table_info({table})")}
    columns = [name for name in values if name in known]
    return store.index.execute(
        f"INSERT OR IGNORE INTO {table} ({', '.join(columns)})"
        f" VALUES ({', '.join('?' * len(columns))})",
        [values[name] for name in columns],
    ).rowcount
