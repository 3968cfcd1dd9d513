"""What a worker does with an event of a procedure: check it, and write the log that has it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from agent.archive.procedure_steps import unpack
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import MOST_BYTES, decode_attributes
from agent.dataset.transfer_syntaxes import encoding_of
from agent.errors import LocalError, StorageError
from agent.services.procedural_event import UTC_SYNCHRONIZATION, KnownStudy, is_synchronized

if TYPE_CHECKING:
    from agent.objects.description import ExaminationIdentity
    from agent.objects.procedure_log import EarlierLog


class StoredLog(NamedTuple):
    """A log in the archive that is to be continued."""

    path: str
    data_set_offset: int
    transfer_syntax_uid: str
    sop_instance_uid: str
    number: int


class LogTask(NamedTuple):
    """A log that shall have one more event. `event` and `evidence` as the archive packs and names
    them: class, instance, series and study of each object."""

    event: bytes
    study: KnownStudy
    sop_instance_uid: str
    series_instance_uid: str
    earlier: StoredLog | None
    evidence: tuple[tuple[str, str, str, str], ...]
    title: str
    version: str
    created: float


class LogWritten(NamedTuple):
    """What became of it: the template mismatch, or whether there was anything new to write."""

    fault: str = ""
    is_new: bool = False


class LogContent(NamedTuple):
    """Why an event is none of the template ("": it is), and class and UID of the objects that it
    names."""

    fault: str
    references: tuple[tuple[str, str], ...] = ()


def look_at_event(event: bytes) -> LogContent:
    """In a worker: what has to be known of an event before it is logged."""
    from agent.objects.procedure_log import references_of
    from agent.objects.procedure_log_template import fault_of

    content = unpack(event)
    return LogContent(fault_of(content), tuple(references_of(content)))


def write_log(task: LogTask, *, descriptors: list[int]) -> LogWritten:
    """In a worker: write the log behind the file meta information that the file has.

    Raises StorageError where the earlier log cannot be read, or this one not written.
    """
    # Not for the node, which only names this function.
    from agent.objects.description import DeviceIdentity, InstanceDescription, Moment
    from agent.objects.procedure_log import write_procedure_log
    from agent.objects.references import InstanceReference

    event, stored = unpack(task.event), task.earlier
    number = stored.number + 1 if stored is not None else 1
    device = DeviceIdentity(
        manufacturer="Gantry",
        model_name="Gantry",
        station_name=task.title,
        software_versions=(task.version,),
    )
    try:
        made = write_procedure_log(
            descriptors[0],
            event,
            None if stored is None else _earlier(stored, task),
            _identity(task, event),
            device,
            InstanceDescription(task.sop_instance_uid, number, Moment.at(task.created)),
            synchronization_frame=UTC_SYNCHRONIZATION,
            synchronized=is_synchronized(event),
            evidence=tuple(InstanceReference(*each) for each in task.evidence),
        )
    except LocalError as error:
        # A value that breaks its VR came from the peer.
        return LogWritten(fault=error.message)
    return LogWritten(is_new=made is not None)


def _identity(task: LogTask, event: Attributes) -> ExaminationIdentity:
    from agent.objects.description import (
        ExaminationIdentity,
        PatientIdentity,
        SeriesIdentity,
        StudyIdentity,
    )

    study = task.study
    return ExaminationIdentity(
        PatientIdentity(
            study.patient_name,
            study.patient_id,
            study.issuer_of_patient_id or None,
            study.birth_date,
            study.sex,
        ),
        StudyIdentity(
            study.study_instance_uid,
            study.study_date,
            study.study_time,
            study.study_id or event.text("StudyID"),
            study.accession_number,
            study.referring_physician_name,
            study.study_description or None,
        ),
        SeriesIdentity(task.series_instance_uid, 1, description="Procedure Log"),
    )


def _earlier(stored: StoredLog, task: LogTask) -> EarlierLog:
    from agent.objects.procedure_log import EarlierLog
    from agent.objects.references import InstanceReference
    from agent.objects.relationships import PROCEDURE_LOG

    return EarlierLog(
        _read(stored),
        InstanceReference(
            PROCEDURE_LOG,
            stored.sop_instance_uid,
            task.series_instance_uid,
            task.study.study_instance_uid,
        ),
    )


def _read(stored: StoredLog) -> Attributes:
    try:
        descriptor = os.open(stored.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.pread(descriptor, MOST_BYTES, stored.data_set_offset)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"the log so far cannot be read: {error.strerror}") from error
    return decode_attributes(data, encoding_of(stored.transfer_syntax_uid))
