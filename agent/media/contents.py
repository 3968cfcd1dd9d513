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


def contents_of(instances: Iterable[FoundInstance]) -> list[Patient]:
    """The tree of these instances, in the order in which they come. Memory: that of the tree."""
    patients: dict[tuple[str, str], Patient] = {}
    for each in instances:
        identity = each.keys.get("PatientID", ""), each.keys.get("PatientName", "")
        patient = patients.get(identity)
        if patient is None:
            patient = patients[identity] = Patient(
                *identity, each.keys.get("PatientBirthDate", ""), each.keys.get("PatientSex", "")
            )
        uid = each.keys.get("StudyInstanceUID", "")
        study = patient.studies.get(uid)
        if study is None:
            study = patient.studies[uid] = Study(
                uid,
                each.keys.get("StudyID", ""),
                each.keys.get("StudyDate", ""),
                each.keys.get("StudyDescription", ""),
                each.keys.get("AccessionNumber", ""),
            )
        uid = each.keys.get("SeriesInstanceUID", "")
        series = study.series.get(uid)
        if series is None:
            series = study.series[uid] = Series(
                uid,
                each.keys.get("SeriesNumber", ""),
                each.keys.get("Modality", ""),
                each.keys.get("SeriesDescription", ""),
            )
        series.count += 1
    return list(patients.values())
