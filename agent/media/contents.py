"""What is on a medium as a person asks for it: patients, their studies, their series, counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.media.found import FoundInstance


@dataclass(slots=True)
class Series:
    """A series and how many instances of it there are."""

    uid: str
    number: str
    modality: str
    description: str
    count: int = 0

    def as_json(self) -> dict[str, object]:
        """By keyword."""
        return {
            "SeriesInstanceUID": self.uid,
            "SeriesNumber": self.number,
            "Modality": self.modality,
            "SeriesDescription": self.description,
            "instances": self.count,
        }


@dataclass(slots=True)
class Study:
    """A study with its series, by their UIDs."""

    uid: str
    study_id: str
    date: str
    description: str
    accession_number: str
    series: dict[str, Series] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Instances."""
        return sum(each.count for each in self.series.values())

    def as_json(self) -> dict[str, object]:
        """By keyword, the series in `series`."""
        return {
            "StudyInstanceUID": self.uid,
            "StudyID": self.study_id,
            "StudyDate": self.date,
            "StudyDescription": self.description,
            "AccessionNumber": self.accession_number,
            "instances": self.count,
            "series": [each.as_json() for each in self.series.values()],
        }


@dataclass(slots=True)
class Patient:
    """A patient, or what belongs to none, with the studies by their UIDs."""

    patient_id: str
    name: str
    birth_date: str = ""
    sex: str = ""
    studies: dict[str, Study] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Instances."""
        return sum(each.count for each in self.studies.values())

    def as_json(self) -> dict[str, object]:
        """By keyword, the studies in `studies`."""
        return {
            "PatientID": self.patient_id,
            "PatientName": self.name,
            "PatientBirthDate": self.birth_date,
            "PatientSex": self.sex,
            "instances": self.count,
            "studies": [each.as_json() for each in self.studies.values()],
        }


Patients = dict[tuple[str, str], Patient]
"""By Patient ID and Patient's Name."""


def contents_of(instances: Iterable[FoundInstance]) -> list[Patient]:
    """The tree of these instances, in the order in which they come. Memory: that of the tree."""
    patients: Patients = {}
    for each in instances:
        placed(patients, each)
    return list(patients.values())


def placed(patients: Patients, found: FoundInstance) -> tuple[Patient, Study, Series]:
    """Count one more instance; what it belongs to, new where it is the first."""
    keys = found.keys
    identity = keys.get("PatientID", ""), keys.get("PatientName", "")
    patient = patients.get(identity)
    if patient is None:
        patient = patients[identity] = Patient(
            *identity, keys.get("PatientBirthDate", ""), keys.get("PatientSex", "")
        )
    uid = keys.get("StudyInstanceUID", "")
    study = patient.studies.get(uid)
    if study is None:
        study = patient.studies[uid] = Study(
            uid,
            keys.get("StudyID", ""),
            keys.get("StudyDate", ""),
            keys.get("StudyDescription", ""),
            keys.get("AccessionNumber", ""),
        )
    uid = keys.get("SeriesInstanceUID", "")
    series = study.series.get(uid)
    if series is None:
        series = study.series[uid] = Series(
            uid,
            keys.get("SeriesNumber", ""),
            keys.get("Modality", ""),
            keys.get("SeriesDescription", ""),
        )
    series.count += 1
    return patient, study, series
