"""The copy of a stored object that goes out: its bytes unchanged, but for what a route changes and
for the transfer syntax, where the peer takes it in another only."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from agent.archive.archive import Archive
from agent.archive.records import Job, StoredObject
from agent.dataset.byte_source import FileBytes
from agent.dataset.transfer_syntaxes import encoding_of
from agent.errors import LocalError, StorageError
from agent.loop import TaskGroup
from agent.network.accepted_contexts import PresentationContext
from agent.network.data_set import BytesSource, ChainSource, DataSetSource, FileSource
from agent.workflow.changed_head import changed_values, rewritten
from agent.workflow.converted_copy import Converter

_READ_AHEAD = 4 << 20


@dataclass(slots=True)
class Outgoing:
    """An open object; close it when it is sent."""

    source: DataSetSource
    sop_class_uid: str
    sop_instance_uid: str
    close: Callable[[], None]


async def open_outgoing(
    archive: Archive,
    job: Job,
    context: PresentationContext,
    converter: Converter | None,
    group: TaskGroup,
) -> Outgoing:
    """The data set of a job's object, as it goes out on `context`.

    Where that is of a related general class, the copy bears it and tells its own in Original
    Specialized SOP Class UID (PS3.4 B.4.2.1). A copy in another transfer syntax is made by
    `converter` while it is sent, in a task of `group`. Raises StorageError when the file cannot be
    read, LocalError for a change that its character set cannot hold and where the object cannot be
    had in the transfer syntax, PeerError when it is not what its own says.
    """
    stored = StoredObject(
        str(archive.path_of(job)),
        job.sop_instance_uid,
        job.sop_class_uid,
        job.transfer_syntax_uid,
        job.data_set_offset,
        job.payload,
    )
    return await open_stored(stored, context, converter, group)


async def open_stored(
    stored: StoredObject,
    context: PresentationContext,
    converter: Converter | None,
    group: TaskGroup,
) -> Outgoing:
    """As `open_outgoing`, for an object that no job is about."""
    sop_class_uid = context.abstract_syntax
    if context.transfer_syntax != stored.transfer_syntax_uid or stored.form:
        if converter is None:
            raise LocalError("nobody is there to convert the object", value=context.transfer_syntax)
        copy = await converter.start(group, stored, context.transfer_syntax, sop_class_uid)
        uid = copy.new_instance_uid or stored.sop_instance_uid
        return Outgoing(copy, sop_class_uid, uid, copy.close)
    descriptor = _open(stored.path)
    try:
        source = _source(descriptor, stored, context)
    except BaseException:
        os.close(descriptor)
        raise
    return Outgoing(source, sop_class_uid, stored.sop_instance_uid, lambda: os.close(descriptor))


def _open(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY)
        # The kernel reads while we do other things: a cold disk shall not hold up the loop.
        os.posix_fadvise(descriptor, 0, _READ_AHEAD, os.POSIX_FADV_WILLNEED)
    except OSError as error:
        raise StorageError(f"the object's file cannot be opened: {error.strerror}") from error
    return descriptor


def _source(descriptor: int, stored: StoredObject, context: PresentationContext) -> DataSetSource:
    offset = stored.data_set_offset
    data = FileBytes(descriptor, offset)
    syntax = encoding_of(stored.transfer_syntax_uid)
    general = context.abstract_syntax if context.abstract_syntax != stored.sop_class_uid else ""
    values = changed_values(data, syntax, stored.payload, general)
    if not values:
        return FileSource(descriptor, offset)
    head, resume = rewritten(data, syntax, values)
    return ChainSource([BytesSource(head), FileSource(descriptor, offset + resume)])
