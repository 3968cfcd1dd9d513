"""The objects of an examination get the identity of an order that came later.

`stage` writes each anew; `reconcile` then puts all of them in the place of the old ones, changes
the examination and makes the jobs that follow, in one transaction: nobody ever sees the half of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from agent.archive import corrections, examinations
from agent.archive.decision import DELIVER, JobPlan, Origin
from agent.archive.examinations import ExaminationRow
from agent.archive.keys import INDEXED
from agent.archive.procedure_steps import unpack
from agent.archive.records import JobState
from agent.dataset.attributes_encoding import encode_changes
from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import read_file_meta
from agent.dataset.head import scan_head
from agent.dataset.tags import SPECIFIC_CHARACTER_SET
from agent.dataset.transfer_syntaxes import TransferSyntax

if TYPE_CHECKING:
    from agent.archive.store import Store


class Reconciled(NamedTuple):
    """How many objects have the new identity, and how many go to which destination once more."""

    objects: int
    again: Mapping[str, int]


def stage(store: Store, number: int, packed: bytes, who: str) -> int:
    """Write an object anew with these attributes (of `pack`) of its top level, sequences too.

    One without a value is emptied, a sequence without items taken out. An object of plain ASCII is
    UTF-8 from then on where its new values need that (PS3.5 6.1.2). Else as `corrections.stage`;
    returns the number of the new file.
    """
    attributes = unpack(packed)

    def encode(syntax: TransferSyntax, charset: bytes) -> dict[int, bytes | None]:
        return encode_changes(attributes, charset, syntax)

    vrs = {tag: attributes[tag].vr for tag in attributes if tag != SPECIFIC_CHARACTER_SET}
    return corrections.stage_changed(store, number, tuple(vrs), encode, who, vrs)


def reconcile(
    store: Store,
    pairs: Sequence[tuple[int, int]],
    row: ExaminationRow,
    who: str,
    detail: Mapping[str, object],
) -> Reconciled:
    """Put staged objects in the place of the old ones, and keep the examination as it is now.

    What a destination has, or is being sent, in its old form goes there again (PS3.4 has no means
    to change what was stored). What still waits goes there once, in the new form.
    """
    before = {new: _sent(store, old) for old, new in pairs}
    count = corrections.swap(store, pairs)
    again: dict[str, int] = {}
    for new, destinations in before.items():
        plans = _plans(store, new, row.device) if destinations else {}
        study = store.rows.study_of(new)
        for name in destinations:
            if _waits(store, new, name):
                continue
            plan = plans.get(name, JobPlan(DELIVER, name))
            store.queue.add(replace(plan, hold="", delay=0.0), instance=new, study=study)
            again[name] = again.get(name, 0) + 1
    examinations.save(store, row)
    corrections.record(
        store, "reconcile", "study", row.study_instance_uid, who, count, {**detail, "again": again}
    )
    return Reconciled(count, again)


def _sent(store: Store, number: int) -> list[str]:
    """Where an object was delivered to, or is on its way to just now."""
    rows = store.index.execute(
        "SELECT name FROM destination WHERE id IN"
        " (SELECT destination FROM delivery WHERE instance = ?1 UNION"
        " SELECT destination FROM job WHERE instance = ?1 AND kind = ?2 AND state = ?3)",
        (number, DELIVER, JobState.CLAIMED),
    )
    return [str(name) for (name,) in rows.fetchall()]


def _waits(store: Store, number: int, destination: str) -> bool:
    """Whether it is still to be sent there, and nobody has begun."""
    row = store.index.execute(
        "SELECT 1 FROM job JOIN destination ON destination.id = job.destination"
        " WHERE instance = ? AND kind = ? AND state != ? AND name = ?",
        (number, DELIVER, JobState.CLAIMED, destination),
    ).fetchone()
    return row is not None


def _plans(store: Store, number: int, device: str) -> dict[str, JobPlan]:
    """What the rules say of it now: with which changes it goes where."""
    descriptor = store.spool.open_object(number)
    try:
        meta = read_file_meta(descriptor)
        source = FileBytes(descriptor, meta.data_set_offset)
        head = scan_head(source, meta.encoding, INDEXED | store.receiver.wanted)
    finally:
        os.close(descriptor)
    origin = Origin(source="capture", entity=device, sop_class_uid=meta.media_storage_sop_class_uid)
    return {each.destination: each for each in store.receiver.receive(head, origin).jobs}
