"""Storage commitment (PS3.4 J): transactions that wait for their result, in both roles.

A COMMIT job stays in the queue until the peer has answered for its object. While the answer is
outstanding the job waits; when it never comes the job is due again, and asks in a new transaction.
Everything but `presence` runs inside a transaction of the storage worker.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from agent.archive.decision import COMMIT, DELIVER, JobPlan

if TYPE_CHECKING:
    from agent.archive.store import Store


class Item(NamedTuple):
    """An object of a transaction, and the job that asks for it."""

    sop_class_uid: str
    sop_instance_uid: str
    job: int = 0


class FailedItem(NamedTuple):
    """An object that the peer does not commit to, why, and whether to send it again."""

    sop_instance_uid: str
    reason: str
    deliver_again: bool


class Delivered(NamedTuple):
    """What a COMMIT job knows of the delivery before it: to whom, and how the copy was changed."""

    peer: str
    payload: bytes

    def pack(self) -> bytes:
        """As the payload of the job."""
        return json.dumps([self.peer, self.payload.decode()]).encode()

    @classmethod
    def unpack(cls, payload: bytes) -> Delivered:
        peer, changes = json.loads(payload)
        return cls(peer, changes.encode())


def begin(
    store: Store, transaction_uid: str, peer: str, items: Sequence[Item], wait: float
) -> None:
    """We are about to ask: the result may come from now on, for at most `wait` seconds."""
    now = time.time()
    store.index.execute(
        "INSERT INTO commitment (transaction_uid, peer, asked) VALUES (?, ?, ?)",
        (transaction_uid, peer, now),
    )
    for item in items:
        store.index.execute(
            "INSERT INTO commitment_item VALUES (?, ?, ?, ?)",
            (transaction_uid, item.sop_instance_uid, item.sop_class_uid, item.job),
        )
        store.queue.wait(item.job, wait, "asked, the result is outstanding")


def retire(store: Store, transaction_uid: str) -> None:
    """The request failed: its UID is dead (J.3.2.1.2)."""
    store.index.execute("DELETE FROM commitment WHERE transaction_uid = ?", (transaction_uid,))
    store.index.execute("DELETE FROM commitment_item WHERE transaction_uid = ?", (transaction_uid,))


def answered(
    store: Store,
    transaction_uid: str,
    committed: Sequence[str],
    failed: Sequence[FailedItem],
    most_deliveries: int = 3,
) -> str:
    """The peer answered; returns its name, "" where there is no such transaction.

    What it committed to is done. What it failed on is sent again, or held for a person with the
    reason; after `most_deliveries` it is held in any case.
    """
    row = store.index.execute(
        "SELECT peer FROM commitment WHERE transaction_uid = ? AND NOT asked_of_us",
        (transaction_uid,),
    ).fetchone()
    if row is None:
        return ""
    peer = str(row[0])
    jobs: dict[str, int] = dict(
        store.index.execute(
            "SELECT sop_instance_uid, job FROM commitment_item WHERE transaction_uid = ?",
            (transaction_uid,),
        ).fetchall()
    )
    for failure in failed:
        job = store.queue.job(jobs.pop(failure.sop_instance_uid, 0))
        if job is None:
            continue
        if failure.deliver_again and _failures(store, job.instance_id) < most_deliveries:
            store.queue.finish_without(job.id, failure.reason)
            delivered = Delivered.unpack(job.payload)
            store.queue.add(
                JobPlan(DELIVER, delivered.peer, job.priority, payload=delivered.payload),
                instance=job.instance_id,
                study=store.rows.study_of(job.instance_id),
            )
        else:
            store.queue.hold(job.id, reason=f"not committed: {failure.reason}")
    for uid in committed:
        job = store.queue.job(jobs.pop(uid, 0))
        if job is not None:
            store.queue.finish(job.id, reason="committed")
            store.queue.mark_committed(Delivered.unpack(job.payload).peer, [uid])
    for left in jobs.values():
        # J.3.3.1.3 wants an answer for each; what has none is asked for again.
        store.queue.wait(left, 0.0, "the result did not name it")
    retire(store, transaction_uid)
    return peer


def asked_of_us(store: Store, transaction_uid: str, plan: JobPlan) -> bool:
    """A peer asks us; the job answers it. False where the transaction was there before."""
    added = store.index.execute(
        "INSERT OR IGNORE INTO commitment VALUES (?, ?, ?, 1)",
        (transaction_uid, plan.destination, time.time()),
    ).rowcount
    if added:
        store.queue.add(plan)
    return bool(added)


def _failures(store: Store, instance: int) -> int:
    """How often its commitment failed before, as far as the history of jobs tells."""
    row = store.index.execute(
        "SELECT count(*) FROM finished_job WHERE instance = ? AND kind = ? AND outcome = 'dropped'",
        (instance, COMMIT),
    ).fetchone()
    return int(row[0])


def presence(folder: str, uids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A question to a reader worker: SOP Class UID and transfer syntax of those that are here."""
    from agent.archive.reader_worker import ask

    found: dict[str, tuple[str, str]] = {}
    for uid in uids:
        for sop_class, syntax in ask(
            folder,
            "SELECT sop_class_uid, transfer_syntax_uid FROM instance WHERE sop_instance_uid = ?"
            " ORDER BY id",
            (uid,),
        ):
            found.setdefault(uid, (str(sop_class), str(syntax)))
    return found
