"""The demo of media: a stick of another hospital comes in, and a disc goes out.

The stick is a folder that is moved into a slot of the simulated media. A second node plays RIS and
archive of the hospital.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.archive.worklist_store import add_entry
from agent.cli.demo_examination import SERVES, worklist_entry
from agent.cli.demo_node import PATIENCE, DemoNode, say, stopped
from agent.errors import PeerError
from agent.media.application_profiles import profile_of
from agent.media.checking import check
from agent.media.contents import contents_of
from agent.media.directory_writer import Creator
from agent.media.file_set import FileSetWriter
from agent.media.found import FoundInstance
from agent.media.reading import found_in
from agent.services.storage import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from agent.workflow.simulated_series import make_series

_QUICK = '[peer.retry]\nfirst = "0.3 s"\nlongest = "0.6 s"\n'


class MediaDemo:
    """Tells the story in `folder`."""

    def __init__(self, folder: Path, patience: float = PATIENCE) -> None:
        self._folder = folder
        self._patience = patience
        self._slots = folder / "slots"

    def run(self) -> int:
        started = time.monotonic()
        self._slots.mkdir()
        stick = self._foreign_stick()
        hospital, box = self._nodes()
        add_entry(str(hospital.folder / "state" / "worklist"), worklist_entry())
        with stopped(box, hospital):
            hospital.start()
            box.start()
            say("2. the hospital has an order for Doe^Jane, accession number A1001; the box is on")
            self._bring_in(box, hospital, stick)
            study = self._show_what_came(box)
            self._take_out(box, study)
        say(f"done in {time.monotonic() - started:.1f} s")
        return 0

    def _foreign_stick(self) -> Path:
        stick = self._folder / "STICK"
        files = make_series(self._folder / "elsewhere", stills=3, frames=4)
        creator = Creator(IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)
        with FileSetWriter(
            stick, profile_of("STD-GEN-CD"), creator, file_set_id="ELSEWHERE"
        ) as out:
            for each in files:
                out.add(each)
            out.finish()
        (patient,) = contents_of(_instances(stick))
        say(
            f"1. a stick of another hospital: {patient.count} objects of {patient.patient_id} "
            f"{patient.name}, with a DICOMDIR"
        )
        return stick

    def _nodes(self) -> tuple[DemoNode, DemoNode]:
        hospital = DemoNode(self._folder / "hospital", "HOSPITAL", SERVES, patience=self._patience)
        box = DemoNode(
            self._folder / "box",
            "GANTRY",
            f'[[peer]]\nname = "HOSPITAL"\naddresses = ["127.0.0.1:{hospital.port}"]\n'
            f'services = ["storage", "worklist", "performed-step"]\n{_QUICK}'
            '[[route]]\nname = "everything"\ndeliver = ["HOSPITAL"]\n'
            '[[media]]\nname = "slots"\nkind = "simulator"\n'
            f'[media.settings]\nfolder = "{self._slots}"\n',
            '[worklist]\npeer = "HOSPITAL"\n[steps]\npeer = ["HOSPITAL"]\n',
            patience=self._patience,
        )
        return hospital, box

    def _bring_in(self, box: DemoNode, hospital: DemoNode, stick: Path) -> None:
        stick.rename(self._slots / stick.name)
        box.wait("the stick", lambda: self._state(box, stick.name) == "mounted")
        (seen,) = box.ask("media")["items"]
        say(f"3. the stick is plugged in: {seen['name']}, {seen['state']} for reading")
        box.wait("the worklist", lambda: box.ask("worklist")["entries"])
        box.ask("import-begin", root=seen["folder"], entry={"AccessionNumber": "A1001"})
        say("4. it is imported for the order A1001; the hospital is told of the step")
        box.wait("the import", lambda: box.ask("import-list")["items"][0]["state"] == "COMPLETED")
        (done,) = box.ask("import-list")["items"]
        hospital.wait("delivered", lambda: hospital.instances() == done["objects"])
        hospital.wait(
            "the step", lambda: hospital.ask("steps")["items"][0]["status"] == "COMPLETED"
        )
        say(f"5. {done['objects']} objects are delivered, and the step is COMPLETED")
        box.ask("media-release", name=stick.name)
        say(f"6. the stick is {self._state(box, stick.name)}")

    def _show_what_came(self, box: DemoNode) -> str:
        (study,) = box.ask("studies")["items"]
        say(
            f"7. they are {study['patient_id']} {study['patient_name']} now, and remember who they "
            "were (Original Attributes Sequence)"
        )
        return str(study["study_instance_uid"])

    def _take_out(self, box: DemoNode, study: str) -> None:
        with_discs = shutil.which("xorriso") is not None
        target = self._folder / ("disc.iso" if with_discs else "disc")
        begun = box.ask(
            "export-begin",
            kind="image" if with_discs else "folder",
            target=str(target),
            studies=[study],
            profile="STD-GEN-CD",
        )
        box.wait("the export", lambda: box.ask("export-list")["items"][0]["state"] != "IN PROGRESS")
        (done,) = box.ask("export-list")["items"]
        if done["state"] != "COMPLETED" or done["id"] != begun["id"]:
            raise PeerError(f"the export ended {done['state']}: {done}")
        what = "the image of a disc" if with_discs else "a folder (images need xorriso)"
        say(f"8. the study goes out as STD-GEN-CD, into {what}, and every byte is read back")
        with self._as_folder(box, target) as folder:
            faults = [f"{fault.file}: {fault.reason}" for fault in check(folder)]
            if faults:
                raise PeerError(f"the file-set has faults: {'; '.join(faults)}")
            (patient,) = contents_of(_instances(folder))
        say(f"9. the disc is checked: {patient.count} objects of {patient.name}, no fault")

    @contextmanager
    def _as_folder(self, box: DemoNode, target: Path) -> Iterator[Path]:
        """The files of an image, by the drive of the box."""
        if target.is_dir():
            yield target
            return
        target.rename(self._slots / "DISC.iso")
        box.wait("the disc", lambda: self._state(box, "DISC", optical=True) == "mounted")
        (seen,) = [each for each in box.ask("media")["items"] if each["optical"]]
        yield Path(seen["folder"])

    def _state(self, box: DemoNode, name: str, *, optical: bool = False) -> str:
        for each in box.ask("media")["items"]:
            if each["optical"] == optical and (optical or each["name"] == name):
                return str(each["state"])
        return ""


def _instances(folder: Path) -> Iterator[FoundInstance]:
    found: Any
    for found in found_in(folder):
        if not isinstance(found, FoundInstance):
            raise PeerError(f"{found.file}: {found.reason}")
        yield found
