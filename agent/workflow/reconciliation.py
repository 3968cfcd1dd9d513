"""Reconciliation: an emergency examination gets the worklist entry that was written afterwards.

The stored objects are given the identity of the entry (IHE Patient Information Reconciliation), the
old values recorded in each. The performed step stays as it was reported: patient and request are
fixed with N-CREATE, and nothing may be set after its end (PS3.4 Table F.7.2-1, F.7.2.2.2); the RIS
reconciles it. Nor is there a means to change an object that a peer has stored: it is sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agent import observation
from agent.archive.archive import Archive
from agent.dataset.attributes import Attributes
from agent.errors import LocalError
from agent.objects.request_attributes import attributes_of_objects
from agent.workflow.examination_record import IN_PROGRESS, ExaminationRecord
from agent.workflow.examination_view import summary
from agent.workflow.log_series import log_series_of
from agent.workflow.performed_step import plain

_IDENTITY = (
    "AccessionNumber",
    "IssuerOfPatientID",
    "OtherPatientIDsSequence",
    "PatientBirthDate",
    "PatientID",
    "PatientName",
    "PatientSex",
    "ReferringPhysicianName",
    "StudyDescription",
    "StudyID",
)
"""What must not stay that of somebody else, or of a guess, where the entry has none."""


async def reconcile(
    archive: Archive,
    record: ExaminationRecord,
    entries: Sequence[Attributes],
    now: float,
) -> dict[str, Any]:
    """Give the examination and its stored objects these entries; what happened, for people.

    All of it is one transaction. Raises LocalError where the examination goes on, or was scheduled,
    and for text that the objects' character set cannot hold.
    """
    if record.state == IN_PROGRESS:
        raise LocalError(
            f"examination {record.id} is in progress",
            value=record.id,
            way_out="Finish it first: gantry exam finish.",
        )
    if record.entries and not record.reconciled:
        raise LocalError(
            f"examination {record.id} was done for a worklist entry",
            value=record.id,
            way_out="Where it was the wrong one, see 'gantry studies --re-identify'.",
        )
    former = record.study_instance_uid
    study = entries[0].text("StudyInstanceUID") or former
    changed = replace(
        record,
        entries=list(entries),
        study_instance_uid=study,
        reconciled=now,
        former_study_instance_uid=record.former_study_instance_uid or former,
    )
    series = [each.uid for step in record.steps for each in step.series]
    # What was logged of it is about the same patient.
    series.append(log_series_of(archive, former))
    objects, again = await archive.reconcile(
        changed.row(),
        series,
        identity_of_entries(entries, study),
        who="exam",
        detail={"examination": record.id, "former": former},
    )
    observation.occasion(
        "correction", archive=archive, action="re-identify", level="study", uid=study, who="exam"
    )
    observation.notice(
        "examination reconciled", examination=record.id, objects=objects, again=sum(again.values())
    )
    return {
        **summary(changed),
        "objects": objects,
        "again": dict(again),
        "former_patient_id": record.about("PatientID"),
        "former_patient_name": record.about("PatientName"),
        "replaced_study_instance_uid": former,
    }


def identity_of_entries(entries: Sequence[Attributes], study: str) -> Attributes:
    """What objects say of patient, study and request by these entries. What was performed, and by
    whom, is not theirs to say afterwards."""
    values = attributes_of_objects([plain(each) for each in entries])
    made = Attributes()
    for keyword in _IDENTITY:
        made.set(keyword)
    for keyword, value in values.items():
        if not keyword.startswith("Perform"):
            made.set(keyword, value)  # type: ignore[arg-type]
    made.set("StudyInstanceUID", study)
    return made
