"""What is known of an import: one study of a medium, under which order, and how far it has come.

It is kept as an examination whose device is the importer (IHE Import Reconciliation Workflow: the
import is a performed procedure step). The objects are not listed: the medium has those that are to
come, the archive those that came.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from agent.archive.examinations import IMPORT, ExaminationRow
from agent.workflow.examination_record import ExaminationRecord, PerformedSeries

MOST_FAILURES = 100
"""Files that are named; of more, only the number is kept."""


@dataclass(slots=True)
class ImportRecord:
    """One import. `examination` has the order, the patient and the step.

    `root` is the folder of the medium, `modality` that of the study's first series. `is_reconciled`
    says that objects get another identity; `is_copied` that all that can be read is in the archive.
    `expected` objects of the study were on the medium when the import was begun; `seen` were come
    across since the medium was begun with.
    `failures` are files that are not, each with the reason; `waits` is why it does not go on.
    """

    examination: ExaminationRecord
    root: str
    modality: str = ""
    is_reconciled: bool = False
    is_copied: bool = False
    expected: int = 0
    objects: int = 0
    seen: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    waits: str = ""

    @property
    def id(self) -> int:
        return self.examination.id

    @property
    def is_reported(self) -> bool:
        """Whether the step is: what comes in as it is belongs to no procedure."""
        return self.is_reconciled

    def failed_with(self, file: str, reason: str) -> None:
        """A file is not imported."""
        self.failed += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures.append((file, reason))

    def start_again(self) -> None:
        """The medium is gone through from its beginning."""
        self.objects, self.seen, self.failed, self.failures = 0, 0, 0, []

    def add_series(self, uid: str, number: str, description: str, protocol: str) -> bool:
        """A series of the medium; False where it is known."""
        series = self.examination.step.series
        if any(each.uid == uid for each in series):
            return False
        digits = int(number) if number.strip().lstrip("-").isdigit() else 0
        series.append(PerformedSeries(uid, digits, description, protocol or description))
        return True

    def row(self) -> ExaminationRow:
        """As the archive keeps it."""
        row = self.examination.row()
        content = json.loads(row.content)
        content["import"] = {
            "root": self.root,
            "modality": self.modality,
            "reconciled": self.is_reconciled,
            "copied": self.is_copied,
            "expected": self.expected,
            "objects": self.objects,
            "failed": self.failed,
            "failures": self.failures,
            "waits": self.waits,
        }
        return row._replace(device=IMPORT, content=json.dumps(content, ensure_ascii=False))

    @classmethod
    def of(cls, row: ExaminationRow) -> ImportRecord:
        """From what the archive kept."""
        kept: dict[str, Any] = json.loads(row.content)["import"]
        return cls(
            ExaminationRecord.of(row),
            kept["root"],
            kept["modality"],
            kept["reconciled"],
            kept["copied"],
            kept["expected"],
            kept["objects"],
            0,
            kept["failed"],
            [(file, reason) for file, reason in kept["failures"]],
            kept["waits"],
        )

    def summary(self) -> dict[str, Any]:
        """As people see it."""
        examination = self.examination
        return {
            "id": self.id,
            "state": examination.state,
            "medium": self.root,
            "begun": examination.begun,
            "patient_id": examination.about("PatientID"),
            "patient_name": examination.about("PatientName"),
            "accession_number": examination.about("AccessionNumber"),
            "study_instance_uid": examination.study_instance_uid,
            "step": examination.step.uid if self.is_reported else "",
            "reconciled": self.is_reconciled,
            "copied": self.is_copied,
            "expected": self.expected,
            "objects": self.objects,
            "series": len(examination.step.series),
            "failed": self.failed,
            "failures": [{"file": file, "reason": reason} for file, reason in self.failures],
            "waits": self.waits,
        }
