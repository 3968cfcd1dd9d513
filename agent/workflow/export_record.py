"""What is known of an export: what was asked for, its volumes, and how far it has come.

It is kept in the archive beside examinations and imports, and is changed when a volume is whole:
one that is not is begun again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from agent.archive.examinations import EXPORT, IN_PROGRESS, ExaminationRow
from agent.workflow.export_settings import Plan, Tally, Target, Unit, Volume

COMPLETED, DISCONTINUED, FAILED = "COMPLETED", "DISCONTINUED", "FAILED"
MOST_FAILURES = 100
"""Objects that are named; of more, only the number is kept."""


@dataclass(slots=True)
class ExportRecord:
    """One export. `tallies` are those of the volumes that are whole. `reason` is why it failed,
    `waits` why it does not go on; `stage` and `now` are where it is in the volume under way."""

    id: int
    state: str
    begun: float
    target: Target
    plan: Plan
    operator: str = ""
    tallies: list[Tally] = field(default_factory=list)
    reason: str = ""
    waits: str = ""
    stage: str = ""
    now: int = 0
    deidentify: str = ""
    """How objects are de-identified: the name in the configuration, empty for not at all."""

    @property
    def is_written(self) -> bool:
        """Whether every volume is whole."""
        return len(self.tallies) == len(self.plan.volumes)

    @property
    def written(self) -> int:
        """Objects that are on the target now."""
        return sum(each.copied + each.converted + each.there for each in self.tallies)

    @property
    def failed(self) -> int:
        """Objects that were left out."""
        return sum(each.left_out for each in self.tallies)

    def row(self) -> ExaminationRow:
        """As the archive keeps it."""
        studies = self.plan.studies
        content = {
            "target": self.target,
            "plan": self.plan._replace(studies=()),
            # By this name retention finds what must stay.
            "studies": studies,
            "operator": self.operator,
            "tallies": self.tallies,
            "reason": self.reason,
            "waits": self.waits,
            "deidentify": self.deidentify,
        }
        text = json.dumps(content, ensure_ascii=False)
        study = studies[0] if len(studies) == 1 else ""
        return ExaminationRow(self.id, self.state, EXPORT, self.begun, 0.0, study, text)

    @classmethod
    def of(cls, row: ExaminationRow) -> ExportRecord:
        """From what the archive kept."""
        kept: dict[str, Any] = json.loads(row.content)
        profile, _, counts, patients, volumes, last, mount = kept["plan"]
        plan = Plan(
            profile,
            tuple(kept["studies"]),
            tuple(counts),
            tuple((number, name) for number, name in patients),
            tuple(
                Volume(
                    place,
                    tuple(Unit(study, tuple(series)) for study, series in units),
                    objects,
                    size,
                )
                for place, units, objects, size in volumes
            ),
            last,
            mount,
        )
        tallies = [
            Tally._make(
                (*each[:5], tuple((uid, reason) for uid, reason in each[5]), *(each[6:] or ("",)))
            )
            for each in kept["tallies"]
        ]
        return cls(
            row.id,
            row.state,
            row.begun,
            Target(*kept["target"]),
            plan,
            kept["operator"],
            tallies,
            kept["reason"],
            kept["waits"],
            deidentify=kept.get("deidentify", ""),
        )

    def summary(self) -> dict[str, Any]:
        """As people see it."""
        volumes = self.plan.volumes
        failures = [each for tally in self.tallies for each in tally.failures]
        return {
            "id": self.id,
            "state": self.state,
            "begun": self.begun,
            "target": self.target.path,
            "kind": self.target.kind,
            "profile": self.plan.profile,
            "deidentify": self.deidentify,
            "studies": len(self.plan.studies),
            "patients": [
                {"patient_id": number, "patient_name": name} for number, name in self.plan.patients
            ],
            "volumes": [
                {"place": each.place, "objects": each.objects, "done": number < len(self.tallies)}
                for number, each in enumerate(volumes)
            ],
            "expected": sum(each.objects for each in volumes),
            "copied": sum(each.copied for each in self.tallies),
            "converted": sum(each.converted for each in self.tallies),
            "there": sum(each.there for each in self.tallies),
            "failed": self.failed,
            "failures": [
                {"sop_instance_uid": uid, "reason": reason}
                for uid, reason in failures[:MOST_FAILURES]
            ],
            "size": sum(each.size for each in self.tallies),
            "said": [each.said for each in self.tallies if each.said],
            "stage": self.stage,
            "now": self.now,
            "reason": self.reason,
            "waits": self.waits,
        }


__all__ = ["COMPLETED", "DISCONTINUED", "FAILED", "IN_PROGRESS", "ExportRecord"]
