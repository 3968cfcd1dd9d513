"""Examinations: rows whose every change is one transaction with the messages that follow from it.

`save` runs inside a transaction of the storage worker; the questions in reader workers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from agent.archive.decision import JobPlan

if TYPE_CHECKING:
    from agent.archive.store import Store


class ExaminationRow(NamedTuple):
    """One examination; `content` is JSON that this floor does not look into."""

    id: int
    state: str
    device: str
    begun: float
    changed: float
    study_instance_uid: str
    content: str


IN_PROGRESS = "IN PROGRESS"
IMPORT = "import:"
"""The device of an import, which is a step like others; no device can be named so."""
EXPORT = "export:"
"""The device of an export, which has no step; `studies` of its content are those that it needs."""
FETCH = "fetch:"
"""The device of a retrieval from a peer, which has no step either."""
_OF_OTHERS = f"device NOT IN ('{IMPORT}', '{EXPORT}', '{FETCH}')"
COLUMNS = "id, state, device, begun, changed, study_instance_uid, content"


def save(
    store: Store, row: ExaminationRow, messages: Sequence[tuple[JobPlan, int]] = ()
) -> ExaminationRow:
    """Add the examination (number 0) or replace it, and make the jobs of `messages`, each with the
    order among which it stands. Returns the row as it is now."""
    now = time.time()
    values = (row.state, row.device, row.begun or now, now, row.study_instance_uid, row.content)
    if row.id:
        store.index.execute(
            "UPDATE examination SET state = ?, device = ?, begun = ?, changed = ?,"
            " study_instance_uid = ?, content = ? WHERE id = ?",
            (*values, row.id),
        )
        number = row.id
    else:
        (number,) = store.index.execute(
            "INSERT INTO examination (state, device, begun, changed, study_instance_uid, content)"
            " VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
            values,
        ).fetchone()
    for plan, order in messages:
        store.queue.add(plan, study=-order)
    return ExaminationRow(int(number), *values)


def unfinished_media(store: Store) -> frozenset[str]:
    """Of which kinds some are in progress that have no device; asked when the archive is opened."""
    rows = store.index.execute(
        "SELECT DISTINCT device FROM examination WHERE state = ? AND device IN (?, ?, ?)",
        (IN_PROGRESS, IMPORT, EXPORT, FETCH),
    )
    return frozenset(device for (device,) in rows)


def release_of_study(store: Store, study_instance_uid: str, uids: Sequence[str]) -> int:
    """The objects were reviewed: their jobs that were held for that are due; returns how many."""
    numbers = [
        number
        for uid in uids
        for (number,) in store.index.execute(
            "SELECT job.id FROM job JOIN instance ON instance.id = job.instance"
            " JOIN study ON study.id = instance.study"
            " WHERE study_instance_uid = ? AND sop_instance_uid = ? AND job.state = 2"
            " AND job.reason = ?",
            (study_instance_uid, uid, WAITS_FOR_REVIEW),
        )
    ]
    return store.queue.again(numbers)


WAITS_FOR_REVIEW = "waits for review"
"""Why the jobs of an object are held while its examination goes on."""


def examinations(
    folder: str, state: str = "", limit: int = 100, kind: str = ""
) -> list[ExaminationRow]:
    """The last examinations, the last first; all, or those in a state. With `kind` (IMPORT,
    EXPORT, FETCH) those that are imports, exports, or retrievals."""
    from agent.archive.reader_worker import ask

    where, values = ("device = ?", [kind]) if kind else (_OF_OTHERS, [])
    if state:
        where, values = f"{where} AND state = ?", [*values, state]
    rows = ask(
        folder,
        f"SELECT {COLUMNS} FROM examination WHERE {where} ORDER BY id DESC LIMIT ?",
        (*values, limit),
    )
    return [ExaminationRow(*row) for row in rows]


def examination(folder: str, number: int) -> ExaminationRow | None:
    """One of them, or None; an import is one too, an export and a retrieval are not."""
    from agent.archive.reader_worker import ask

    rows = ask(
        folder,
        f"SELECT {COLUMNS} FROM examination WHERE id = ? AND device NOT IN (?, ?)",
        (number, EXPORT, FETCH),
    )
    return ExaminationRow(*rows[0]) if rows else None
