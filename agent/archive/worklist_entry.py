"""What a worklist entry is made of (PS3.4 Table K.6-1), and pages of them."""

from __future__ import annotations

from dataclasses import dataclass

STEP = "ScheduledProcedureStepSequence"
STEP_ID = "ScheduledProcedureStepID"
STEP_STATUS = "ScheduledProcedureStepStatus"
DATE_TIMES = ((0x00400002, 0x00400003),)
"""Scheduled Procedure Step Start Date and Time: ranges are always one interval (K.6.1.2.2)."""

REQUIRED = ("PatientName", "PatientID", "StudyInstanceUID", "RequestedProcedureID")
REQUIRED_OF_STEP = (
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "Modality",
    STEP_ID,
)
"""Return keys of type 1 of Table K.6-1: an entry without them cannot be answered."""


@dataclass(frozen=True, slots=True)
class WorklistPage:
    """Some matches as explicit little endian data sets, where to go on (None: at the end), and
    what was wrong with files that were passed over."""

    matches: tuple[bytes, ...]
    next: int | None
    remarks: tuple[str, ...] = ()
