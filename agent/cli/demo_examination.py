"""The demo's own story: one examination, from the worklist to the end of retention.

A RIS and archive is played by a second node: it has the worklist, takes the step, stores and
commits. The operator is a simulated barcode reader and foot switch; where the devices are real, a
person captures when the story asks for it.
"""

from __future__ import annotations

import time
from pathlib import Path

from agent.archive.worklist_store import add_entry
from agent.cli.demo_devices import devices_of
from agent.cli.demo_node import PATIENCE, DemoNode, data_set, say, stopped
from agent.dataset.attributes import Attributes
from agent.dataset.uid import new_uid
from agent.errors import PeerError

SERVES = (
    '[[entity.service]]\nname = "worklist"\n[[entity.service]]\nname = "performed-step"\n'
    '[[entity.service]]\nname = "commitment"\n'
)
_QUICK = '[peer.retry]\nfirst = "0.3 s"\nlongest = "0.6 s"\n'


def worklist_entry() -> Attributes:
    """An order for today."""
    return Attributes.of(
        {
            "AccessionNumber": "A1001",
            "PatientName": "Doe^Jane",
            "PatientID": "4711",
            "PatientBirthDate": "19700401",
            "PatientSex": "F",
            "StudyInstanceUID": new_uid(),
            "RequestedProcedureID": "RP1001",
            "RequestedProcedureDescription": "Ultrasound of the abdomen",
            "ScheduledProcedureStepSequence": [
                {
                    "Modality": "US",
                    "ScheduledStationAETitle": "GANTRY",
                    "ScheduledProcedureStepStartDate": time.strftime("%Y%m%d"),
                    "ScheduledProcedureStepStartTime": "080000",
                    "ScheduledProcedureStepDescription": "Abdomen",
                    "ScheduledProcedureStepID": "SPS1001",
                }
            ],
        }
    )


class ExaminationDemo:
    """Tells the story in `folder`, with the devices of a file where one is given."""

    def __init__(
        self, folder: Path, devices: Path | None = None, patience: float = PATIENCE
    ) -> None:
        self._folder = folder
        self._operator = folder / "operator"
        self._devices = devices_of(devices, self._operator)
        self._patience = patience
        self._captured: dict[str, bytes] = {}

    def run(self) -> int:
        started = time.monotonic()
        hospital, box = self._nodes()
        add_entry(str(hospital.folder / "state" / "worklist"), worklist_entry())
        with stopped(box, hospital):
            hospital.start()
            say(f"1. the hospital: worklist, archive and steps on 127.0.0.1 port {hospital.port}")
            box.start()
            say(f"2. the box, with {self._devices.capture}, listens on port {box.port}")
            self._pick(box, hospital)
            self._capture(box, hospital)
            self._finish(box, hospital)
            self._compare(hospital)
            self._retain(box)
        say(f"done in {time.monotonic() - started:.1f} s")
        return 0

    def _nodes(self) -> tuple[DemoNode, DemoNode]:
        hospital = DemoNode(self._folder / "hospital", "HOSPITAL", SERVES, patience=self._patience)
        head = (
            '[worklist]\npeer = "HOSPITAL"\nstation = "GANTRY"\n[steps]\npeer = ["HOSPITAL"]\n'
            '[[archive]]\nname = "main"\n[archive.retention]\ndelete = "by-age"\n'
            'after = "committed"\nage = "1 s"\nkeep = "1 s"\n'
        )
        box = DemoNode(
            self._folder / "box",
            "GANTRY",
            '[[entity.service]]\nname = "commitment"\nroles = ["scu"]\n'
            f'[[peer]]\nname = "HOSPITAL"\naddresses = ["127.0.0.1:{hospital.port}"]\n'
            'services = ["storage", "worklist", "performed-step", "commitment"]\n'
            f'[peer.commitment]\neach = "study"\ngather = "0.5 s"\n{_QUICK}'
            '[[route]]\nname = "everything"\ndeliver = ["HOSPITAL"]\n' + self._devices.tables,
            head,
            patience=self._patience,
        )
        hospital.more(f'[[peer]]\nname = "GANTRY"\naddresses = ["127.0.0.1:{box.port}"]\n{_QUICK}')
        return hospital, box

    def _do(self, act: str) -> None:
        with self._operator.open("w") as pipe:
            pipe.write(act + "\n")

    def _press(self, asked: str, *pedals: str) -> None:
        """A person does what is asked for, where the pedals are theirs."""
        if self._devices.are_pressed:
            say(f"   it is your turn: {asked}")
            return
        for pedal in pedals:
            self._do(f"press {pedal}")

    def _pick(self, box: DemoNode, hospital: DemoNode) -> None:
        box.wait("the worklist", lambda: box.ask("worklist")["entries"])
        say(f"3. {box.ask('worklist')['said']}")
        self._do("read A1001")
        box.wait("the examination", lambda: box.ask("exam-list")["items"])
        (exam,) = box.ask("exam-list")["items"]
        say(f"4. the barcode A1001 picks {exam['patient_name']}, {exam['description']}")
        box.wait("the step", lambda: hospital.ask("steps")["items"])
        say(f"5. the hospital knows of the step: {hospital.ask('steps')['items'][0]['status']}")

    def _capture(self, box: DemoNode, hospital: DemoNode) -> None:
        self._press("capture an image and a clip", "left", "right")
        box.wait("captured", lambda: self._keep(box) == 2)
        hospital.wait("delivered", lambda: hospital.instances() == 2)
        say("6. the foot switch captures an image and a clip; both are delivered")
        hospital.stop()
        say("7. the link to the hospital is cut")
        self._press("capture two more images", "left", "left")
        box.wait("captured", lambda: self._keep(box) == 4)
        box.wait("the retries", lambda: box.queue("HOSPITAL").get("failures"))
        row = box.queue("HOSPITAL")
        say(f"8. two more images are kept and tried again: {row['last_reason']}")

    def _keep(self, box: DemoNode) -> int:
        """Remember what was captured, before retention may delete it."""
        for path in box.objects():
            uid, data = data_set(path)
            self._captured[uid] = data
        return len(self._captured)

    def _finish(self, box: DemoNode, hospital: DemoNode) -> None:
        self._press("end the examination", "middle")
        box.wait("the end", lambda: box.ask("exam-list")["items"][0]["state"] == "COMPLETED")
        say("9. a pedal ends the examination")
        hospital.start()
        say("10. the link is back")
        hospital.wait("delivered", lambda: hospital.instances() == 4)
        hospital.wait(
            "the step", lambda: hospital.ask("steps")["items"][0]["status"] == "COMPLETED"
        )
        box.wait("the commitment", lambda: not box.ask("queue")["items"])
        say("11. all 4 objects are delivered, the step is COMPLETED, and storage is committed to")

    def _compare(self, hospital: DemoNode) -> None:
        arrived = dict(data_set(each) for each in hospital.objects())
        if arrived != self._captured:
            raise PeerError(f"{len(arrived)} objects arrived, not those that were captured")
        say(f"12. {len(arrived)} objects arrived, byte for byte what was captured")

    def _retain(self, box: DemoNode) -> None:
        time.sleep(1.1)
        box.ask("tidy")
        box.wait("retention", lambda: not box.instances())
        say("13. retention may delete what is committed: the box is empty again")
