"""The Modality Worklist, both roles (PS3.4 Annex K).

As SCU it builds the queries that a modality makes and reads the answers; as SCP it answers from
the entries of a folder. One match is one scheduled procedure step.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from agent.archive.matching_rules import MatchingRules
from agent.archive.worklist_entry import DATE_TIMES, STEP
from agent.configuration.entity import Entity
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.dataset.sop_classes import MODALITY_WORKLIST_FIND
from agent.errors import LocalError, PeerError, StatusReaction
from agent.network.association import Association, IncomingRequest
from agent.network.negotiation import ContextNeed, ExtendedAnswer
from agent.network.user_information import ExtendedNegotiation
from agent.quoting import quoted
from agent.services.data_sets import MESSAGE_SYNTAXES, extended_information
from agent.services.finding import (
    IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS,
    FindProvider,
    Found,
    Match,
    c_find,
)
from agent.services.service import Service, Support

FUZZY, TIMEZONE = 2, 3
"""Bytes of the extended negotiation item; the first two are reserved and always 1 (K.5.1.1)."""

CODE = ("CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning")
REFERENCE = ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID")

RETURN_KEYS: dict[str, tuple[str, ...]] = {
    # Imaging Service Request, Visit and Patient of Table K.6-1, and what our profiles show.
    "": (
        "AccessionNumber",
        "InstitutionName",
        "ReferringPhysicianName",
        "AdmittingDiagnosesDescription",
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "PatientBirthDate",
        "PatientSex",
        "PatientAge",
        "PatientBirthName",
        "OtherPatientIDs",
        "PatientSize",
        "PatientWeight",
        "EthnicGroup",
        "MedicalAlerts",
        "Allergies",
        "Occupation",
        "AdditionalPatientHistory",
        "PregnancyStatus",
        "LastMenstrualDate",
        "PatientComments",
        "StudyInstanceUID",
        "RequestingPhysician",
        "RequestingService",
        "RequestedProcedureDescription",
        "RequestedContrastAgent",
        "StudyComments",
        "AdmissionID",
        "SpecialNeeds",
        "CurrentPatientLocation",
        "PatientInstitutionResidence",
        "PatientState",
        "ReasonForTheRequestedProcedure",
        "RequestedProcedureID",
        "RequestedProcedurePriority",
        "PatientTransportArrangements",
        "RequestedProcedureLocation",
        "NamesOfIntendedRecipientsOfResults",
        "RequestedProcedureComments",
        "ReasonForTheImagingServiceRequest",
        "OrderEnteredBy",
        "OrderEntererLocation",
        "OrderCallbackPhoneNumber",
        "PlacerOrderNumberImagingServiceRequest",
        "FillerOrderNumberImagingServiceRequest",
        "ImagingServiceRequestComments",
        "ConfidentialityConstraintOnPatientDataDescription",
    ),
    "ReferencedStudySequence": REFERENCE,
    "ReferencedPatientSequence": REFERENCE,
    "RequestedProcedureCodeSequence": CODE,
    "ReasonForRequestedProcedureCodeSequence": CODE,
    STEP: (
        "Modality",
        "RequestedContrastAgent",
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
        "ScheduledProcedureStepEndDate",
        "ScheduledProcedureStepEndTime",
        "ScheduledPerformingPhysicianName",
        "ScheduledProcedureStepDescription",
        "ScheduledProtocolCodeSequence",
        "ScheduledProcedureStepID",
        "ScheduledStationName",
        "ScheduledProcedureStepLocation",
        "PreMedication",
        "ScheduledProcedureStepStatus",
        "CommentsOnTheScheduledProcedureStep",
    ),
}
"""What we ask to be returned, by sequence ("": at the top)."""

OF_STEP = frozenset(RETURN_KEYS[STEP]) - {"RequestedContrastAgent"}
"""Keywords that are looked for in the scheduled procedure step."""

SINGLE_VALUED = ("ScheduledStationAETitle", "Modality", "PatientID")
"""Keys matched by a single value only, without wild cards (Table K.6-1)."""


def worklist_identifier(keys: dict[str, str], character_set: str = "") -> Attributes:
    """A query with these keys by keyword, and all return keys (K.4.1.1.3.1, K.6.1.2.2).

    Raises LocalError for a wild card or a list where Table K.6-1 allows a single value only, and
    for a keyword that PS3.6 does not know.
    """
    identifier = Attributes()
    for sequence, names in RETURN_KEYS.items():
        if sequence:
            # Codes within a step are asked for as a whole: an item without keys (K.4.1.1.3.1).
            identifier.set(sequence, [Attributes(**dict.fromkeys(names))])
        else:
            for name in names:
                identifier.set(name)
    step = identifier.item_of(STEP)
    for name, value in keys.items():
        if name in SINGLE_VALUED and any(each in value for each in "*?\\"):
            raise LocalError(
                f"{quoted(name)} is matched by a single value only.",
                clause="PS3.4 K.6.1.2.2",
                value=value,
                way_out="Give one value, or leave the key out.",
            )
        (step if name in OF_STEP else identifier).set(name, value)
    return with_character_set(identifier, character_set)


def worklist_need() -> ContextNeed:
    """What has to be negotiated for a query."""
    return ContextNeed(MODALITY_WORKLIST_FIND, MESSAGE_SYNTAXES)


def worklist_extended(*, fuzzy: bool = False, timezone: bool = False) -> ExtendedNegotiation | None:
    """The item of the request: three bytes, or four where the timezone matters; None: none."""
    if not (fuzzy or timezone):
        return None
    information = bytes((1, 1, int(fuzzy))) + (b"\1" if timezone else b"")
    return ExtendedNegotiation(MODALITY_WORKLIST_FIND, information)


async def find_worklist(
    association: Association, identifier: Attributes, *, most: int = 0
) -> Found:
    """Query; matches as they came, whatever they lack (K.4.1.2). Raises PeerError."""
    return await c_find(
        association,
        MODALITY_WORKLIST_FIND,
        identifier,
        most=most,
        name="the Modality Worklist",
    )


@dataclass(frozen=True, slots=True)
class WorklistQuery:
    """A query as the SCP understands it."""

    identifier: Attributes
    called_title: str
    rules: MatchingRules = field(default_factory=MatchingRules)


class Worklist(Protocol):
    """Where the SCP's entries are."""

    def find(self, query: WorklistQuery) -> AsyncIterator[Attributes]:
        """The matches, one for each scheduled procedure step. Raises StorageError."""


def check_identifier(identifier: Attributes) -> None:
    """Raises PeerError (A900H) for what K.6.1.2.2 does not allow a query to be."""
    steps = identifier.items_of(STEP)
    if len(steps) > 1:
        comment = "Scheduled Procedure Step Sequence has one item"
        raise PeerError(
            comment,
            clause="PS3.4 K.6.1.2.2",
            value=len(steps),
            reaction=StatusReaction(IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS, comment, (0x00400100,)),
        )


def _provider(entity: Entity, support: Support) -> FindProvider:
    worklist = support.worklist_of(entity)

    async def search(request: IncomingRequest, identifier: Attributes) -> AsyncIterator[Match]:
        check_identifier(identifier)
        agreed = extended_information(request.association, MODALITY_WORKLIST_FIND)
        rules = MatchingRules(
            # K.2.2.1.1.1: an unknown value fails to match any key but the universal one.
            unknown_matches=False,
            date_times=DATE_TIMES,
            fuzzy_names=agreed[FUZZY : FUZZY + 1] == b"\1",
            timezone=support.timezone if agreed[TIMEZONE : TIMEZONE + 1] == b"\1" else None,
        )
        query = WorklistQuery(identifier, request.association.called_ae_title, rules)
        async for match in worklist.find(query):
            yield Match(match)

    return FindProvider(search, "PS3.4 K.4.1")


def _extended(entity: Entity, sop_class: str) -> ExtendedAnswer:
    def answer(asked: bytes) -> bytes | None:
        # Three bytes are answered by three, and a fourth only where one was sent (K.5.1).
        if len(asked) < 3:
            return None
        said = bytes((1, 1, int(asked[FUZZY] == 1)))
        return said + bytes((int(asked[TIMEZONE] == 1),)) if len(asked) > 3 else said

    return answer


SERVICE = Service(
    name="worklist",
    meaning="C-FIND: what is scheduled",
    clause="K",
    roles=("scu", "scp"),
    sop_classes=frozenset((MODALITY_WORKLIST_FIND,)),
    default_sop_classes=(MODALITY_WORKLIST_FIND,),
    provider=_provider,
    extended=_extended,
)
