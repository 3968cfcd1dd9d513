"""What retention may delete: asked in a reader worker, in pages by key.

An object with an unfinished job is never a candidate, nor is an original (PS3.15 A.1.1 c).
"""

from __future__ import annotations

from agent.archive.examinations import EXPORT
from agent.archive.reader_worker import ask
from agent.archive.records import (
    COMMITTED,
    DELIVERED,
    LEAST_RECENTLY_USED,
    RECEIVED,
    Candidate,
    Conditions,
    Flag,
)

_CONDITIONS = {
    RECEIVED: "",
    DELIVERED: " AND EXISTS (SELECT 1 FROM delivery WHERE delivery.instance = instance.id)",
    COMMITTED: " AND EXISTS (SELECT 1 FROM delivery WHERE delivery.instance = instance.id)"
    " AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.instance = instance.id"
    " AND committed IS NULL)",
}

_NOT_NEEDED = (
    f" AND instance.flags & {int(Flag.ORIGINAL)} = 0"
    " AND NOT EXISTS (SELECT 1 FROM job WHERE job.instance = instance.id)"
    # The step that is reported at the end names the objects that are there.
    " AND coalesce(study_instance_uid, '') NOT IN"
    " (SELECT study_instance_uid FROM examination WHERE state = 'IN PROGRESS')"
    # What an export has still to write.
    " AND coalesce(study_instance_uid, '') NOT IN (SELECT value FROM examination,"
    f" json_each(content, '$.studies') WHERE state = 'IN PROGRESS' AND device = '{EXPORT}')"
)


def candidates(
    folder: str, conditions: Conditions, limit: int = 500, skip: frozenset[int] = frozenset()
) -> list[Candidate]:
    """Up to `limit` objects that may go, first those that should go first.

    To go on, delete them and ask again; those that cannot be deleted are named in `skip`.
    """
    if conditions.order == LEAST_RECENTLY_USED:
        found = _least_recently_used(folder, conditions, limit + len(skip))
    else:
        found = _oldest(folder, conditions, limit + len(skip))
    return [each for each in found if each.id not in skip][:limit]


def _oldest(
    folder: str, conditions: Conditions, limit: int, studyless: str = ""
) -> list[Candidate]:
    rows = ask(
        folder,
        "SELECT instance.id, sop_instance_uid, instance.bytes, instance.received,"
        " coalesce(accessed, instance.received) FROM instance"
        " LEFT JOIN study ON study.id = instance.study"
        " WHERE instance.received < ? AND instance.received >= ?"
        " AND coalesce(accessed, instance.received) < ?"
        f"{studyless}{_CONDITIONS[conditions.after]}{_NOT_NEEDED} ORDER BY instance.id LIMIT ?",
        (
            conditions.received_before,
            conditions.received_after,
            conditions.unused_since,
            limit,
        ),
    )
    return [Candidate(*row) for row in rows]


def _least_recently_used(folder: str, conditions: Conditions, limit: int) -> list[Candidate]:
    rows = ask(
        folder,
        # CROSS JOIN keeps the order of the loops, so that nothing is sorted.
        "SELECT instance.id, sop_instance_uid, instance.bytes, instance.received, accessed"
        " FROM study INDEXED BY study_accessed CROSS JOIN instance ON instance.study = study.id"
        " WHERE accessed < ? AND instance.received < ? AND instance.received >= ?"
        f"{_CONDITIONS[conditions.after]}{_NOT_NEEDED} ORDER BY accessed, study.id LIMIT ?",
        (
            conditions.unused_since,
            conditions.received_before,
            conditions.received_after,
            limit,
        ),
    )
    found = [Candidate(*row) for row in rows]
    if len(found) < limit:
        found += _oldest(folder, conditions, limit - len(found), " AND instance.study IS NULL")
    return found
