"""Procedural Event Logging (PS3.4 P.2): to which study an event belongs, and how we send one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.dataset.sop_classes import PROCEDURAL_EVENT_LOGGING
from agent.dataset.uid import is_valid_uid
from agent.network.association import Association, Response
from agent.network.commands import n_action_rq
from agent.network.negotiation import ContextNeed
from agent.network.status import SUCCESS
from agent.services.data_sets import MESSAGE_SYNTAXES, context_for, decoded_from, encoded
from agent.services.event_logging_table import (
    LOGGED_INCONSISTENT,
    LOGGING_NOT_AVAILABLE,
    NO_CURRENT_STUDY,
    NOT_LOGGED_INCONSISTENT,
    OTHER_STUDY,
    PROCEDURAL_EVENT,
    SYNCHRONIZATION_DIFFERS,
    complete,
)
from agent.services.storage_commitment import INVALID_ARGUMENT_VALUE

PROCEDURAL_EVENT_LOGGING_INSTANCE = "1.2.840.10008.1.40.1"
RECORD_PROCEDURAL_EVENT = 1

UTC_SYNCHRONIZATION = "1.2.840.10008.15.1.1"
"""The synchronization frame of reference of Coordinated Universal Time (PS3.6 Table A-2): ours."""


class KnownStudy(NamedTuple):
    """A study that an event may belong to, as far as it is known, as text."""

    study_instance_uid: str
    patient_id: str
    study_id: str = ""
    issuer_of_patient_id: str = ""
    patient_name: str = ""
    birth_date: str = ""
    sex: str = ""
    study_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    referring_physician_name: str = ""
    study_description: str = ""


class Match(NamedTuple):
    """Where an event goes: `study` is None where `status` is a failure."""

    status: int
    comment: str = ""
    study: KnownStudy | None = None


def match(
    event: Attributes,
    named: KnownStudy | None,
    current: Sequence[KnownStudy],
    *,
    unknown_studies: bool,
) -> Match:
    """The study of an event by its matching attributes (P.2.2.1.1).

    `named` is the study that its Study Instance UID names, or named before another UID (and perhaps
    another patient) took its place; `current` are those of its patient in
    which something happens now. Events of a study that nobody knows are logged under the UID that
    they give where `unknown_studies` says so and they name their patient; else they find the one
    current study of this patient that has their Study ID, or are refused. A patient that is not the
    study's is never written into its log.
    """
    if event.has("StudyInstanceUID"):
        uid = event.text("StudyInstanceUID")
        if not is_valid_uid(uid):
            return Match(INVALID_ARGUMENT_VALUE, "Study Instance UID is not valid")
        if named is None:
            return _unknown(event, uid, current, unknown_studies)
        if named.study_instance_uid != uid:
            return Match(OTHER_STUDY, "The study has another UID since it was reconciled", named)
        patient = event.text("PatientID")
        if patient and named.patient_id and patient != named.patient_id:
            return Match(NOT_LOGGED_INCONSISTENT, "Patient ID is not that of the study")
        return _consistent(event, named._replace(patient_id=named.patient_id or patient))
    if not event.has("PatientID"):
        return Match(NO_CURRENT_STUDY, "Neither Study Instance UID nor Patient ID")
    fitting = [each for each in current if _has_study_id(event, each)]
    if len(fitting) == 1:
        return Match(SUCCESS, study=fitting[0])
    if not fitting and len(current) == 1:
        return _consistent(event, current[0])
    number = len(fitting or current)
    return Match(NO_CURRENT_STUDY, f"{number or 'No'} current studies of this patient")


def _unknown(
    event: Attributes, uid: str, current: Sequence[KnownStudy], unknown_studies: bool
) -> Match:
    patient = event.text("PatientID")
    if unknown_studies:
        if not patient:
            return Match(NO_CURRENT_STUDY, "The study is not known, nor its Patient ID")
        return Match(SUCCESS, study=KnownStudy(uid, patient, event.text("StudyID")))
    fitting = [each for each in current if event.has("StudyID") and _has_study_id(event, each)]
    if len(fitting) == 1:
        return Match(OTHER_STUDY, "Logged under another Study Instance UID", fitting[0])
    return Match(LOGGING_NOT_AVAILABLE, "The study is not known")


def _consistent(event: Attributes, study: KnownStudy) -> Match:
    if study.study_id and not _has_study_id(event, study):
        return Match(LOGGED_INCONSISTENT, "Study ID is not that of the study", study)
    return Match(SUCCESS, study=study)


def _has_study_id(event: Attributes, study: KnownStudy) -> bool:
    return event.text("StudyID") in ("", study.study_id)


def is_synchronized(event: Attributes) -> bool:
    """Whether its times are of our synchronization frame of reference."""
    return event.text("SynchronizationFrameOfReferenceUID") == UTC_SYNCHRONIZATION


def with_synchronization(found: Match, event: Attributes) -> Match:
    """The match, with B101H where all else is well but the times are of another frame.

    Times that are in no frame (zero length) need no warning (P.2.2.1.2).
    """
    uid = event.text("SynchronizationFrameOfReferenceUID")
    if found.status != SUCCESS or uid in ("", UTC_SYNCHRONIZATION):
        return found
    return Match(SYNCHRONIZATION_DIFFERS, "Times are kept as they came", found.study)


def procedural_event_need() -> ContextNeed:
    """What has to be negotiated."""
    return ContextNeed(PROCEDURAL_EVENT_LOGGING, MESSAGE_SYNTAXES)


class LoggedEvent(NamedTuple):
    """The answer to an event: the study under which it was logged, "" where the SCP says none."""

    response: Response
    study_instance_uid: str = ""
    patient_id: str = ""


async def log_procedural_event(association: Association, event: Attributes) -> LoggedEvent:
    """N-ACTION: ask the peer to log this (P.2.2.2); what is of type 2 and missing is sent empty.

    Whoever gets B102H goes on with the Study Instance UID that the answer names (Table P.2-4).
    Raises PeerError when no context was accepted or the association ends.
    """
    context = context_for(association, PROCEDURAL_EVENT_LOGGING, "Procedural Event Logging")
    information = with_character_set(event)
    complete(PROCEDURAL_EVENT, information)
    command = n_action_rq(
        association.next_message_id(),
        PROCEDURAL_EVENT_LOGGING,
        PROCEDURAL_EVENT_LOGGING_INSTANCE,
        RECORD_PROCEDURAL_EVENT,
    )
    response = await association.request(context, command, encoded(information, context))
    data = response.data_set
    reply = decoded_from(data if isinstance(data, bytes) else None, context)
    return LoggedEvent(response, reply.text("StudyInstanceUID"), reply.text("PatientID"))
