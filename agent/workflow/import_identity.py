"""What imported objects say of patient and order instead of what the other hospital wrote.

IHE Import Reconciliation Workflow (RAD-61): patient identification and order are those of the
worklist entry, or of the local patient; UIDs stay, and so does what was done and by whom.
"""

from __future__ import annotations

from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.objects.request_attributes import attributes_of_objects
from agent.workflow.examination_record import ExaminationRecord
from agent.workflow.performed_step import plain

_NEVER_THE_OTHERS = (
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDsSequence",
    "PatientBirthDate",
    "PatientID",
    "PatientName",
    "PatientSex",
    "RequestAttributesSequence",
)
"""Emptied, or taken out, where we know none: they would name the patient of another hospital."""

_STAYS = ("Perform", "StudyInstanceUID", "SeriesInstanceUID")


def import_identity(record: ExaminationRecord) -> Attributes:
    """The attributes that every object of the import gets, with the character set they need."""
    values = attributes_of_objects(
        [plain(each) for each in record.entries] or [plain(record.patient)]
    )
    made = Attributes()
    for keyword in _NEVER_THE_OTHERS:
        made.set(keyword)
    for keyword, value in values.items():
        if not keyword.startswith(_STAYS):
            made.set(keyword, value)  # type: ignore[arg-type]
    return with_character_set(made)
