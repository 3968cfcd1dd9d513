"""What was kept of procedures is forgotten when its time is over: steps, examinations, commitments.

Nothing goes that is open, or that an unfinished job is about. `forget_...` run inside a transaction
of the storage worker, a few rows at a time; the rest are questions to a reader worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from agent.archive import commitments
from agent.archive.decision import RESULT, order_of
from agent.archive.examinations import COLUMNS, IN_PROGRESS, ExaminationRow

if TYPE_CHECKING:
    from agent.archive.store import Store


class Period(NamedTuple):
    """From one moment on, and before another, in seconds since 1970. What was written before the
    clock was set is of no known age."""

    begin: float
    end: float


def forget_steps(store: Store, period: Period, after: str, limit: int) -> tuple[int, str]:
    """Delete steps in a final state, last changed in this time, about which no message waits.

    Looks at `limit` of them whose UID comes behind `after`; returns how many went, and where to go
    on, "" at the end. N-GET answers 0112H from then (PS3.4 F.8.2.2).
    """
    rows = store.index.execute(
        "SELECT sop_instance_uid FROM step WHERE sop_instance_uid > ? AND changed >= ?"
        " AND changed < ? AND status != ? ORDER BY sop_instance_uid LIMIT ?",
        (after, *period, IN_PROGRESS, limit),
    ).fetchall()
    waiting = _orders_of_jobs(store)
    forgotten = 0
    for (uid,) in rows:
        if -order_of(uid) not in waiting:
            store.index.execute("DELETE FROM step WHERE sop_instance_uid = ?", (uid,))
            forgotten += 1
    return forgotten, rows[-1][0] if len(rows) == limit else ""


def ended_examinations(folder: str, period: Period, after: int, limit: int) -> list[ExaminationRow]:
    """Examinations that are over, last changed in this time, in the order of their numbers."""
    from agent.archive.reader_worker import ask

    rows = ask(
        folder,
        f"SELECT {COLUMNS} FROM examination WHERE id > ? AND changed >= ? AND changed < ?"
        " AND state != ? ORDER BY id LIMIT ?",
        (after, *period, IN_PROGRESS, limit),
    )
    return [ExaminationRow(*row) for row in rows]


def forget_examinations(
    store: Store, ended: Sequence[tuple[int, tuple[int, ...]]], period: Period
) -> int:
    """Delete examinations (number, orders of the messages about their steps) that are over still,
    and whose messages and objects are where they shall go; returns how many went."""
    waiting = _orders_of_jobs(store)
    forgotten = 0
    for number, orders in ended:
        row = store.index.execute(
            "SELECT coalesce(study.id, 0) FROM examination LEFT JOIN study USING"
            " (study_instance_uid) WHERE examination.id = ? AND examination.changed >= ?"
            " AND examination.changed < ? AND state != ?",
            (number, *period, IN_PROGRESS),
        ).fetchone()
        if row is None or waiting & {-order for order in orders} or (row[0] and row[0] in waiting):
            continue
        store.index.execute("DELETE FROM examination WHERE id = ?", (number,))
        forgotten += 1
    return forgotten


def stale_commitments(folder: str, period: Period, limit: int) -> list[str]:
    """Transactions of this time that nothing waits for, by UID, the oldest first.

    One of ours goes when each of its jobs is over, or was asked for again in a later transaction;
    one that was asked of us when its result was taken.
    """
    from agent.archive.reader_worker import ask

    rows = ask(
        folder,
        "WITH latest AS MATERIALIZED (SELECT job, max(asked) AS asked FROM commitment_item"
        " JOIN commitment USING (transaction_uid) GROUP BY job),"
        " result AS MATERIALIZED (SELECT payload FROM job WHERE kind = ?)"
        " SELECT transaction_uid FROM commitment AS this WHERE asked >= ? AND asked < ?"
        " AND NOT EXISTS (SELECT 1 FROM result WHERE this.asked_of_us"
        " AND instr(payload, CAST(this.transaction_uid AS BLOB)))"
        " AND NOT EXISTS (SELECT 1 FROM commitment_item AS item JOIN job ON job.id = item.job"
        " JOIN latest ON latest.job = item.job"
        " WHERE item.transaction_uid = this.transaction_uid AND latest.asked <= this.asked)"
        " ORDER BY asked LIMIT ?",
        (RESULT, *period, limit),
    )
    return [str(uid) for (uid,) in rows]


def forget_commitments(store: Store, transaction_uids: Sequence[str]) -> None:
    """Delete transactions: a result that comes yet is one of an unknown transaction."""
    for uid in transaction_uids:
        commitments.retire(store, uid)


def _orders_of_jobs(store: Store) -> set[int]:
    """The studies, and below 0 the orders of messages, that unfinished jobs are about."""
    return {study for (study,) in store.index.execute("SELECT DISTINCT study FROM job")}
