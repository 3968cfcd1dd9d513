"""The copy of a stored object that goes out: its bytes unchanged, but for what a route changes and
for the transfer syntax, where the peer takes it in another only."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from agent import observation
from agent.archive.archive import Archive
from agent.archive.records import Job, StoredObject
from agent.configuration.configuration import Configuration
from agent.configuration.deidentification import Deidentify
from agent.dataset.byte_source import FileBytes
from agent.dataset.transfer_syntaxes import TransferSyntax, encoding_of
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
    configuration: Configuration,
) -> Outgoing:
    """The data set of a job's object, as it goes out on `context`.

    Where that is of a related general class, the copy bears it and tells its own in Original
    Specialized SOP Class UID (PS3.4 B.4.2.1). A copy in another transfer syntax, or one that is
    de-identified as its route says, is made by `converter` while it is sent, in a task of `group`.
    Raises StorageError when the file cannot be read, LocalError for a change that its character set
    cannot hold and where the object cannot be had in the transfer syntax, PeerError when it is not
    what its own says.
    """
    stored = StoredObject(
        str(archive.path_of(job)),
        job.sop_instance_uid,
        job.sop_class_uid,
        job.transfer_syntax_uid,
        job.data_set_offset,
        _payload(job, configuration),
    )
    rule = _rule(job, configuration)
    if observation.log.is_audited:
        observation.occasion(
            "object goes out", archive=archive.name, job=job, deidentified=rule is not None
        )
    return await open_stored(stored, context, converter, group, rule)


async def open_stored(
    stored: StoredObject,
    context: PresentationContext,
    converter: Converter | None,
    group: TaskGroup,
    rule: Deidentify | None = None,
) -> Outgoing:
    """As `open_outgoing`, for an object that no job is about; `rule` is how it is de-identified."""
    sop_class_uid = context.abstract_syntax
    if (
        context.transfer_syntax != stored.transfer_syntax_uid
        or stored.form
        or rule is not None
        or (converter is not None and converter.sign_anew is not None and _breaks(stored, context))
    ):
        if converter is None:
            raise LocalError("nobody is there to convert the object", value=context.transfer_syntax)
        copy = await converter.start(group, stored, context.transfer_syntax, sop_class_uid, rule)
        uid = copy.new_instance_uid or stored.sop_instance_uid
        return Outgoing(copy, sop_class_uid, uid, copy.close)
    return open_as_it_is(stored, context)


def open_as_it_is(stored: StoredObject, context: PresentationContext) -> Outgoing:
    """As `open_stored`, on a context of the object's own transfer syntax. Raises StorageError, and
    what reading its head raises where the class of the context is a general one."""
    descriptor = _open(stored.path)
    try:
        source = _source(descriptor, stored, context)
    except BaseException:
        os.close(descriptor)
        raise
    return Outgoing(
        source,
        context.abstract_syntax,
        stored.sop_instance_uid,
        lambda: os.close(descriptor),
    )


def _breaks(stored: StoredObject, context: PresentationContext) -> bool:
    """Whether signatures go with what is changed. Raises as `open_as_it_is`."""
    from agent.dataset.broken_signatures import without_broken_signatures

    if not stored.payload and context.abstract_syntax == stored.sop_class_uid:
        return False
    descriptor = _open(stored.path)
    try:
        data, syntax = _data_set(descriptor, stored)
        values = _values(data, syntax, stored, context)
        return without_broken_signatures(data, syntax, values) is not data
    finally:
        os.close(descriptor)


def _payload(job: Job, configuration: Configuration) -> bytes:
    """What is changed of the copy."""
    if not configuration.secure_use.enabled:
        return job.payload
    from agent.workflow.instance_status import status_changes, with_status

    peer = configuration.peer(job.destination)
    return with_status(job.payload, status_changes(configuration, peer, hands_over=True))


def _rule(job: Job, configuration: Configuration) -> Deidentify | None:
    """How the copy is de-identified; None for not at all. Raises LocalError where the way that its
    route named is gone: it must not go out as it is."""
    if not job.payload:
        return None
    # With it comes what a node that only relays does without.
    from agent.workflow.changes import deidentified_by

    name = deidentified_by(job.payload)
    if not name:
        return None
    found = configuration.deidentification(name)
    if found is None:
        raise LocalError(
            f"the configuration has no [[deidentify]] {name!r} any more, and the copy must be"
            " de-identified",
            value=name,
            way_out="Add it again and retry the job, or drop the job.",
        )
    return found


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
    data, syntax = _data_set(descriptor, stored)
    values = _values(data, syntax, stored, context)
    if not values:
        return FileSource(descriptor, offset)
    # With it comes what reads data sets, which a node that changes nothing does without.
    from agent.dataset.broken_signatures import pieces, without_broken_signatures

    signed = without_broken_signatures(data, syntax, values)
    head, resume = rewritten(signed, syntax, values)
    sources: list[DataSetSource] = [BytesSource(head)]
    for piece in pieces(signed, resume):
        if isinstance(piece, bytes):
            sources.append(BytesSource(piece))
        else:
            start, end = piece
            length = None if end is None else end - start
            sources.append(FileSource(descriptor, offset + start, length))
    return ChainSource(sources)


def _data_set(descriptor: int, stored: StoredObject) -> tuple[FileBytes, TransferSyntax]:
    return FileBytes(descriptor, stored.data_set_offset), encoding_of(stored.transfer_syntax_uid)


def _values(
    data: FileBytes, syntax: TransferSyntax, stored: StoredObject, context: PresentationContext
) -> dict[int, bytes | None]:
    """What is other in the copy, by tag."""
    general = context.abstract_syntax if context.abstract_syntax != stored.sop_class_uid else ""
    return changed_values(data, syntax, stored.payload, general)
