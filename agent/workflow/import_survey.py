"""What can be imported from a medium: its studies with their series, counted; in a worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import StorageError
from agent.media.contents import Patient, Series, Study, contents_of
from agent.media.found import Damage, FoundInstance
from agent.media.opening import NO_KEYS, Keys, Opener
from agent.quoting import quoted

_MOST_DAMAGES = 100


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study of the medium, and whose it is there."""

    patient: Patient
    study: Study

    @property
    def uid(self) -> str:
        return self.study.uid

    @property
    def count(self) -> int:
        """Instances."""
        return self.study.count

    @property
    def series(self) -> tuple[Series, ...]:
        return tuple(self.study.series.values())

    @property
    def keys(self) -> Mapping[str, str]:
        """What the medium says of the patient and the order, by keyword."""
        return {
            "PatientID": self.patient.patient_id,
            "PatientName": self.patient.name,
            "PatientBirthDate": self.patient.birth_date,
            "PatientSex": self.patient.sex,
            "AccessionNumber": self.study.accession_number,
            "StudyID": self.study.study_id,
        }


@dataclass(slots=True)
class Survey:
    """All of them, and what cannot be read: `damaged` counts, the first are named with reason."""

    studies: list[FoundStudy] = field(default_factory=list)
    damaged: int = 0
    damages: list[tuple[str, str]] = field(default_factory=list)


def survey(root: str, keys: Keys = NO_KEYS) -> Survey:
    """Go through a medium; Secure DICOM files are opened with `keys`.

    Memory: one entry for each series. Raises StorageError.
    """
    from agent.media.reading import found_in

    made = Survey()

    opener = Opener(keys)

    def instances() -> Iterator[FoundInstance]:
        for each in found_in(Path(root), opener=opener):
            if isinstance(each, FoundInstance):
                yield each
            else:
                _note(made, each)

    try:
        patients = contents_of(instances())
    except OSError as error:
        raise StorageError(
            f"{quoted(root)} cannot be read: {error.strerror}.",
            value=error.errno,
            way_out="Look whether the medium is there, and whether gantry may read it.",
        ) from error
    finally:
        opener.close()
    made.studies = [
        FoundStudy(patient, study) for patient in patients for study in patient.studies.values()
    ]
    return made


def _note(made: Survey, damage: Damage) -> None:
    made.damaged += 1
    if len(made.damages) < _MOST_DAMAGES:
        made.damages.append((damage.file, damage.reason))
