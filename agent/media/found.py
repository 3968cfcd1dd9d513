"""What is on a medium: the instances that can be read, and what is wrong with the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

KEYS = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "InstanceNumber",
)
"""Keywords of `FoundInstance.keys`."""


@dataclass(frozen=True, slots=True)
class FoundInstance:
    """An instance: its file below the root of the medium, with "/" between names.

    `keys` has the values of `KEYS` that are there, decoded, several values with a backslash
    between them. `is_whole` is False where the end of the file is missing: that was told as damage.
    """

    file: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    keys: Mapping[str, str]
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Damage:
    """A file, or a record of the DICOMDIR, that is not what it should be, and why; what can be
    read in spite of it is found all the same."""

    file: str
    reason: str
