"""The power is cut at random moments: nothing is lost, and nothing is told twice or wrongly."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from agent.archive.worklist_store import add_entry
from tests.node.running import ENVIRONMENT
from tests.node.test_examination import Clinic
from tests.node.test_steps import Ris, until
from tests.node.test_worklist import entry
from tests.peers.dcmtk import DcmtkStoreScp

OPERATOR = """
import sys
from agent.control import ask

control, number = sys.argv[1:]
ask(control, "exam-start", keys={"ScheduledProcedureStepID": f"SPS{number}"})
print("begun", flush=True)
for _ in range(4):
    for each in ask(control, "exam-capture", stills=1):
        print(each["sop_instance_uid"], flush=True)
ask(control, "exam-finish")
print("over", flush=True)
"""
"""Works through an examination, and writes down what the box has promised."""


@dataclass
class StrictRis(Ris):
    """Keeps steps as PS3.4 F.7.2 has it: one N-CREATE for each, and no change after the end."""

    steps: dict[str, Dataset] = field(default_factory=dict)

    def _create(self, event: Any) -> tuple[Any, Dataset | None]:
        uid = str(event.request.AffectedSOPInstanceUID)
        if uid in self.steps:
            return 0x0111, None
        self.steps[uid] = event.attribute_list
        return super()._create(event)

    def _set(self, event: Any) -> tuple[Any, Dataset | None]:
        step = self.steps.get(str(event.request.RequestedSOPInstanceUID))
        if step is None:
            return 0x0112, None
        if step.PerformedProcedureStepStatus != "IN PROGRESS":
            self.answers.insert(0, 0xA710)
            return self._status(), None
        step.update(event.modification_list)
        return super()._set(event)


def operate(clinic: Clinic, number: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OPERATOR, str(clinic.box.control), str(number)],
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def finish(clinic: Clinic, number: int) -> Any:
    """What an operator does who finds the box started anew; the examination as it is then."""
    records = clinic.exam("list")["items"]
    mine = [each for each in records if each["accession_number"] == f"A{number}"]
    assert len(mine) <= 1, records
    begun = mine[0] if mine else clinic.start(number)
    if begun["state"] == "IN PROGRESS":
        clinic.exam("capture", stills=1)
        clinic.exam("finish")
    return clinic.exam("show", id=begun["id"])


def check(clinic: Clinic, pacs: DcmtkStoreScp, number: int, told: set[str], shown: Any) -> None:
    """The archive has each object, the RIS one step that names them all."""
    assert shown["state"] == "COMPLETED"
    stored = sorted(each["sop_instance_uid"] for each in shown["objects"])
    assert told <= set(stored), "an object is lost that the operator was shown"
    received = [dcmread(path, stop_before_pixels=True) for path in pacs.received()]
    arrived = [str(e.SOPInstanceUID) for e in received if e.AccessionNumber == f"A{number}"]
    assert sorted(set(arrived)) == stored
    assert isinstance(clinic.steps, StrictRis)
    steps = {
        uid: step
        for uid, step in clinic.steps.steps.items()
        if step.ScheduledStepAttributesSequence[0].AccessionNumber == f"A{number}"
    }
    assert list(steps) == [shown["step"]]
    step = steps[shown["step"]]
    assert step.PerformedProcedureStepStatus == "COMPLETED"
    named = [
        item.ReferencedSOPInstanceUID
        for series in step.PerformedSeriesSequence
        for item in series.ReferencedImageSequence
    ]
    assert sorted(named) == stored


def test_killed_at_random_moments_each_image_arrives_and_the_step_is_told_once(
    tmp_path: Path, start_peer: Any, count: Callable[[int, int], int]
) -> None:
    seed = int(os.environ.get("GANTRY_TEST_SEED", 0)) or random.randrange(1, 1 << 32)
    print(f"GANTRY_TEST_SEED={seed}")
    chance = random.Random(seed)
    pacs = start_peer(DcmtkStoreScp(tmp_path / "pacs"))
    made = Clinic(tmp_path, pacs.port)
    made.steps = StrictRis(made.steps.port)
    cut: Counter[int] = Counter()
    with made as clinic:
        begun = time.monotonic()
        for number in range(count(10, 100) + 1):
            add_entry(str(clinic.worklist), entry(number))
            clinic.box.ask("worklist", refresh=True)
            started = time.monotonic()
            operator = operate(clinic, number)
            if number == 0:
                # An examination that nobody disturbs says how long they are.
                said = operator.communicate(timeout=30)[0].split()
                long = time.monotonic() - started
            else:
                time.sleep(chance.uniform(0.0, 1.2 * long))
                clinic.box.kill()
                said = operator.communicate(timeout=30)[0].split()
                clinic.box.start()
            cut[len(said)] += 1
            shown = finish(clinic, number)
            until(lambda: not clinic.box.ask("queue")["items"], lambda: clinic.box.log, seconds=30)
            told = {each for each in said if "." in each}
            check(clinic, pacs, number, told, shown)
        # Not all of them before the beginning, or after the end.
        assert len(cut) > 2, cut
        print(f"cut after so many answers: {dict(cut)}; {time.monotonic() - begun:.0f} s")
