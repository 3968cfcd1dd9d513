"""What is known of a retrieval from a peer: what is wanted, where it goes, how far it has come.

It is kept as a row beside the examinations, as an export is. Objects are not listed: the peer says
what there is, the archive what came.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from agent.archive.examinations import FETCH, IN_PROGRESS, ExaminationRow
from agent.dataset.attributes import Attributes

COMPLETED, DISCONTINUED = "COMPLETED", "DISCONTINUED"

MOST_FAILED_UIDS = 1000
"""Instances that failed and are kept by name; with more, everything is asked for again."""


@dataclass(slots=True)
class FetchRecord:
    """One retrieval of a study, of one of its series, or of some instances of that.

    `source` is the peer that has them. `target` is the peer to which they go: from the source
    itself where `direct` is set, else from our archive when all are there; "" where they stay.
    `reason` is who asked. `attempts` failed since something came last, the next is due at `due`
    (the time of the clock in seconds); `is_held` says that it waits for a person. `failed_uids` are
    what the source could not send to the target. `waits` is why it does not go on, `failed` why it
    never will.
    """

    id: int
    state: str
    begun: float
    source: str
    study: str
    series: str = ""
    instances: tuple[str, ...] = ()
    target: str = ""
    direct: bool = False
    reason: str = ""
    expected: int = 0
    done: int = 0
    attempts: int = 0
    due: float = 0.0
    is_held: bool = False
    is_here: bool = False
    """All of it came; what is left is to deliver it to `target`."""
    is_handed_on: bool = False
    """The deliveries are in the queue."""
    failed_uids: tuple[str, ...] = ()
    waits: str = ""
    failed: str = ""

    @property
    def level(self) -> str:
        """The level of the retrieval (PS3.4 C.4.2.1.4)."""
        if self.instances:
            return "IMAGE"
        return "SERIES" if self.series else "STUDY"

    @property
    def uids(self) -> tuple[str, ...]:
        """The UIDs at that level."""
        return self.instances or (self.series or self.study,)

    def keys(self) -> Attributes:
        """The unique keys of what is wanted."""
        made = Attributes(StudyInstanceUID=self.study)
        if self.series:
            made.set("SeriesInstanceUID", self.series)
        if self.instances:
            made.set("SOPInstanceUID", self.instances)
        return made

    def wants(self) -> tuple[object, ...]:
        """What makes it the same as another."""
        return self.source, self.study, self.series, self.instances, self.target, self.direct

    def row(self) -> ExaminationRow:
        """As the archive keeps it."""
        content = {name: getattr(self, name) for name in _KEPT}
        text = json.dumps(content, ensure_ascii=False)
        return ExaminationRow(self.id, self.state, FETCH, self.begun, 0.0, self.study, text)

    @classmethod
    def of(cls, row: ExaminationRow) -> FetchRecord:
        """From what the archive kept."""
        kept: dict[str, Any] = json.loads(row.content)
        for name in ("instances", "failed_uids"):
            kept[name] = tuple(kept[name])
        return cls(row.id, row.state, row.begun, study=row.study_instance_uid, **kept)

    def work(self, is_running: bool) -> dict[str, Any]:
        """As `gantry status` shows work."""
        return {
            "kind": "fetch",
            "id": self.id,
            "waits": self.waits,
            "target": self.source,
            "done": self.done,
            "expected": self.expected,
            "going": is_running,
            "failed": "",
            "stage": "",
            "now": 0,
        }

    def summary(self) -> dict[str, Any]:
        """As people see it."""
        stage = "delivering" if self.is_here and self.state == IN_PROGRESS else ""
        return {
            "id": self.id,
            "state": self.state,
            "begun": self.begun,
            "study_instance_uid": self.study,
            **{name: getattr(self, name) for name in _KEPT},
            "stage": "held" if self.is_held else stage,
        }


_KEPT = (
    *("source", "series", "instances", "target", "direct", "reason", "expected", "done"),
    *("attempts", "due", "is_held", "is_here", "is_handed_on", "failed_uids", "waits", "failed"),
)
