"""The studies that an event may belong to: of the archive, of examinations, of the worklist."""

from __future__ import annotations

import time

from agent.archive.archive import Archive
from agent.archive.examinations import IN_PROGRESS, ExaminationRow
from agent.archive.records import Study
from agent.configuration.entity import Entity
from agent.dataset.attributes import Attributes
from agent.loop.workers import WorkerPool
from agent.services.modality_worklist import WorklistQuery
from agent.services.procedural_event import KnownStudy
from agent.workflow.worklist_answers import FolderWorklist

CURRENT = 24 * 3600.0
"""Seconds after its last object for which a study is one in which something happens now."""

_KEYS = {
    "study_instance_uid": "StudyInstanceUID",
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_name": "PatientName",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "referring_physician_name": "ReferringPhysicianName",
    "study_description": "RequestedProcedureDescription",
}


class CurrentStudies:
    """Asks what is known of studies and patients. All raise StorageError."""

    def __init__(self, entity: Entity, archive: Archive, pool: WorkerPool) -> None:
        self._title = entity.title
        self._archive = archive
        self._worklist = FolderWorklist(entity.worklist.folder, pool)

    async def named(self, study_instance_uid: str) -> KnownStudy | None:
        """The study of this UID, or the one that an examination got instead of it when it was
        reconciled; None where nobody knows it."""
        page = await self._archive.studies(study_instance_uid=study_instance_uid)
        if page.items:
            return _of_study(page.items[0])
        for row in await self._archive.examinations(IN_PROGRESS):
            if row.study_instance_uid == study_instance_uid:
                return _of_examination(row)
        entry = await self._entry(StudyInstanceUID=study_instance_uid)
        if entry is not None:
            return _of_attributes(entry)
        for row in await self._archive.examinations():
            if _former(row) == study_instance_uid:
                return _of_examination(row)
        return None

    async def of_patient(self, patient_id: str) -> list[KnownStudy]:
        """Studies of a patient that are examined now, or got an object within the last day."""
        found: dict[str, KnownStudy] = {}
        for row in await self._archive.examinations(IN_PROGRESS):
            study = _of_examination(row)
            if study.patient_id == patient_id:
                found[study.study_instance_uid] = study
        since = time.time() - CURRENT
        for each in (await self._archive.studies(patient_id=patient_id)).items:
            if each.changed >= since:
                found[each.study_instance_uid] = _of_study(each)
        return list(found.values())

    async def knows_patient(self, patient_id: str, admission_id: str) -> bool:
        """Whether archive or worklist have one with either of these; "" is not looked for."""
        if patient_id:
            if (await self._archive.studies(limit=1, patient_id=patient_id)).items:
                return True
            if await self._entry(PatientID=patient_id) is not None:
                return True
        return bool(admission_id) and await self._entry(AdmissionID=admission_id) is not None

    async def _entry(self, **keys: str) -> Attributes | None:
        identifier = Attributes(**dict.fromkeys(_KEYS.values(), ""))
        for keyword, value in keys.items():
            # A wild card of the caller's would match other patients.
            if "*" in value or "?" in value:
                return None
            identifier.set(keyword, value)
        async for entry in self._worklist.find(WorklistQuery(identifier, self._title)):
            return entry
        return None


def _of_study(study: Study) -> KnownStudy:
    return KnownStudy(
        study.study_instance_uid,
        study.patient_id,
        study.study_id,
        study.issuer_of_patient_id,
        study.patient_name,
        study.birth_date,
        study.sex,
        study.study_date,
        study.study_time,
        study.accession_number,
        study.referring_physician_name,
        study.study_description,
    )


def _of_attributes(entry: Attributes) -> KnownStudy:
    return KnownStudy(**{field: entry.text(keyword) for field, keyword in _KEYS.items()})


def _former(row: ExaminationRow) -> str:
    from agent.workflow.examination_record import ExaminationRecord

    return ExaminationRecord.of(row).former_study_instance_uid


def _of_examination(row: ExaminationRow) -> KnownStudy:
    # What knows examinations is imported where there is one: a gateway has none.
    from agent.workflow.examination_record import ExaminationRecord

    record = ExaminationRecord.of(row)
    values = {field: record.about(keyword) for field, keyword in _KEYS.items()}
    values["study_instance_uid"] = row.study_instance_uid
    return KnownStudy(**values)
