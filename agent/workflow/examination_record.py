"""What is known of an examination: for whom, under which orders, and the steps it came to.

The objects are not listed: the archive has them, and it is the archive that is asked when a step is
reported. So nothing here can be at odds with what is really stored.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from agent.archive.examinations import ExaminationRow
from agent.dataset.attributes import Attributes
from agent.dataset.json_model import from_json, to_json

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"


@dataclass(slots=True)
class PerformedSeries:
    """A series that a step makes."""

    uid: str
    number: int
    description: str = ""
    protocol: str = ""


@dataclass(slots=True)
class PerformedStep:
    """A performed procedure step; `identifier` is its Performed Procedure Step ID. Times are
    seconds since 1970; `ended` is 0 while it is in progress."""

    uid: str
    identifier: str
    begun: float
    status: str = IN_PROGRESS
    ended: float = 0.0
    reason: str = ""
    series: list[PerformedSeries] = field(default_factory=list)


@dataclass(slots=True)
class ExaminationRecord:
    """One examination. `entries` are the worklist entries that it fulfils: none when it was not
    scheduled, several in the group case. `patient` has what was told of an unscheduled patient.
    `reconciled` is when the entries were found afterwards (seconds since 1970, 0: they were not),
    `former_study_instance_uid` the study under which its steps were reported before that."""

    id: int
    device: str
    begun: float
    study_instance_uid: str
    entries: list[Attributes] = field(default_factory=list)
    patient: Attributes = field(default_factory=Attributes)
    steps: list[PerformedStep] = field(default_factory=list)
    operator: str = ""
    reconciled: float = 0.0
    former_study_instance_uid: str = ""

    @property
    def step(self) -> PerformedStep:
        """The last step."""
        return self.steps[-1]

    @property
    def state(self) -> str:
        """That of the last step."""
        return self.step.status

    def about(self, keyword: str) -> str:
        """A value of the patient or the order, from the entry where there is one."""
        for source in (*self.entries[:1], self.patient):
            if source.has(keyword):
                return source.text(keyword)
        return ""

    def row(self) -> ExaminationRow:
        """As the archive keeps it."""
        content = {
            "entries": [to_json(each) for each in self.entries],
            "patient": to_json(self.patient),
            "steps": [asdict(each) for each in self.steps],
            "operator": self.operator,
            "reconciled": self.reconciled,
            "former": self.former_study_instance_uid,
        }
        return ExaminationRow(
            self.id,
            self.state,
            self.device,
            self.begun,
            0.0,
            self.study_instance_uid,
            json.dumps(content, ensure_ascii=False),
        )

    @classmethod
    def of(cls, row: ExaminationRow) -> ExaminationRecord:
        """From what the archive kept."""
        content = json.loads(row.content)
        steps = []
        for each in content["steps"]:
            series = [PerformedSeries(**item) for item in each.pop("series")]
            steps.append(PerformedStep(**each, series=series))
        return cls(
            row.id,
            row.device,
            row.begun,
            row.study_instance_uid,
            [from_json(each) for each in content["entries"]],
            from_json(content["patient"]),
            steps,
            content["operator"],
            content.get("reconciled", 0.0),
            content.get("former", ""),
        )
