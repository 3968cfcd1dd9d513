"""An examination as people see it: what it is about, what was made, what still waits."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from agent.archive.archive import Archive
from agent.archive.records import Instance
from agent.workflow.examination_record import ExaminationRecord
from agent.workflow.performed_step import description_of


def summary(record: ExaminationRecord) -> dict[str, Any]:
    """A line of a list."""
    return {
        "id": record.id,
        "state": record.state,
        "device": record.device,
        "begun": record.begun,
        "patient_id": record.about("PatientID"),
        "patient_name": record.about("PatientName"),
        "accession_number": record.about("AccessionNumber"),
        "description": description_of(record),
        "study_instance_uid": record.study_instance_uid,
        "step": record.step.uid,
        "scheduled": bool(record.entries),
        "reconciled": record.reconciled,
        "former_study_instance_uid": record.former_study_instance_uid,
    }


async def shown(archive: Archive, record: ExaminationRecord) -> dict[str, Any]:
    """All of it, with steps, series, and objects and how many of their jobs wait."""
    made = await stored_objects(archive, record)
    waiting = await archive.jobs(study_instance_uid=record.study_instance_uid, limit=1000)
    jobs = Counter(job.sop_instance_uid for job in waiting.items)
    return {
        **summary(record),
        "steps": [asdict(each) for each in record.steps],
        "objects": [
            {
                "sop_instance_uid": each.sop_instance_uid,
                "sop_class_uid": each.sop_class_uid,
                "series_instance_uid": each.series_instance_uid,
                "frames": each.number_of_frames,
                "jobs": jobs[each.sop_instance_uid],
            }
            for each in made
        ],
    }


async def stored_objects(archive: Archive, record: ExaminationRecord) -> list[Instance]:
    """The objects of all its series, as they are stored. Raises StorageError."""
    page = await archive.studies(study_instance_uid=record.study_instance_uid)
    ours = {series.uid for step in record.steps for series in step.series}
    found: list[Instance] = []
    for study in page.items:
        after: int | None = 0
        while after is not None:
            some = await archive.instances(study=study.id, after=after, limit=1000)
            found += [each for each in some.items if each.series_instance_uid in ours]
            after = some.next
    return found
