"""Originals by SOP Instance Status (PS3.15 A.1.1 c and d): who holds one keeps it until another has
committed to it; and who was given one keeps it to itself until the giver knows that.

All runs inside a transaction of the storage worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.archive.corrections import exchange
from agent.archive.records import WAITS_FOR_COMMITMENT, Flag

if TYPE_CHECKING:
    from agent.archive.store import Store

_NO_LONGER = Flag.ORIGINAL | Flag.AUTHORIZED | Flag.HANDED_OVER


def mark_handed_over(store: Store, peer: str, uids: Sequence[str]) -> int:
    """The peer has committed to these; returns how many originals of ours they are."""
    return sum(
        store.index.execute(
            "UPDATE instance SET flags = flags | ? WHERE sop_instance_uid = ? AND flags & ?"
            " AND id IN (SELECT instance FROM delivery JOIN destination"
            " ON destination.id = delivery.destination WHERE name = ? AND committed IS NOT NULL)",
            (int(Flag.HANDED_OVER), uid, int(Flag.ORIGINAL), peer),
        ).rowcount
        for uid in uids
    )


def handed_over(store: Store, limit: int) -> list[tuple[int, bool]]:
    """Originals that are ones no longer, and whether they were authorized."""
    rows = store.index.execute(
        "SELECT id, flags & ? FROM instance WHERE flags & ? ORDER BY id LIMIT ?",
        (int(Flag.AUTHORIZED), int(Flag.HANDED_OVER), limit),
    )
    return [(number, bool(flag)) for number, flag in rows.fetchall()]


def exchange_status(store: Store, old: int, new: int) -> None:
    """A staged object with another status takes the place of the old one: nothing else is said to
    be changed, and where it was delivered it still is."""
    (flags,) = store.index.execute(
        "SELECT flags FROM instance WHERE id = ?", (old,)
    ).fetchone() or (None,)
    if flags is None:
        return
    rows = store.index.execute(
        "SELECT destination, delivered, committed FROM delivery WHERE instance = ?", (old,)
    ).fetchall()
    exchange(store, ((old, new),))
    store.index.execute(
        "UPDATE instance SET flags = ? WHERE id = ?", (flags & ~int(_NO_LONGER), new)
    )
    for destination, delivered, committed in rows:
        store.index.execute(
            "INSERT OR REPLACE INTO delivery VALUES (?, ?, ?, ?)",
            (new, destination, delivered, committed),
        )


def confirm(store: Store, uids: Sequence[str]) -> int:
    """Their sender knows that we keep them: they may go out; returns how many jobs were held."""
    numbers: list[int] = []
    for uid in uids:
        store.index.execute(
            "UPDATE instance SET flags = flags & ~? WHERE sop_instance_uid = ? AND flags & ?",
            (int(Flag.UNCONFIRMED), uid, int(Flag.UNCONFIRMED)),
        )
        numbers += [
            number
            for (number,) in store.index.execute(
                "SELECT job.id FROM job JOIN instance ON instance.id = job.instance"
                " WHERE sop_instance_uid = ? AND job.state = 2 AND job.reason = ?",
                (uid, WAITS_FOR_COMMITMENT),
            )
        ]
    return store.queue.again(numbers)
