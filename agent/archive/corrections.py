"""Changes that a person or retention makes to what is stored: delete, re-identify, send again.

Each is recorded in the `correction` table. Rows go first and files after: a file whose row is gone
is in `doomed` until it is deleted, so a crash between leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.archive import index_failure, rewriting
from agent.archive.decision import DELIVER, JobPlan
from agent.archive.instances import NewInstance
from agent.archive.keys import INDEXED, keys_of
from agent.archive.records import Flag, JobState
from agent.archive.store import Store
from agent.dataset import tags
from agent.dataset.byte_source import FileBytes
from agent.dataset.character_set import encode_text
from agent.dataset.date_time import date_time
from agent.dataset.file_meta import read_file_meta
from agent.dataset.head import scan_head
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    encoding_of,
)
from agent.errors import LocalError
from agent.quoting import quoted

PATIENT, STUDY, SERIES, INSTANCE = "patient", "study", "series", "instance"

_NEVER_CHANGED = frozenset((tags.SOP_CLASS_UID, tags.SOP_INSTANCE_UID, tags.SPECIFIC_CHARACTER_SET))


@dataclass(frozen=True, slots=True)
class Deletion:
    """What was deleted, and what was not: its jobs are not finished, or it is an original."""

    deleted: tuple[int, ...]
    kept: tuple[int, ...]
    bytes: int


def numbers_of(store: Store, level: str, uid: str) -> list[int]:
    """The objects of a study, series or instance (all its variants), by its UID."""
    conditions = {
        STUDY: "study = (SELECT id FROM study WHERE study_instance_uid = ?)",
        SERIES: "series IN (SELECT id FROM series WHERE series_instance_uid = ?)",
        INSTANCE: "sop_instance_uid = ?",
    }
    if level not in conditions:
        raise LocalError(
            f"There is no level {quoted(repr(level))}.", value=level, limit=tuple(conditions)
        )
    rows = store.index.execute(
        f"SELECT id FROM instance WHERE {conditions[level]} ORDER BY id", (uid,)
    )
    return [number for (number,) in rows]


def delete(store: Store, numbers: Iterable[int], force: bool, originals: bool = False) -> Deletion:
    """Take objects out; in a transaction. Those with unfinished jobs stay, unless forced.

    Originals stay in any case (PS3.15 A.1.1 c), but for those that turned out to be none: that is
    what `originals` says.

    The files are deleted by `Store.sweep`, after the transaction.
    """
    gone: list[int] = []
    kept: list[int] = []
    for number in numbers:
        if not originals and store.rows.flags_of(number) & Flag.ORIGINAL:
            kept.append(number)
            continue
        if force:
            store.queue.drop_of_instance(number, "its object was deleted")
        elif store.queue.count_of_instance(number):
            kept.append(number)
            continue
        gone.append(number)
    freed = store.rows.remove(gone)
    store.bytes -= freed
    store.sweeping.expect()
    return Deletion(tuple(gone), tuple(kept), freed)


def send_again(store: Store, numbers: Iterable[int], plan: JobPlan) -> int:
    """Make a job for each of the objects that has none such already; in a transaction."""
    made = 0
    for number in numbers:
        if not store.queue.is_open(plan, number):
            store.queue.add(plan, instance=number, study=store.rows.study_of(number))
            made += 1
    return made


def record(
    store: Store,
    action: str,
    level: str,
    uid: str,
    who: str,
    instances: int,
    detail: Mapping[str, object],
) -> None:
    """Write a line of the log of corrections; in a transaction."""
    store.index.execute(
        "INSERT INTO correction (time, action, level, uid, who, instances, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (time.time(), action, level, uid, who, instances, json.dumps(detail, ensure_ascii=False)),
    )


def stage(store: Store, number: int, changes: Mapping[int, str], who: str) -> int:
    """Write an object anew with other values (texts); returns the number of the new file.

    It is doomed until `swap` puts it in the old one's place, so a crash leaves no second copy.
    Raises LocalError for attributes that are not to be changed, or texts that the character set
    of the object has no code for; StorageError where the disk fails.
    """

    def encode(syntax: TransferSyntax, charset: bytes) -> dict[int, bytes | None]:
        return {
            tag: encode_text(text, tags.known_value_representation(tag), charset)
            for tag, text in changes.items()
        }

    return stage_changed(store, number, changes, encode, who)


def stage_changed(
    store: Store,
    number: int,
    changed: Iterable[int],
    encode: Callable[[TransferSyntax, bytes], Mapping[int, bytes | None]],
    who: str,
    value_representations: Mapping[int, str] | None = None,
) -> int:
    """As `stage`, with values that `encode` gives for the object's encoding and character set."""
    for tag in changed:
        if tag in _NEVER_CHANGED:
            raise LocalError(
                f"{tags.format_tag(tag)} of a stored object cannot be changed.",
                clause="PS3.4 B.4.1.3",
                value=tag,
            )
    settings = store.settings
    (new_number,) = store.allocate(1)
    try:
        with store.index.transaction():
            store.rows.doom((new_number,))
        store.sweeping.staged.add(new_number)
        descriptor = store.spool.open_object(number)
        try:
            meta = read_file_meta(descriptor)
            source = FileBytes(descriptor, meta.data_set_offset)
            wanted = frozenset((tags.SPECIFIC_CHARACTER_SET,))
            head = scan_head(source, meta.encoding, wanted)
            charset = head.values.get(tags.SPECIFIC_CHARACTER_SET, b"")
            change_record = rewriting.ChangeRecord(
                rewriting.CORRECT, settings.modifying_system, who, date_time(time.time())
            )
            new = rewriting.rewrite(
                store.folder,
                descriptor,
                meta,
                encode(_plain(meta.encoding), charset),
                change_record,
                settings.statuses,
                value_representations or {},
                settings.sign_anew,
            )
        finally:
            os.close(descriptor)
        try:
            os.fdatasync(new.descriptor)
            store.spool.link(new.descriptor, new_number)
            store.spool.sync()
        finally:
            new.discard(store.folder)
    except Exception as error:
        store.sweeping.abandon((new_number,))
        raise index_failure.of_any(error, "re-identify the object", settings.statuses) from error
    return new_number


def _plain(syntax: TransferSyntax) -> TransferSyntax:
    """How the data set is encoded beneath deflation."""
    return encoding_of(EXPLICIT_VR_LITTLE_ENDIAN) if syntax.deflated else syntax


def exchange(store: Store, pairs: Sequence[tuple[int, int]]) -> int:
    """`swap`; and what is being sent just now goes out once more, as it began as it was."""
    under_way = {new: _under_way(store, old) for old, new in pairs}
    count = swap(store, pairs)
    for new, plans in under_way.items():
        for plan in plans:
            store.queue.add(plan, instance=new, study=store.rows.study_of(new))
    return count


def _under_way(store: Store, number: int) -> list[JobPlan]:
    rows = store.index.execute(
        "SELECT name, rank, payload FROM job JOIN destination ON destination.id = job.destination"
        " WHERE instance = ? AND kind = ? AND state = ?",
        (number, DELIVER, JobState.CLAIMED),
    )
    return [
        JobPlan(DELIVER, name, priority=-rank, payload=payload)
        for name, rank, payload in rows.fetchall()
    ]


def swap(store: Store, pairs: Sequence[tuple[int, int]]) -> int:
    """Put staged objects in the place of the old ones, with their jobs; in a transaction.

    Returns how many; an old one that was deleted meanwhile stays deleted.
    """
    swapped, grown = 0, 0
    for old, new in pairs:
        row = store.index.execute(
            "SELECT received, source, flags, received_digest, data_set_offset FROM instance"
            " WHERE id = ?",
            (old,),
        ).fetchone()
        if row is None:
            continue
        received, source, flags, received_digest, old_offset = row
        if received_digest is None:
            received_digest = _digest_of(store, old, old_offset)
        replacement = _described(store, new, received, source, flags, received_digest)
        store.rows.describe_again(replacement.keys)
        study = store.rows.add(replacement)
        store.queue.move_to(old, new, study)
        grown += replacement.size - store.rows.remove((old,))
        store.rows.undoom((new,))
        swapped += 1
    store.bytes += grown
    store.sweeping.expect()
    store.sweeping.staged.difference_update(new for _, new in pairs)
    return swapped


def _digest_of(store: Store, number: int, offset: int) -> bytes:
    descriptor = store.spool.open_object(number)
    try:
        return rewriting.digest(descriptor, offset)
    finally:
        os.close(descriptor)


def _described(
    store: Store, number: int, received: float, source: str, flags: int, received_digest: bytes
) -> NewInstance:
    descriptor = store.spool.open_object(number)
    try:
        meta = read_file_meta(descriptor)
        head = scan_head(FileBytes(descriptor, meta.data_set_offset), meta.encoding, INDEXED)
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    return NewInstance(
        number=number,
        keys=keys_of(head),
        transfer_syntax_uid=meta.transfer_syntax_uid,
        data_set_offset=meta.data_set_offset,
        size=size,
        received=received,
        source=source,
        flags=(flags | Flag.REIDENTIFIED) & ~Flag.OTHER_PATIENT,
        received_digest=received_digest,
    )
