"""What can be imported from a medium: its studies with their series, counted; in a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import StorageError

_MOST_DAMAGES = 100


@dataclass(slots=True)
class FoundSeries:
    """A series of the medium."""

    uid: str
    modality: str
    description: str
    instances: int = 0


@dataclass(slots=True)
class FoundStudy:
    """A study of the medium; `keys` are those of `agent.media.found.KEYS` of its first object."""

    uid: str
    keys: Mapping[str, str]
    series: list[FoundSeries] = field(default_factory=list)

    @property
    def patient(self) -> tuple[str, str]:
        return self.keys.get("PatientID", ""), self.keys.get("PatientName", "")


@dataclass(slots=True)
class Survey:
    """All of them, and what cannot be read: `damaged` counts, the first are named with reason."""

    studies: list[FoundStudy] = field(default_factory=list)
    damaged: int = 0
    damages: list[tuple[str, str]] = field(default_factory=list)


def survey(root: str) -> Survey:
    """Go through a medium. Memory: one entry for each series. Raises StorageError."""
    from agent.media.found import Damage
    from agent.media.reading import found_in

    made = Survey()
    studies: dict[str, FoundStudy] = {}
    series: dict[tuple[str, str], FoundSeries] = {}
    try:
        for each in found_in(Path(root)):
            if isinstance(each, Damage):
                made.damaged += 1
                if len(made.damages) < _MOST_DAMAGES:
                    made.damages.append((each.file, each.reason))
                continue
            uid = each.keys.get("StudyInstanceUID", "")
            study = studies.setdefault(uid, FoundStudy(uid, each.keys))
            place = uid, each.keys.get("SeriesInstanceUID", "")
            if place not in series:
                series[place] = FoundSeries(
                    place[1],
                    each.keys.get("Modality", ""),
                    each.keys.get("SeriesDescription", ""),
                )
                study.series.append(series[place])
            series[place].instances += 1
    except OSError as error:
        raise StorageError(
            f"{root} cannot be read: {error.strerror}.",
            value=error.errno,
            way_out="Look whether the medium is there, and whether gantry may read it.",
        ) from error
    made.studies = list(studies.values())
    return made
