"""Table F.7.2-1 of PS3.4: which attributes a performed procedure step has, and when.

Only what an SCU must provide or may not set is here; all else is optional in both operations.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.dataset.attributes import Attributes


class StepRow(NamedTuple):
    """One attribute: its type for N-CREATE (SCU), whether N-SET may carry it, and its type in the
    final state (0: none is demanded). `path` names the sequences that it lies in."""

    path: tuple[str, ...]
    keyword: str
    create: int
    settable: bool
    final: int = 0


_SCHEDULED = ("ScheduledStepAttributesSequence",)
_SERIES = ("PerformedSeriesSequence",)

ROWS: tuple[StepRow, ...] = (
    # Performed Procedure Step Relationship
    StepRow((), "ScheduledStepAttributesSequence", 1, False),
    StepRow(_SCHEDULED, "StudyInstanceUID", 1, False),
    StepRow(_SCHEDULED, "ReferencedStudySequence", 2, False),
    StepRow(_SCHEDULED, "AccessionNumber", 2, False),
    StepRow(_SCHEDULED, "RequestedProcedureID", 2, False),
    StepRow(_SCHEDULED, "RequestedProcedureDescription", 2, False),
    StepRow(_SCHEDULED, "ScheduledProcedureStepID", 2, False),
    StepRow(_SCHEDULED, "ScheduledProcedureStepDescription", 2, False),
    StepRow(_SCHEDULED, "ScheduledProtocolCodeSequence", 2, False),
    StepRow((), "PatientName", 2, False),
    StepRow((), "PatientID", 2, False),
    StepRow((), "IssuerOfPatientID", 3, False),
    StepRow((), "IssuerOfPatientIDQualifiersSequence", 3, False),
    StepRow((), "OtherPatientIDsSequence", 3, False),
    StepRow((), "PatientBirthDate", 2, False),
    StepRow((), "PatientSex", 2, False),
    StepRow((), "ReferencedPatientSequence", 2, False),
    StepRow((), "AdmissionID", 3, False),
    StepRow((), "IssuerOfAdmissionIDSequence", 3, False),
    StepRow((), "ServiceEpisodeID", 3, False),
    StepRow((), "IssuerOfServiceEpisodeIDSequence", 3, False),
    StepRow((), "ServiceEpisodeDescription", 3, False),
    # Performed Procedure Step Information
    StepRow((), "PerformedProcedureStepID", 1, False),
    StepRow((), "PerformedStationAETitle", 1, False),
    StepRow((), "PerformedStationName", 2, False),
    StepRow((), "PerformedLocation", 2, False),
    StepRow((), "PerformedProcedureStepStartDate", 1, False),
    StepRow((), "PerformedProcedureStepStartTime", 1, False),
    StepRow((), "PerformedProcedureStepStatus", 1, True, 1),
    StepRow((), "PerformedProcedureStepDescription", 2, True),
    StepRow((), "PerformedProcedureTypeDescription", 2, True),
    StepRow((), "ProcedureCodeSequence", 2, True),
    StepRow((), "PerformedProcedureStepEndDate", 2, True, 1),
    StepRow((), "PerformedProcedureStepEndTime", 2, True, 1),
    StepRow((), "CommentsOnThePerformedProcedureStep", 3, True),
    StepRow((), "PerformedProcedureStepDiscontinuationReasonCodeSequence", 3, True),
    # Image Acquisition Results
    StepRow((), "Modality", 1, False),
    StepRow((), "StudyID", 2, False),
    StepRow((), "PerformedProtocolCodeSequence", 2, True),
    StepRow((), "PerformedSeriesSequence", 2, True, 1),
    StepRow(_SERIES, "PerformingPhysicianName", 2, True, 2),
    StepRow(_SERIES, "ProtocolName", 1, True, 1),
    StepRow(_SERIES, "OperatorsName", 2, True, 2),
    StepRow(_SERIES, "SeriesInstanceUID", 1, True, 1),
    StepRow(_SERIES, "SeriesDescription", 2, True, 2),
    StepRow(_SERIES, "RetrieveAETitle", 2, True, 2),
    StepRow(_SERIES, "ReferencedImageSequence", 2, True, 2),
    StepRow(_SERIES, "ReferencedNonImageCompositeSOPInstanceSequence", 2, True, 2),
)


def missing(step: Attributes, *, final: bool = False) -> tuple[list[str], list[str]]:
    """Keywords of type 1 that are not there, and those that are there without a value.

    Of the final state when `final`, else of N-CREATE. What lies in a sequence is looked for in each
    of its items.
    """
    absent: list[str] = []
    empty: list[str] = []
    for row in ROWS:
        if (row.final if final else row.create) != 1:
            continue
        for place in _places(step, row.path):
            if row.keyword not in place:
                absent.append(row.keyword)
            elif not place.has(row.keyword):
                empty.append(row.keyword)
    return absent, empty


def complete_for_create(step: Attributes) -> None:
    """Add what N-CREATE must carry at least empty (type 2).

    The discontinuation reason is among it, although of type 3: what was not created cannot be set
    when a step is discontinued (note 5).
    """
    reason = "PerformedProcedureStepDiscontinuationReasonCodeSequence"
    for row in ROWS:
        if row.create == 2 or row.keyword == reason:
            for place in _places(step, row.path):
                if row.keyword not in place:
                    place.set(row.keyword)


def not_allowed(modification: Attributes) -> list[str]:
    """Keywords at the top that N-SET shall not carry."""
    return [
        row.keyword
        for row in ROWS
        if not row.path and not row.settable and row.keyword in modification
    ]


def _places(step: Attributes, path: tuple[str, ...]) -> list[Attributes]:
    places = [step]
    for keyword in path:
        places = [item for place in places for item in place.items_of(keyword)]
    return places
