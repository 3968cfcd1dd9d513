"""A whole examination: entry, step, capture, review, end; with RIS and archive of others."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.sr._concepts_dict import concepts
from pynetdicom.sop_class import ModalityPerformedProcedureStep

from agent.archive.worklist_store import add_entry
from agent.errors import GantryError
from agent.workflow.performed_step import DISCONTINUATION_REASONS
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port
from tests.node.test_steps import Ris, until
from tests.node.test_worklist import SERVES, entry
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.dicom3tools import dciodvfy

CAPTURE = (
    '[[capture]]\nname = "us"\nkind = "simulator"\nmodality = "US"\nstation_name = "ROOM1"\n'
    "[capture.settings]\nwidth = 96\nheight = 64\n"
    '[capture.template]\nmanufacturer = "ACME"\ninstitution_name = "General"\n'
    "[capture.template.attributes]\nKVP = 70\n"
)


@cache
def worklist_node() -> NodeProcess:
    """A node of ours that answers worklist queries: one serves all clinics of a test run."""
    folder = tempfile.mkdtemp(prefix="gantry-ris-")
    node = NodeProcess(Path(folder) / "ris", SERVES)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(node.kill)
    return node


class Clinic:
    """A RIS of ours for the worklist, a RIS of pynetdicom for steps, storescp, and the box.

    The worklist is empty when a clinic is made.
    """

    def __init__(self, folder: Path, archive_port: int, more: str = "") -> None:
        self.folder = folder
        self.ris = worklist_node()
        self.worklist = self.ris.folder / "state" / "worklist"
        for path in self.worklist.glob("*"):
            path.unlink()
        self.steps = Ris(free_port())
        self.box = NodeProcess(folder / "box")
        text = self.box.configuration.read_text()
        head = (
            '[worklist]\npeer = "WORKLIST"\nany_day = true\nevery = "0 s"\n'
            '[steps]\npeer = ["RIS"]\nlocation = "Ward 3"\n'
        )
        tail = (
            f'[[peer]]\nname = "WORKLIST"\ntitle = "GANTRY"\nservices = ["worklist"]\n'
            f'addresses = ["127.0.0.1:{self.ris.port}"]\n'
            f'[[peer]]\nname = "RIS"\nservices = ["performed-step"]\n'
            f'addresses = ["127.0.0.1:{self.steps.port}"]\n'
            '[peer.retry]\nfirst = "0.2 s"\nlongest = "0.5 s"\n'
            f'[[peer]]\nname = "PACS"\naddresses = ["127.0.0.1:{archive_port}"]\n'
            '[peer.retry]\nfirst = "0.2 s"\nlongest = "0.5 s"\n'
            f'[[route]]\nname = "all"\ndeliver = ["PACS"]\n{CAPTURE}{more}'
        )
        self.box.configuration.write_text(text.replace("[[entity]]", f"{head}[[entity]]", 1) + tail)

    def __enter__(self) -> Clinic:
        if not self.ris.is_running:
            self.ris.start()
        self.steps.start()
        self.box.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.box.kill()
        self.steps.stop()

    def exam(self, act: str, **fields: Any) -> Any:
        return self.box.ask(f"exam-{act}", **fields)

    def start(self, number: int = 1) -> Any:
        return self.exam("start", keys={"ScheduledProcedureStepID": f"SPS{number}"})


@pytest.fixture
def pacs(tmp_path: Path, start_peer: Any) -> Any:
    return start_peer(DcmtkStoreScp(tmp_path / "pacs"))


@pytest.fixture
def clinic(tmp_path: Path, pacs: Any) -> Iterator[Clinic]:
    with Clinic(tmp_path, pacs.port) as made:
        add_entry(str(made.worklist), entry(1))
        yield made


def test_images_are_kept_though_the_entry_has_values_that_no_object_can_hold(
    clinic: Clinic, pacs: Any
) -> None:
    bad = entry(2)
    bad.set("RequestedProcedureDescription", "x" * 70)
    bad.set("PatientSex", "X" * 20)
    add_entry(str(clinic.worklist), bad)
    clinic.start(2)
    (kept,) = clinic.exam("capture", stills=1)
    clinic.exam("finish")
    (path,) = pacs.wait_for_files(1)
    read = dcmread(path)
    assert (read.SOPInstanceUID, read.StudyDescription) == (kept["sop_instance_uid"], "x" * 64)
    assert "PatientSex left out" in clinic.box.log
    until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)


@pytest.mark.parametrize("emergency", [False, True])
def test_an_identifier_that_no_object_can_hold_is_told_before_anything_is_captured(
    clinic: Clinic, emergency: bool
) -> None:
    bad = entry(2)
    bad.set("AccessionNumber", "A" * 20)
    add_entry(str(clinic.worklist), bad)
    keys = {"ScheduledProcedureStepID": "SPS2"}
    if emergency:
        keys = {"PatientName": "Doe^Jane", "PatientID": "P" * 70}
    with pytest.raises(GantryError, match="longer than"):
        clinic.exam("start", keys=keys, emergency=emergency)
    clinic.start(1)


def test_a_scheduled_examination_is_reported_with_every_object_that_arrived(
    clinic: Clinic, pacs: Any
) -> None:
    begun = clinic.start()
    assert begun["state"] == "IN PROGRESS"
    until(lambda: clinic.steps.said, lambda: clinic.box.log)
    made = clinic.exam("capture", stills=2, clips=1, frames=4)
    clinic.exam("series", description="Doppler")
    made += clinic.exam("capture", stills=1)
    over = clinic.exam("finish")
    assert over["state"] == "COMPLETED"
    received = pacs.wait_for_files(4)
    until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
    (created, uid, step), (ended, same, change) = clinic.steps.said
    assert (created, ended, uid) == ("create", "set", same)
    step.decode()
    assert str(step.PatientName) == "Müller^Jörg1"
    assert step.SpecificCharacterSet == "ISO_IR 100"
    scheduled = step.ScheduledStepAttributesSequence[0]
    assert scheduled.ScheduledProcedureStepID == "SPS1"
    assert scheduled.AccessionNumber == "A1"
    assert scheduled.ScheduledProtocolCodeSequence[0].CodeValue == "ABD"
    assert step.PerformedLocation == "Ward 3"
    assert change.PerformedProcedureStepStatus == "COMPLETED"
    referenced = {
        item.ReferencedSOPInstanceUID
        for series in change.PerformedSeriesSequence
        for item in series.ReferencedImageSequence
    }
    stored = {str(dcmread(path).SOPInstanceUID) for path in received}
    assert referenced == stored == {each["sop_instance_uid"] for each in made}
    assert [each.SeriesDescription for each in change.PerformedSeriesSequence] == [
        "Abdomen",
        "Doppler",
    ]
    assert {each.RetrieveAETitle for each in change.PerformedSeriesSequence} == {"PACS"}


def test_the_objects_say_for_whom_why_and_in_which_step_they_were_made(
    clinic: Clinic, pacs: Any
) -> None:
    begun = clinic.start()
    clinic.exam("capture", stills=1)
    clinic.exam("finish")
    (path,) = pacs.wait_for_files(1)
    made = dcmread(path)
    made.decode()
    assert (str(made.PatientName), made.PatientID) == ("Müller^Jörg1", "P1")
    assert made.StudyInstanceUID == "1.2.826.0.1.3680043.9.6.1"
    assert (made.AccessionNumber, made.StudyID) == ("A1", "RP1")
    request = made.RequestAttributesSequence[0]
    assert request.ScheduledProcedureStepID == "SPS1"
    assert request.RequestedProcedureID == "RP1"
    assert request.ScheduledProtocolCodeSequence[0].CodeMeaning == "Abdomen, whole"
    reference = made.ReferencedPerformedProcedureStepSequence[0]
    assert reference.ReferencedSOPInstanceUID == begun["step"]
    assert reference.ReferencedSOPClassUID == ModalityPerformedProcedureStep
    assert (made.Manufacturer, made.InstitutionName, made.KVP) == ("ACME", "General", 70)
    assert made.PerformedProcedureStepID
    # Laterality is asked for whatever the body part is (tests/objects/wrong_errors.py).
    assert [line for line in dciodvfy(path) if "Laterality" not in line] == []


def test_an_examination_can_be_discontinued_with_a_reason(clinic: Clinic) -> None:
    clinic.start()
    with pytest.raises(GantryError, match="no reason"):
        clinic.exam("finish", discontinue="1")
    over = clinic.exam("finish", discontinue="110505")
    assert over["state"] == "DISCONTINUED"
    until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
    change = clinic.steps.said[1][2]
    assert change.PerformedProcedureStepStatus == "DISCONTINUED"
    (reason,) = change.PerformedProcedureStepDiscontinuationReasonCodeSequence
    assert (reason.CodeValue, reason.CodingSchemeDesignator) == ("110505", "DCM")
    (series,) = change.PerformedSeriesSequence
    assert series.ReferencedImageSequence == []


def test_what_comes_after_the_end_is_a_step_of_its_own(clinic: Clinic, pacs: Any) -> None:
    begun = clinic.start()
    clinic.exam("capture")
    clinic.exam("finish")
    again = clinic.exam("append", id=begun["id"])
    assert again["step"] != begun["step"]
    clinic.exam("capture")
    clinic.exam("finish")
    until(lambda: len(clinic.steps.said) == 4, lambda: clinic.box.log)
    uids = [uid for _, uid, _ in clinic.steps.said]
    assert uids == [begun["step"]] * 2 + [again["step"]] * 2
    first, second = clinic.steps.said[1][2], clinic.steps.said[3][2]
    names = [
        {
            item.ReferencedSOPInstanceUID
            for item in each.PerformedSeriesSequence[0].ReferencedImageSequence
        }
        for each in (first, second)
    ]
    assert len(names[0]) == len(names[1]) == 1
    assert names[0].isdisjoint(names[1])
    assert {str(dcmread(path).StudyInstanceUID) for path in pacs.wait_for_files(2)} == {
        begun["study_instance_uid"]
    }


def test_an_emergency_needs_no_entry(clinic: Clinic) -> None:
    begun = clinic.exam("start", emergency=True, keys={"PatientName": "Unknown^One"})
    assert begun["scheduled"] is False
    clinic.exam("finish")
    until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
    step = clinic.steps.said[0][2]
    (scheduled,) = step.ScheduledStepAttributesSequence
    assert scheduled.StudyInstanceUID == begun["study_instance_uid"]
    assert scheduled.ScheduledProcedureStepID == ""
    assert str(step.PatientName) == "Unknown^One"
    assert step.ReferencedPatientSequence == []


def test_retention_leaves_an_examination_alone_until_it_is_over(tmp_path: Path, pacs: Any) -> None:
    made = Clinic(tmp_path, pacs.port)
    keeps = (
        '[[archive]]\nname = "main"\n[archive.retention]\ndelete = "by-age"\n'
        'after = "delivered"\nage = "0 s"\nkeep = "0 s"\n'
    )
    text = made.box.configuration.read_text()
    made.box.configuration.write_text(text.replace("[[entity]]", f"{keeps}[[entity]]", 1))
    with made as clinic:
        add_entry(str(clinic.worklist), entry(1))
        clinic.start()
        clinic.exam("capture", stills=2)
        pacs.wait_for_files(2)
        until(lambda: not clinic.box.ask("queue")["items"], lambda: clinic.box.log)
        clinic.box.ask("tidy")
        assert len(clinic.box.objects()) == 2
        clinic.exam("finish")
        until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
        (series,) = clinic.steps.said[1][2].PerformedSeriesSequence
        assert len(series.ReferencedImageSequence) == 2
        clinic.box.ask("tidy")
        until(lambda: not clinic.box.objects(), lambda: clinic.box.log)


def test_one_examination_at_a_time_and_no_entry_no_examination(clinic: Clinic) -> None:
    with pytest.raises(GantryError, match="no worklist entry fits"):
        clinic.start(7)
    with pytest.raises(GantryError, match="no examination is in progress"):
        clinic.exam("capture")
    clinic.start()
    with pytest.raises(GantryError, match="is in progress on us"):
        clinic.start()


def test_objects_wait_for_review_and_rejected_ones_are_never_told_of(
    tmp_path: Path, pacs: Any
) -> None:
    made = Clinic(tmp_path, pacs.port)
    text = made.box.configuration.read_text()
    made.box.configuration.write_text(
        text.replace('modality = "US"', 'modality = "US"\nreview = true')
    )
    with made as clinic:
        add_entry(str(clinic.worklist), entry(1))
        begun = clinic.start()
        one, two, three = clinic.exam("capture", stills=3)
        time.sleep(1)
        assert pacs.received() == []
        clinic.exam("review", uid=one["sop_instance_uid"], accept=True)
        pacs.wait_for_files(1)
        clinic.exam("review", uid=two["sop_instance_uid"], accept=False)
        shown = clinic.exam("show", id=begun["id"])
        assert len(shown["objects"]) == 2
        clinic.exam("finish")
        received = {str(dcmread(path).SOPInstanceUID) for path in pacs.wait_for_files(2)}
        assert received == {one["sop_instance_uid"], three["sop_instance_uid"]}
        until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
        (series,) = clinic.steps.said[1][2].PerformedSeriesSequence
        assert {
            each.ReferencedSOPInstanceUID for each in series.ReferencedImageSequence
        } == received


def test_two_orders_of_one_patient_are_one_step_of_two(clinic: Clinic) -> None:
    for number in (5, 6):
        add_entry(
            str(clinic.worklist),
            entry(number, PatientID="P5", PatientName="Group^Case", AccessionNumber="G"),
        )
    clinic.exam("start", keys={"AccessionNumber": "G"})
    until(lambda: clinic.steps.said, lambda: clinic.box.log)
    scheduled = clinic.steps.said[0][2].ScheduledStepAttributesSequence
    assert {each.ScheduledProcedureStepID for each in scheduled} == {"SPS5", "SPS6"}


def test_ris_and_archive_may_be_away_all_the_time(tmp_path: Path, start_peer: Any) -> None:
    port = free_port()
    clinic = Clinic(tmp_path, port)
    with clinic:
        add_entry(str(clinic.worklist), entry(1))
        clinic.box.ask("worklist", refresh=True)
        clinic.ris.kill()
        clinic.steps.stop()
        begun = clinic.start()
        clinic.exam("capture", stills=2)
        clinic.exam("finish")
        clinic.box.kill()
        clinic.box.start()
        clinic.steps.start()
        pacs = start_peer(DcmtkStoreScp(tmp_path / "pacs", port=port))
        pacs.wait_for_files(2)
        until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log, seconds=30)
        assert [what for what, _, _ in clinic.steps.said] == ["create", "set"]
        assert clinic.exam("show", id=begun["id"])["state"] == "COMPLETED"


def test_the_command_does_it_all(clinic: Clinic, pacs: Any) -> None:
    control = ("--control", clinic.box.control)
    begun = gantry("exam", "start", "AccessionNumber=A1", "--operator", "Nurse^A", *control)
    assert begun.returncode == 0, begun.output
    assert "IN PROGRESS" in begun.output
    captured = gantry("exam", "capture", "--stills", "2", *control)
    assert captured.output.count("1 frames") == 2, captured.output
    assert gantry("exam", "finish", *control).returncode == 0
    listed = gantry("exam", "list", *control)
    assert "COMPLETED" in listed.output
    number = json.loads(gantry("exam", "list", "--json", *control).output)["items"][0]["id"]
    shown = gantry("exam", "show", str(number), *control)
    assert "series 1" in shown.output
    pacs.wait_for_files(2)
    wrong = gantry("exam", "show", "one", *control)
    assert wrong.returncode == 2


def test_the_reasons_are_those_of_the_standard() -> None:
    known = {
        value: meaning
        for entry in concepts["DCM"].values()
        for value, (meaning, _) in entry.items()
    }
    for code, meaning in DISCONTINUATION_REASONS.items():
        assert known[code].lower() == meaning.lower()
