"""What a REPORT or NOTIFY job carries: one message about a step, ready to be sent as it is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

from agent.archive.decision import NOTIFY, REPORT, JobPlan
from agent.dataset.attributes import Attributes
from agent.dataset.json_model import from_json, to_json

Operation = Literal["create", "set", "event", "available"]


@dataclass(frozen=True, slots=True)
class StepReport:
    """N-CREATE or N-SET of a step (F.7), an event about one (F.9), or that its objects can be had
    (annex R); `uid` is the SOP Instance UID of the step, or of the notification."""

    operation: Operation
    uid: str
    attributes: Attributes = field(default_factory=Attributes)
    event: int = 0

    def pack(self) -> bytes:
        """As the payload of a job."""
        return json.dumps(
            {
                "operation": self.operation,
                "uid": self.uid,
                "event": self.event,
                "attributes": to_json(self.attributes),
            },
            ensure_ascii=False,
        ).encode()

    @classmethod
    def unpack(cls, payload: bytes) -> StepReport:
        data = json.loads(payload)
        return cls(data["operation"], data["uid"], from_json(data["attributes"]), data["event"])

    def plan(self, peer: str, *, delay: float = 0.0) -> JobPlan:
        """The job that sends it."""
        kind = REPORT if self.operation in ("create", "set") else NOTIFY
        return JobPlan(kind, peer, delay=delay, payload=self.pack())
