"""The copy of a stored object that goes out: its bytes unchanged, but for what a route changes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from agent.archive.records import Job
from agent.dataset import tags
from agent.dataset.byte_source import FileBytes
from agent.dataset.head import scan_head
from agent.dataset.transfer_syntaxes import encoding_of
from agent.dataset.writer import rewrite_head
from agent.errors import StorageError
from agent.network.data_set import BytesSource, ChainSource, DataSetSource, FileSource
from agent.workflow.changes import decode_changes, values_after


@dataclass(slots=True)
class Outgoing:
    """An open object; close it when it is sent."""

    descriptor: int
    source: DataSetSource
    sop_class_uid: str
    sop_instance_uid: str

    def close(self) -> None:
        os.close(self.descriptor)


def open_outgoing(path: Path, job: Job, abstract_syntax: str) -> Outgoing:
    """The data set of a job's object, to be sent under `abstract_syntax`.

    Where that is a related general class, the copy bears it and tells its own in Original
    Specialized SOP Class UID (PS3.4 B.4.2.1). Raises StorageError when the file cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"the object's file cannot be opened: {error.strerror}") from error
    try:
        source = _source(descriptor, job, abstract_syntax)
    except BaseException:
        os.close(descriptor)
        raise
    return Outgoing(descriptor, source, abstract_syntax, job.sop_instance_uid)


def _source(descriptor: int, job: Job, abstract_syntax: str) -> DataSetSource:
    changes = decode_changes(job.payload)
    general = abstract_syntax != job.sop_class_uid
    if not changes and not general:
        return FileSource(descriptor, job.data_set_offset)
    stored = FileBytes(descriptor, job.data_set_offset)
    syntax = encoding_of(job.transfer_syntax_uid)
    wanted = frozenset((tags.SPECIFIC_CHARACTER_SET, *(each.attribute for each in changes)))
    head = scan_head(stored, syntax, wanted)
    values = values_after(changes, head.values)
    if general:
        values[tags.SOP_CLASS_UID] = _uid(abstract_syntax)
        values[0x0008_001B] = _uid(job.sop_class_uid)
    if not values:
        return FileSource(descriptor, job.data_set_offset)
    rewritten, resume = rewrite_head(
        stored, syntax, values, value_representations={0x0008_001B: "UI"}
    )
    rest = FileSource(descriptor, job.data_set_offset + resume)
    return ChainSource([BytesSource(rewritten), rest])


def _uid(uid: str) -> bytes:
    data = uid.encode("ascii")
    return data + b"\0" if len(data) % 2 else data
