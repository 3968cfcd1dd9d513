"""The information models of Query/Retrieve: which levels, and which keys at each (PS3.4 C.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from agent.dataset.sop_classes import (
    PATIENT_ROOT_FIND,
    PATIENT_ROOT_GET,
    PATIENT_ROOT_MOVE,
    PATIENT_STUDY_ONLY_FIND,
    PATIENT_STUDY_ONLY_GET,
    PATIENT_STUDY_ONLY_MOVE,
    REPOSITORY_QUERY,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
)


@dataclass(frozen=True, slots=True)
class Level:
    """A Query/Retrieve Level (0008,0052) with its unique and its required keys, by keyword."""

    name: str
    unique: str
    required: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InformationModel:
    """An information model: its levels from the root down (C.6.1 to C.6.3), its SOP classes.

    `stored` are the classes of the instances that it is about; empty: all those of patients.
    """

    name: str
    levels: tuple[Level, ...]
    find: str
    move: str
    get: str
    stored: frozenset[str] = frozenset()

    def depth_of(self, level: str) -> int | None:
        """Where a level stands, 0 at the root; None where this model has no such level."""
        names = [each.name for each in self.levels]
        return names.index(level) if level in names else None


_OF_STUDY = ("StudyDate", "StudyTime", "AccessionNumber", "StudyID")
_PATIENT = Level("PATIENT", "PatientID", ("PatientName",))
_STUDY = Level("STUDY", "StudyInstanceUID", _OF_STUDY)
_STUDY_AT_ROOT = Level("STUDY", "StudyInstanceUID", (*_OF_STUDY, "PatientName", "PatientID"))
_SERIES = Level("SERIES", "SeriesInstanceUID", ("Modality", "SeriesNumber"))
_IMAGE = Level("IMAGE", "SOPInstanceUID", ("InstanceNumber",))

PATIENT_ROOT = InformationModel(
    "Patient Root",
    (_PATIENT, _STUDY, _SERIES, _IMAGE),
    PATIENT_ROOT_FIND,
    PATIENT_ROOT_MOVE,
    PATIENT_ROOT_GET,
)
STUDY_ROOT = InformationModel(
    "Study Root",
    (_STUDY_AT_ROOT, _SERIES, _IMAGE),
    STUDY_ROOT_FIND,
    STUDY_ROOT_MOVE,
    STUDY_ROOT_GET,
)
PATIENT_STUDY_ONLY = InformationModel(
    "Patient/Study Only",
    (_PATIENT, _STUDY),
    PATIENT_STUDY_ONLY_FIND,
    PATIENT_STUDY_ONLY_MOVE,
    PATIENT_STUDY_ONLY_GET,
)
"""Retired; for old peers."""
REPOSITORY = InformationModel("Repository Query", STUDY_ROOT.levels, REPOSITORY_QUERY, "", "")
"""The Study Root with Record Keys (C.6.4)."""

MODELS: Mapping[str, InformationModel] = MappingProxyType(
    {
        uid: model
        for model in (PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY, REPOSITORY)
        for uid in (model.find, model.move, model.get)
        if uid
    }
)
"""The model of a SOP class."""
