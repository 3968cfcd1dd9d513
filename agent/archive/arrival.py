"""An object on its way into the archive, and the examination that comes before any promise.

Everything here reads, and may write a nameless file; nothing has a name or a row yet, so an error
at any point leaves nothing behind.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from agent.archive import rewriting
from agent.archive.comparison import LARGEST_AT_ONCE, are_same
from agent.archive.decision import Decision, Origin, Receiver, Verdict
from agent.archive.incoming import IncomingFile
from agent.archive.instances import StoredCopy
from agent.archive.keys import INDEXED, Keys, keys_of
from agent.archive.records import Flag
from agent.archive.settings import ArchiveSettings
from agent.archive.worker_answers import Comparison
from agent.dataset.byte_source import FileBytes
from agent.dataset.date_time import date_time
from agent.dataset.file_meta import FileMeta, read_file_meta
from agent.dataset.head import Head, scan_head
from agent.dataset.tags import SOP_CLASS_UID, SOP_INSTANCE_UID
from agent.errors import PeerError, StatusReaction
from agent.quoting import Sentence, quoted

_BLOCK = 1 << 20
_COERCION_OF_DATA_ELEMENTS = 0xB000


@dataclass(slots=True)
class Arrival:
    """One reception in the storage worker. `verdict` is set when its fate is known early.

    `hidden_name` is that of its file in `incoming/`, if any. `recovered_number` is that of an
    object which has its name already. A twin is of the same SOP Instance UID as another of the
    group, and has to wait until that one's fate is known. `compared` says of stored objects, by
    their numbers, whether this one is the same; None: large ones are compared here as well.
    """

    descriptor: int
    hidden_name: str
    origin: Origin
    recovered_number: int = 0
    meta: FileMeta | None = None
    keys: Keys | None = None
    decision: Decision = field(default_factory=Decision)
    size: int = 0
    received: float = 0.0
    flags: int = 0
    received_digest: bytes | None = None
    rewritten: IncomingFile | None = None
    duplicate_of: int = 0
    is_twin: bool = False
    compared: Mapping[int, bool] | None = None
    to_compare: Comparison | None = None
    number: int = 0
    checksum: int = 0
    verdict: Verdict | None = None
    error: Exception | None = None

    @property
    def file(self) -> int:
        """The descriptor of the bytes that are to be kept."""
        return self.descriptor if self.rewritten is None else self.rewritten.descriptor

    @property
    def is_open(self) -> bool:
        """Whether it is still on its way: neither answered nor failed, nor there already."""
        is_settled = self.verdict is not None or self.error is not None
        return not is_settled and not self.is_twin and self.to_compare is None

    @property
    def is_new(self) -> bool:
        """Whether it gets a file and a row of its own."""
        return self.is_open and not self.duplicate_of

    def let_go(self, folder: Path) -> None:
        """Close the rewritten file; it has its name, or nobody needs it."""
        if self.rewritten is not None:
            self.rewritten.discard(folder)

    def start_again(self, folder: Path) -> None:
        """Forget the examination: a twin is examined anew."""
        self.let_go(folder)
        self.rewritten, self.received_digest = None, None
        self.flags, self.is_twin = 0, False


def begin_to_write(descriptor: int) -> None:
    """Have the kernel write a file out without waiting for it: the syncs of a group then wait for
    the disk together, not one after the other, and meanwhile heads are read.

    It is what Linux does first with pages that it is told are not needed any more; those that
    are being written stay in memory, what was synced before would not. A disk that fails is told
    of by the sync all the same. Where a kernel does nothing here, the sync does all of it.
    """
    with suppress(OSError):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def checksum(descriptor: int) -> int:
    """CRC-32 of a file. Raises OSError."""
    found, position = 0, 0
    while block := os.pread(descriptor, _BLOCK, position):
        found = zlib.crc32(block, found)
        position += len(block)
    return found


def read_head(arrival: Arrival, receiver: Receiver, settings: ArchiveSettings) -> Head | None:
    """Fill in `meta`, `size` and `keys`; None when that was the end of it (`verdict` is set).

    Raises StorageError and OSError where the file cannot be read.
    """
    arrival.received = arrival.origin.received or time.time()
    arrival.meta = meta = read_file_meta(arrival.file, tolerate=True)
    arrival.size = os.fstat(arrival.file).st_size
    try:
        head = scan_head(
            FileBytes(arrival.file, meta.data_set_offset),
            meta.encoding,
            INDEXED | receiver.wanted,
        )
    except PeerError as error:
        told = error.reaction.comment if isinstance(error.reaction, StatusReaction) else ""
        comment = Sentence(f"{quoted(told)}" or f"Cannot understand: {quoted(error.message)}")
        arrival.verdict = Verdict(settings.statuses.cannot_understand, comment)
        return None
    arrival.keys = keys_of(head)
    return head


def check_identity(arrival: Arrival, settings: ArchiveSettings) -> None:
    """PS3.4 Table B.2-1: the data set must be what the command says that it is (else A9xx)."""
    keys, origin = arrival.keys, arrival.origin
    assert keys is not None
    wrong = []
    for tag, said, is_so in (
        (SOP_CLASS_UID, origin.sop_class_uid, keys.sop_class_uid),
        (SOP_INSTANCE_UID, origin.sop_instance_uid, keys.sop_instance_uid),
    ):
        if not is_so or (origin.check and said not in ("", is_so)):
            wrong.append(tag)
    if wrong:
        names = {SOP_CLASS_UID: "SOP Class UID", SOP_INSTANCE_UID: "SOP Instance UID"}
        is_missing = not keys.sop_class_uid or not keys.sop_instance_uid
        arrival.verdict = Verdict(
            settings.statuses.does_not_match,
            Sentence(
                f"{' and '.join(names[tag] for tag in wrong)} "
                + ("missing in data set" if is_missing else "not as in the command")
            ),
            tuple(wrong),
        )


def decide(arrival: Arrival, head: Head, receiver: Receiver) -> None:
    """Ask the rules. A refusal, or an object that nobody wants, is answered at once."""
    arrival.decision = decision = receiver.receive(head, arrival.origin)
    arrival.flags |= decision.flags
    if arrival.recovered_number:
        # Its sender was never answered, and much of its origin is lost: keep it in any case.
        arrival.flags |= Flag.RECOVERED
        jobs = () if decision.refusal is not None or decision.discard else decision.jobs
        arrival.decision = Decision(jobs=jobs, flags=decision.flags)
    elif decision.refusal is not None:
        refusal = decision.refusal
        arrival.verdict = Verdict(
            refusal.status, Sentence(f"{quoted(refusal.comment)}"), refusal.offending_elements
        )
    elif decision.discard:
        arrival.verdict = Verdict(0)


def coerce(arrival: Arrival, folder: Path, settings: ArchiveSettings) -> None:
    """Apply the coercions that make a difference, into a new file (PS3.4 B.4.1.3)."""
    meta, coercions = arrival.meta, arrival.decision.coercions
    assert meta is not None
    source = FileBytes(arrival.descriptor, meta.data_set_offset)
    head = scan_head(source, meta.encoding, frozenset(coercions))
    changes = rewriting.changes_that_change(head, coercions)
    arrival.decision = replace(arrival.decision, coercions=changes)
    if not changes:
        return
    record = rewriting.ChangeRecord(
        rewriting.COERCE,
        settings.modifying_system,
        arrival.origin.calling,
        date_time(arrival.received),
    )
    arrival.received_digest = rewriting.digest(arrival.descriptor, meta.data_set_offset)
    arrival.rewritten = rewriting.rewrite(
        folder,
        arrival.descriptor,
        meta,
        changes,
        record,
        settings.statuses,
        sign_anew=settings.sign_anew,
    )
    arrival.flags |= Flag.COERCED


def find_duplicate(arrival: Arrival, copies: list[StoredCopy], folder: Path) -> None:
    """Compare with what is there under the same UID: the same bytes, or a variant.

    Where another is to compare first, `to_compare` says what, and that is the end of it.
    """
    meta = arrival.meta
    assert meta is not None
    for copy in copies:
        if _is_same(arrival, meta, copy, folder):
            arrival.duplicate_of = copy.id
        if arrival.duplicate_of or arrival.to_compare is not None:
            return
    if copies:
        arrival.flags |= Flag.VARIANT


def answer(arrival: Arrival, jobs: int) -> Verdict:
    """What the sender hears when all went well."""
    warning = arrival.decision.warning
    status, elements = 0, tuple[int, ...]()
    comment: Sentence | Literal[""] = ""
    if arrival.decision.coercions:
        # B000 goes before other warnings: the sender's copy and ours differ from now on.
        status, comment = _COERCION_OF_DATA_ELEMENTS, Sentence("Values were coerced")
        elements = tuple(sorted(arrival.decision.coercions))
    elif warning is not None:
        status, elements = warning.status, warning.offending_elements
        comment = Sentence(f"{quoted(warning.comment)}")
    return Verdict(
        status,
        comment,
        elements,
        instance_id=arrival.number or arrival.duplicate_of,
        duplicate=bool(arrival.duplicate_of),
        variant=bool(arrival.flags & Flag.VARIANT),
        jobs=jobs,
    )


def _is_same(arrival: Arrival, meta: FileMeta, copy: StoredCopy, folder: Path) -> bool:
    if copy.transfer_syntax_uid != meta.transfer_syntax_uid:
        return False
    if copy.received_digest is not None:
        # What is stored was changed: what counts is what was received then.
        if arrival.received_digest is None:
            arrival.received_digest = rewriting.digest(arrival.descriptor, meta.data_set_offset)
        return copy.received_digest == arrival.received_digest
    if arrival.rewritten is not None:
        return False
    if copy.size - copy.data_set_offset != arrival.size - meta.data_set_offset:
        return False
    wanted = Comparison(copy.id, copy.data_set_offset, meta.data_set_offset)
    if arrival.compared is None or arrival.size <= LARGEST_AT_ONCE:
        return are_same(folder, arrival.descriptor, wanted)
    if copy.id not in arrival.compared:
        arrival.to_compare = wanted
        return False
    return arrival.compared[copy.id]
