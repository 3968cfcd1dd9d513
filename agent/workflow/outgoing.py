"""The copy of a stored object that goes out: its bytes unchanged, but for what a route changes and
for the transfer syntax, where the peer takes it in another only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from agent.archive import incoming
from agent.archive.archive import Archive
from agent.archive.records import Job
from agent.dataset import tags
from agent.dataset.byte_source import FileBytes
from agent.dataset.head import scan_head
from agent.dataset.transfer_syntaxes import encoding_of
from agent.dataset.writer import rewrite_head
from agent.errors import LocalError, StorageError
from agent.loop.workers import WorkerPool
from agent.network.accepted_contexts import PresentationContext
from agent.network.data_set import BytesSource, ChainSource, DataSetSource, FileSource
from agent.workflow.changes import decode_changes, values_after

_READ_AHEAD = 4 << 20


@dataclass(slots=True)
class Outgoing:
    """An open object; close it when it is sent."""

    descriptor: int
    source: DataSetSource
    sop_class_uid: str
    sop_instance_uid: str

    def close(self) -> None:
        os.close(self.descriptor)


async def open_outgoing(
    archive: Archive, job: Job, context: PresentationContext, pool: WorkerPool | None
) -> Outgoing:
    """The data set of a job's object, as it goes out on `context`.

    Where that is of a related general class, the copy bears it and tells its own in Original
    Specialized SOP Class UID (PS3.4 B.4.2.1). A converted copy is a nameless file beside the
    archive's objects, made in a worker of `pool`. Raises StorageError when the file cannot be read
    or a copy not be written, LocalError for a change that its character set cannot hold, PeerError
    when the object is not what its transfer syntax says.
    """
    path = archive.path_of(job)
    if context.transfer_syntax == job.transfer_syntax_uid:
        descriptor, offset = _open(path), job.data_set_offset
    else:
        descriptor, offset = await _converted(archive, path, job, context.transfer_syntax, pool), 0
    try:
        source = _source(descriptor, offset, job, context)
    except BaseException:
        os.close(descriptor)
        raise
    return Outgoing(descriptor, source, context.abstract_syntax, job.sop_instance_uid)


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY)
        # The kernel reads while we do other things: a cold disk shall not hold up the loop.
        os.posix_fadvise(descriptor, 0, _READ_AHEAD, os.POSIX_FADV_WILLNEED)
    except OSError as error:
        raise StorageError(f"the object's file cannot be opened: {error.strerror}") from error
    return descriptor


async def _converted(
    archive: Archive, path: Path, job: Job, transfer_syntax: str, pool: WorkerPool | None
) -> int:
    if pool is None:
        raise LocalError("nobody is there to convert the object", value=transfer_syntax)
    descriptor = incoming.create(archive.folder, archive.settings.statuses).detach(archive.folder)
    try:
        await pool.call(
            convert_object,
            str(path),
            job.data_set_offset,
            job.transfer_syntax_uid,
            transfer_syntax,
            descriptors=(descriptor,),
        )
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def convert_object(
    path: str, offset: int, source_syntax: str, target_syntax: str, *, descriptors: list[int]
) -> None:
    """Convert a stored data set into a file, in a worker: reading, turning and writing block."""
    from agent.archive import failure
    from agent.dataset.conversion import convert

    try:
        source = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"the object's file cannot be opened: {error.strerror}") from error
    try:
        with open(descriptors[0], "wb", closefd=False) as target:
            convert(FileBytes(source, offset), source_syntax, target_syntax, target.write)
    except OSError as error:
        raise failure.of_system(error, "convert the object") from error
    finally:
        os.close(source)


def _source(descriptor: int, offset: int, job: Job, context: PresentationContext) -> DataSetSource:
    changes = decode_changes(job.payload)
    general = context.abstract_syntax != job.sop_class_uid
    if not changes and not general:
        return FileSource(descriptor, offset)
    stored = FileBytes(descriptor, offset)
    syntax = encoding_of(context.transfer_syntax)
    wanted = frozenset((tags.SPECIFIC_CHARACTER_SET, *(each.attribute for each in changes)))
    head = scan_head(stored, syntax, wanted)
    values = values_after(changes, head.values)
    if general:
        values[tags.SOP_CLASS_UID] = _uid(context.abstract_syntax)
        values[0x0008_001B] = _uid(job.sop_class_uid)
    if not values:
        return FileSource(descriptor, offset)
    rewritten, resume = rewrite_head(
        stored, syntax, values, value_representations={0x0008_001B: "UI"}
    )
    return ChainSource([BytesSource(rewritten), FileSource(descriptor, offset + resume)])


def _uid(uid: str) -> bytes:
    data = uid.encode("ascii")
    return data + b"\0" if len(data) % 2 else data
