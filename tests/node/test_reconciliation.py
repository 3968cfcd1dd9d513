"""An emergency gets its worklist entry afterwards: objects, deliveries, records; and what stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from agent.archive.worklist_store import add_entry
from agent.errors import GantryError
from tests.cli_of import gantry
from tests.node.running import free_port
from tests.node.test_examination import Clinic
from tests.node.test_steps import until
from tests.node.test_worklist import entry
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.dicom3tools import dciodvfy

UNKNOWN = {"PatientName": "Unknown^One", "PatientID": "E1", "PatientBirthDate": "19000101"}


@pytest.fixture
def pacs(tmp_path: Path, start_peer: Any) -> Any:
    return start_peer(DcmtkStoreScp(tmp_path / "pacs"))


@pytest.fixture
def clinic(tmp_path: Path, pacs: Any) -> Iterator[Clinic]:
    with Clinic(tmp_path, pacs.port) as made:
        add_entry(str(made.worklist), entry(1, ReferringPhysicianName="Ref^Erred"))
        yield made


def emergency(clinic: Clinic, stills: int = 2) -> Any:
    begun = clinic.exam("start", emergency=True, keys=UNKNOWN)
    clinic.exam("capture", stills=stills)
    clinic.exam("finish")
    return begun


def delivered(clinic: Clinic) -> None:
    until(lambda: not clinic.box.ask("queue")["items"], lambda: clinic.box.log)


def stored(clinic: Clinic) -> list[Dataset]:
    return [dcmread(path) for path in clinic.box.objects()]


def test_the_objects_get_the_entry_are_sent_again_and_remember_who_they_were(
    clinic: Clinic, pacs: Any
) -> None:
    begun = emergency(clinic)
    pacs.wait_for_files(2)
    delivered(clinic)
    before = {each.SOPInstanceUID: each for each in stored(clinic)}
    for path in pacs.received():
        path.unlink()
    said = clinic.exam("reconcile", id=begun["id"], keys={"AccessionNumber": "A1"})
    assert (said["objects"], said["again"]) == (2, {"PACS": 2})
    assert said["replaced_study_instance_uid"] == begun["study_instance_uid"]
    received = pacs.wait_for_files(2)
    delivered(clinic)
    for path in [*received, *clinic.box.objects()]:
        made = dcmread(path)
        made.decode()
        old = before[made.SOPInstanceUID]
        assert (str(made.PatientName), made.PatientID) == ("Müller^Jörg1", "P1")
        assert (made.PatientBirthDate, made.PatientSex) == ("19700101", "M")
        assert (made.AccessionNumber, made.StudyID) == ("A1", "RP1")
        assert made.StudyInstanceUID == "1.2.826.0.1.3680043.9.6.1"
        assert (made.StudyDescription, made.ReferringPhysicianName) == ("Ultrasound", "Ref^Erred")
        (request,) = made.RequestAttributesSequence
        assert request.ScheduledProcedureStepID == "SPS1"
        assert request.ScheduledProtocolCodeSequence[0].CodeMeaning == "Abdomen, whole"
        for same in ("SeriesInstanceUID", "StudyDate", "PerformedProcedureStepID", "PixelData"):
            assert made[same] == old[same]
        same = "ReferencedPerformedProcedureStepSequence"
        assert made[same] == old[same]
        (original,) = made.OriginalAttributesSequence
        assert original.ReasonForTheAttributeModification == "CORRECT"
        assert original.SourceOfPreviousValues == "exam"
        (was,) = original.ModifiedAttributesSequence
        assert (str(was.PatientName), was.PatientID) == ("Unknown^One", "E1")
        assert was.StudyInstanceUID == begun["study_instance_uid"]
        assert "RequestAttributesSequence" not in old
        # Laterality is asked for whatever the body part is (tests/objects/wrong_errors.py).
        assert [line for line in dciodvfy(path) if "Laterality" not in line] == []
    (correction,) = clinic.box.ask("corrections")["items"]
    assert (correction["action"], correction["instances"]) == ("reconcile", 2)
    assert begun["study_instance_uid"] in correction["detail"]


def test_the_step_that_was_completed_is_not_changed_and_the_next_one_is_scheduled(
    clinic: Clinic, pacs: Any
) -> None:
    begun = emergency(clinic, 1)
    pacs.wait_for_files(1)
    until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
    clinic.exam("reconcile", id=begun["id"], keys={"PatientID": "P1"})
    delivered(clinic)
    shown = clinic.exam("show", id=begun["id"])
    assert (shown["patient_id"], shown["accession_number"]) == ("P1", "A1")
    assert shown["study_instance_uid"] == "1.2.826.0.1.3680043.9.6.1"
    assert shown["former_study_instance_uid"] == begun["study_instance_uid"]
    assert shown["reconciled"] and len(shown["objects"]) == 1
    assert len(clinic.steps.said) == 2
    clinic.exam("append", id=begun["id"])
    clinic.exam("capture")
    clinic.exam("finish")
    until(lambda: len(clinic.steps.said) == 4, lambda: clinic.box.log)
    step = clinic.steps.said[2][2]
    assert step.ScheduledStepAttributesSequence[0].ScheduledProcedureStepID == "SPS1"
    assert {each.StudyInstanceUID for each in stored(clinic)} == {"1.2.826.0.1.3680043.9.6.1"}
    (study,) = clinic.box.ask("studies")["items"]
    assert (study["patient_id"], study["instances"]) == ("P1", 2)


def test_what_still_waits_is_sent_once_and_only_as_it_is_now(
    tmp_path: Path, start_peer: Any
) -> None:
    port = free_port()
    with Clinic(tmp_path, port) as clinic:
        add_entry(str(clinic.worklist), entry(1))
        begun = emergency(clinic)
        said = clinic.exam("reconcile", id=begun["id"], keys={"ScheduledProcedureStepID": "SPS1"})
        assert (said["objects"], said["again"]) == (2, {})
        pacs = start_peer(DcmtkStoreScp(tmp_path / "pacs", port=port))
        received = pacs.wait_for_files(2)
        delivered(clinic)
        assert {dcmread(path).PatientID for path in received} == {"P1"}
        assert "2 objects" not in clinic.box.log


def test_the_wrong_entry_can_be_put_right_and_the_record_of_it_is_whole(
    clinic: Clinic, pacs: Any
) -> None:
    add_entry(str(clinic.worklist), entry(2))
    begun = emergency(clinic, 1)
    pacs.wait_for_files(1)
    delivered(clinic)
    for number in (2, 1):
        clinic.exam("reconcile", id=begun["id"], keys={"AccessionNumber": f"A{number}"})
        delivered(clinic)
    (made,) = stored(clinic)
    made.decode()
    first, second = made.OriginalAttributesSequence
    assert first.ModifiedAttributesSequence[0].PatientID == "E1"
    was = second.ModifiedAttributesSequence[0]
    assert (was.PatientID, was.StudyInstanceUID) == ("P2", "1.2.826.0.1.3680043.9.6.2")
    assert was.RequestAttributesSequence[0].ScheduledProcedureStepID == "SPS2"
    assert made.RequestAttributesSequence[0].ScheduledProcedureStepID == "SPS1"
    shown = clinic.exam("show", id=begun["id"])
    assert shown["former_study_instance_uid"] == begun["study_instance_uid"]


def test_what_goes_on_was_scheduled_or_fits_nothing_is_refused_and_stays(
    clinic: Clinic, pacs: Any
) -> None:
    keys = {"AccessionNumber": "A1"}
    with pytest.raises(GantryError, match="there is no examination 9"):
        clinic.exam("reconcile", id=9, keys=keys)
    begun = clinic.exam("start", emergency=True, keys=UNKNOWN)
    with pytest.raises(GantryError, match="is in progress"):
        clinic.exam("reconcile", id=begun["id"], keys=keys)
    clinic.exam("capture")
    clinic.exam("finish")
    with pytest.raises(GantryError, match="no worklist entry fits"):
        clinic.exam("reconcile", id=begun["id"], keys={"AccessionNumber": "A7"})
    with pytest.raises(GantryError, match="not said which"):
        clinic.exam("reconcile", id=begun["id"])
    scheduled = clinic.start()
    clinic.exam("finish")
    with pytest.raises(GantryError, match="was done for a worklist entry"):
        clinic.exam("reconcile", id=scheduled["id"], keys=keys)
    (made,) = stored(clinic)
    assert made.PatientID == "E1"
    assert "OriginalAttributesSequence" not in made


def test_text_that_the_objects_cannot_hold_changes_nothing_at_all(
    tmp_path: Path, pacs: Any
) -> None:
    made = Clinic(tmp_path, pacs.port)
    text = made.box.configuration.read_text()
    made.box.configuration.write_text(
        text.replace('manufacturer = "ACME"', 'manufacturer = "ACME"\ncharacter_set = "ISO_IR 100"')
    )
    with made as clinic:
        greek = entry(1, PatientName="Διονυσιος", SpecificCharacterSet="ISO_IR 126")
        add_entry(str(clinic.worklist), greek)
        begun = emergency(clinic)
        pacs.wait_for_files(2)
        delivered(clinic)
        with pytest.raises(GantryError, match="no code for"):
            clinic.exam("reconcile", id=begun["id"], keys={"AccessionNumber": "A1"})
        assert [each.PatientID for each in stored(clinic)] == ["E1", "E1"]
        assert clinic.exam("show", id=begun["id"])["scheduled"] is False
        assert clinic.box.ask("queue")["items"] == []


def test_the_command_says_what_is_left_to_do(clinic: Clinic, pacs: Any) -> None:
    begun = emergency(clinic, 1)
    pacs.wait_for_files(1)
    delivered(clinic)
    control = ("--control", clinic.box.control)
    done = gantry("exam", "reconcile", str(begun["id"]), "--entry", "SPS1", *control)
    assert done.returncode == 0, done.output
    assert "reconciled" in done.output
    assert "1 objects changed" in done.output
    assert "1 sent again to PACS, which has them as Unknown^One" in done.output
    assert begun["study_instance_uid"] in done.output
    wrong = gantry("exam", "reconcile", "AccessionNumber=A1", *control)
    assert wrong.returncode == 2
