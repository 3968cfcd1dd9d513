"""The Reviewer's Import Integrator: lines RV-38 to RV-47, with RIS and archive of others."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, FileDataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.fileset import FileSet
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from agent.archive.worklist_store import add_entry
from agent.errors import GantryError
from tests.checklists.test_worklist_and_step_lines import REVIEWER_CREATES, REVIEWER_SETS
from tests.node.test_commitment import CommittingArchive
from tests.node.test_examination import Clinic, free_port
from tests.node.test_steps import until
from tests.node.test_worklist import entry
from tests.peers.dcmtk import DcmtkStoreScp

CT = "1.2.840.10008.5.1.4.1.1.2"
FOREIGN_STUDY = "1.2.826.0.1.3680043.9.9.1"
STEP = {"ScheduledProcedureStepID": "SPS1"}


def image(series: str, number: int, **more: Any) -> FileDataset:
    """A CT image as another hospital wrote it."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CT
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID, made.SOPInstanceUID = CT, meta.MediaStorageSOPInstanceUID
    made.PatientID, made.PatientName = "F-99", "Fremd^Frieda"
    made.PatientBirthDate, made.PatientSex = "19700101", "F"
    made.IssuerOfPatientID = "OTHER HOSPITAL"
    made.StudyInstanceUID, made.SeriesInstanceUID = FOREIGN_STUDY, series
    made.StudyDate, made.StudyTime, made.StudyID = "20250101", "120000", "7"
    made.AccessionNumber, made.StudyDescription = "OTHER-1", "Abdomen elsewhere"
    made.Modality, made.SeriesNumber, made.InstanceNumber = "CT", 1, number
    made.Rows = made.Columns = 16
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelRepresentation, made.SamplesPerPixel = 0, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = random.Random(number).randbytes(512)
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def medium(folder: Path, images: list[FileDataset]) -> Path:
    """A file-set with a DICOMDIR, written by pydicom."""
    made = FileSet()
    for each in images:
        made.add(each)
    made.write(folder)
    return folder


@pytest.fixture
def images() -> list[FileDataset]:
    series = [generate_uid(), generate_uid()]
    return [image(series[number % 2], number) for number in range(6)]


@pytest.fixture
def pacs(tmp_path: Path, start_peer: Any) -> Any:
    return start_peer(DcmtkStoreScp(tmp_path / "pacs"))


@pytest.fixture
def clinic(tmp_path: Path, pacs: Any) -> Iterator[Clinic]:
    with Clinic(tmp_path, pacs.port) as made:
        add_entry(str(made.worklist), entry(1))
        yield made


def begin(clinic: Clinic, root: Path, **how: Any) -> dict[str, Any]:
    (begun,) = clinic.box.ask("import-begin", root=str(root), **how)["items"]
    return dict(begun)


def imported(clinic: Clinic, number: int) -> dict[str, Any]:
    items = clinic.box.ask("import-list")["items"]
    return next(dict(each) for each in items if each["id"] == number)


def wait_until_over(clinic: Clinic, number: int, seconds: float = 30.0) -> dict[str, Any]:
    until(
        lambda: imported(clinic, number)["state"] != "IN PROGRESS",
        lambda: f"{imported(clinic, number)}\n{clinic.box.log[-3000:]}",
        seconds,
    )
    return imported(clinic, number)


def referenced(change: Dataset) -> set[str]:
    return {
        str(item.ReferencedSOPInstanceUID)
        for series in change.PerformedSeriesSequence
        for item in series.ReferencedImageSequence
    }


def uids_of(images: list[FileDataset]) -> set[str]:
    return {str(each.SOPInstanceUID) for each in images}


class Timeline(CommittingArchive):
    """An archive that notes what the RIS had been told when an object came."""

    told: Any = None

    def _store(self, event: Any) -> int:
        self.when = [*getattr(self, "when", []), [what for what, _, _ in self.told.said]]
        return super()._store(event)


def test_rv_38_the_step_is_begun_before_and_completed_after_the_objects(
    tmp_path: Path, images: list[FileDataset]
) -> None:
    archive = Timeline(free_port(), 0)
    with Clinic(tmp_path, archive.port) as clinic:
        archive.told = clinic.steps
        add_entry(str(clinic.worklist), entry(1))
        begun = begin(clinic, medium(tmp_path / "cd", images), entry=STEP)
        until(lambda: clinic.steps.said, lambda: clinic.box.log)
        archive.start()
        try:
            over = wait_until_over(clinic, begun["id"])
            until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
        finally:
            archive.stop()
        assert (over["state"], over["objects"], over["failed"]) == ("COMPLETED", 6, 0)
        assert archive.when == [["create"]] * 6
        (_, uid, created), (_, same, change) = clinic.steps.said
        assert uid == same == begun["step"]
        assert created.PerformedProcedureStepStatus == "IN PROGRESS"
        assert change.PerformedProcedureStepStatus == "COMPLETED"
        assert referenced(change) == uids_of(images) == set(archive.stored)
        assert len(archive.stored) == 6


def test_rv_38_an_import_that_is_given_up_ends_the_step_with_a_reason(
    tmp_path: Path, images: list[FileDataset]
) -> None:
    with Clinic(tmp_path, free_port()) as clinic:
        add_entry(str(clinic.worklist), entry(1))
        begun = begin(clinic, medium(tmp_path / "cd", images), entry=STEP)
        until(lambda: imported(clinic, begun["id"])["copied"], lambda: clinic.box.log)
        with pytest.raises(GantryError, match="no reason for a discontinuation"):
            clinic.box.ask("import-stop", id=begun["id"], reason="1")
        clinic.box.ask("import-stop", id=begun["id"], reason="110514")
        assert wait_until_over(clinic, begun["id"])["state"] == "DISCONTINUED"
        until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
        change = clinic.steps.said[1][2]
        assert change.PerformedProcedureStepStatus == "DISCONTINUED"
        (reason,) = change.PerformedProcedureStepDiscontinuationReasonCodeSequence
        assert (reason.CodeValue, reason.CodingSchemeDesignator) == ("110514", "DCM")
        assert referenced(change) == uids_of(images)
        with pytest.raises(GantryError, match="not in progress"):
            clinic.box.ask("import-stop", id=begun["id"])


def test_rv_39_the_messages_have_the_attributes_of_the_statement(
    clinic: Clinic, tmp_path: Path, images: list[FileDataset]
) -> None:
    begun = begin(clinic, medium(tmp_path / "cd", images), entry=STEP)
    wait_until_over(clinic, begun["id"])
    until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
    created, change = clinic.steps.said[0][2], clinic.steps.said[1][2]
    missing = [each for each in REVIEWER_CREATES if each not in created]
    assert not missing
    assert all(getattr(change, each) for each in REVIEWER_SETS)
    (scheduled,) = created.ScheduledStepAttributesSequence
    assert scheduled.AccessionNumber == "A1"
    assert scheduled.StudyInstanceUID == FOREIGN_STUDY
    assert created.Modality == "CT"


def test_rv_40_objects_carry_the_entry_and_remember_what_they_were(
    clinic: Clinic, pacs: Any, tmp_path: Path, images: list[FileDataset]
) -> None:
    earlier = Dataset()
    earlier.Manufacturer = "Elsewhere"
    earlier.PurposeOfReferenceCodeSequence = Sequence()
    images[0].ContributingEquipmentSequence = [earlier]
    begun = begin(clinic, medium(tmp_path / "cd", images), entry=STEP)
    wait_until_over(clinic, begun["id"])
    received = {
        str(each.SOPInstanceUID): each for each in map(dcmread, pacs.wait_for_files(len(images)))
    }
    for before in images:
        after = received[str(before.SOPInstanceUID)]
        assert (after.PatientID, str(after.PatientName)) == ("P1", "Müller^Jörg1")
        assert (after.PatientBirthDate, after.PatientSex) == ("19700101", "M")
        assert after.AccessionNumber == "A1"
        assert not after.IssuerOfPatientID
        assert after.RequestAttributesSequence[0].ScheduledProcedureStepID == "SPS1"
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "StudyDate", "InstanceNumber"):
            assert after[keyword] == before[keyword]
        assert after.PixelData == before.PixelData
        assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
        (changed,) = after.OriginalAttributesSequence
        assert changed.ReasonForTheAttributeModification == "COERCE"
        assert changed.ModifyingSystem and changed.AttributeModificationDateTime
        (old,) = changed.ModifiedAttributesSequence
        assert (old.PatientID, str(old.PatientName)) == ("F-99", "Fremd^Frieda")
        assert (old.AccessionNumber, old.IssuerOfPatientID) == ("OTHER-1", "OTHER HOSPITAL")
        assert "PatientBirthDate" not in old, "it did not change"
        assert after[0x04000600].value == "IMPORTED"
        *former, importer = after.ContributingEquipmentSequence
        assert importer.PurposeOfReferenceCodeSequence[0].CodeValue == "MEDIM"
        assert [each.Manufacturer for each in former] == (
            ["Elsewhere"] if before is images[0] else []
        )


def test_rv_41_nothing_is_stored_where_it_is_not_clear_whose_it_is(
    clinic: Clinic, tmp_path: Path, images: list[FileDataset]
) -> None:
    person = {"PatientID": "F-99", "PatientName": "Fremd^Frieda", "PatientSex": "F"}
    root = medium(tmp_path / "cd", images)
    clinic.box.ask("worklist", refresh=True)
    with pytest.raises(GantryError, match="no worklist entry is of the patient F-99"):
        begin(clinic, root, match=True)
    for number in (2, 3):
        add_entry(str(clinic.worklist), entry(number, **person))
    clinic.box.ask("worklist", refresh=True)
    with pytest.raises(GantryError, match="2 worklist entries are of this patient: SPS2, SPS3"):
        begin(clinic, root, match=True)
    with pytest.raises(GantryError, match="no worklist entry fits"):
        begin(clinic, root, entry={"ScheduledProcedureStepID": "SPS77"})
    assert clinic.box.ask("import-list")["items"] == []
    assert clinic.box.ask("studies")["items"] == []
    assert clinic.steps.said == []
    begun = begin(clinic, root, entry={"ScheduledProcedureStepID": "SPS3"}, operator="Op^One")
    assert wait_until_over(clinic, begun["id"])["accession_number"] == "A3"
    (noted,) = clinic.box.ask("corrections")["items"]
    assert (noted["action"], noted["who"], noted["uid"]) == ("import", "Op^One", FOREIGN_STUDY)


def test_rv_41_the_one_entry_of_the_mediums_patient_is_found(
    clinic: Clinic, tmp_path: Path, images: list[FileDataset]
) -> None:
    person = {"PatientID": "F-99", "PatientName": "FREMD^Frieda^", "PatientBirthDate": "19700101"}
    add_entry(str(clinic.worklist), entry(2, **person))
    other = {**person, "PatientName": "Somebody^Else"}
    add_entry(str(clinic.worklist), entry(3, **other))
    clinic.box.ask("worklist", refresh=True)
    begun = begin(clinic, medium(tmp_path / "cd", images), match=True)
    assert begun["accession_number"] == "A2"
    wait_until_over(clinic, begun["id"])


def test_rv_41_several_patients_are_not_taken_for_one(
    clinic: Clinic, tmp_path: Path, images: list[FileDataset]
) -> None:
    other = image(generate_uid(), 9, PatientID="G-1", StudyInstanceUID=generate_uid())
    root = medium(tmp_path / "cd", [*images, other])
    with pytest.raises(GantryError, match="studies of 2 patients: F-99 Fremd"):
        begin(clinic, root, entry=STEP)
    begun = begin(clinic, root, entry=STEP, patient_id="G-1")
    assert wait_until_over(clinic, begun["id"])["objects"] == 1


@pytest.mark.parametrize(
    ("charset", "description"),
    [
        ("ISO_IR 100", "Schädel außen"),
        ("ISO_IR 192", "頭部 Schädel"),
        (["ISO 2022 IR 100", "ISO 2022 IR 126"], "Schädel και κεφάλι"),
        (None, "Skull"),
    ],
)
def test_rv_42_text_stays_readable_whatever_the_character_set(
    clinic: Clinic, pacs: Any, tmp_path: Path, charset: Any, description: str
) -> None:
    foreign = image(generate_uid(), 1, SeriesDescription=description)
    if charset is not None:
        foreign.SpecificCharacterSet = charset
        foreign.PatientName = "Schäfer^Jörg"
    begun = begin(clinic, medium(tmp_path / "cd", [foreign]), entry=STEP)
    over = wait_until_over(clinic, begun["id"])
    assert over["failures"] == []
    (path,) = pacs.wait_for_files(1)
    after = dcmread(path)
    assert str(after.PatientName) == "Müller^Jörg1"
    assert after.SeriesDescription == description
    (old,) = after.OriginalAttributesSequence[0].ModifiedAttributesSequence
    assert str(old.PatientName) == ("Fremd^Frieda" if charset is None else "Schäfer^Jörg")


COMMITS = (
    'services = ["storage", "commitment"]\n[peer.commitment]\neach = "study"\ngather = "1 s"\n'
)


def committing(tmp_path: Path) -> tuple[Clinic, CommittingArchive]:
    archive = CommittingArchive(free_port(), 0)
    clinic = Clinic(tmp_path, archive.port)
    archive.caller = clinic.box.port
    text = clinic.box.configuration.read_text().replace(
        'calling = "any"\n',
        'calling = "any"\n[[entity.service]]\nname = "commitment"\nroles = ["scu", "scp"]\n',
    )
    head, tail = text.split('name = "PACS"\n', 1)
    tail = tail.replace("[peer.retry]", f"{COMMITS}[peer.retry]", 1)
    clinic.box.configuration.write_text(f'{head}name = "PACS"\n{tail}')
    return clinic, archive


def test_rv_43_commitment_is_asked_for_what_was_imported(
    tmp_path: Path, images: list[FileDataset]
) -> None:
    clinic, archive = committing(tmp_path)
    with clinic:
        archive.start()
        try:
            add_entry(str(clinic.worklist), entry(1))
            begun = begin(clinic, medium(tmp_path / "cd", images), entry=STEP)
            until(lambda: archive.asked, lambda: clinic.box.log)
            (asked,) = archive.asked
            uids = {str(each.ReferencedSOPInstanceUID) for each in asked.ReferencedSOPSequence}
            assert uids == uids_of(images)
            assert archive.report(asked) == 0
            until(lambda: not clinic.box.ask("queue")["items"], lambda: clinic.box.log)
            assert wait_until_over(clinic, begun["id"])["state"] == "COMPLETED"
        finally:
            archive.stop()


def test_rv_44_what_is_not_committed_is_stored_again(
    tmp_path: Path, images: list[FileDataset]
) -> None:
    clinic, archive = committing(tmp_path)
    lost = str(images[2].SOPInstanceUID)
    archive.lost = {lost}
    with clinic:
        archive.start()
        try:
            add_entry(str(clinic.worklist), entry(1))
            begin(clinic, medium(tmp_path / "cd", images), entry=STEP)
            until(lambda: archive.asked, lambda: clinic.box.log)
            assert archive.report(archive.asked[0]) == 0
            until(lambda: archive.stored.count(lost) == 2, lambda: clinic.box.log)
            assert len(archive.stored) == len(images) + 1
        finally:
            archive.stop()


def test_rv_45_an_import_goes_on_after_kill_9_and_every_object_comes_once(
    tmp_path: Path, pacs: Any, count: Any
) -> None:
    series = generate_uid()
    many = [image(series, number) for number in range(60)]
    chance = random.Random(45)
    with Clinic(tmp_path, pacs.port) as clinic:
        add_entry(str(clinic.worklist), entry(1))
        begun = begin(clinic, medium(tmp_path / "cd", many), entry=STEP)
        for _ in range(count(3, 100)):
            time.sleep(chance.uniform(0.05, 0.6))
            clinic.box.kill()
            clinic.box.start()
        over = wait_until_over(clinic, begun["id"], 60)
        until(lambda: len(clinic.steps.said) >= 2, lambda: clinic.box.log)
        assert over["objects"] == len(many)
        (study,) = clinic.box.ask("studies")["items"]
        assert study["instances"] == len(many)
        assert {str(dcmread(path).SOPInstanceUID) for path in pacs.received()} == uids_of(many)
        assert len({uid for _, uid, _ in clinic.steps.said}) == 1
        assert referenced(clinic.steps.said[-1][2]) == uids_of(many)


def test_rv_46_a_medium_that_is_pulled_is_named_and_the_import_goes_on_when_it_is_back(
    clinic: Clinic, tmp_path: Path
) -> None:
    series = generate_uid()
    many = [image(series, number) for number in range(150)]
    root = medium(tmp_path / "cd", many)
    begun = begin(clinic, root, entry=STEP)
    until(lambda: imported(clinic, begun["id"])["objects"] > 5, lambda: clinic.box.log)
    root.rename(tmp_path / "pulled")
    root.mkdir()
    until(lambda: imported(clinic, begun["id"])["waits"], lambda: clinic.box.log)
    waiting = imported(clinic, begun["id"])
    assert waiting["state"] == "IN PROGRESS" and not waiting["copied"]
    assert str(root) in waiting["waits"]
    # It is tried again meanwhile, and an empty folder is not taken for the end.
    until(lambda: "0 of 150 objects" in imported(clinic, begun["id"])["waits"])
    root.rmdir()
    (tmp_path / "pulled").rename(root)
    over = wait_until_over(clinic, begun["id"], 60)
    assert (over["state"], over["objects"], over["failed"]) == ("COMPLETED", 150, 0)
    assert over["waits"] == ""


def test_rv_47_with_archive_and_ris_away_an_import_is_finished_later_in_order(
    tmp_path: Path, images: list[FileDataset]
) -> None:
    archive = Timeline(free_port(), 0)
    clinic = Clinic(tmp_path, archive.port)
    with clinic:
        archive.told = clinic.steps
        add_entry(str(clinic.worklist), entry(1))
        clinic.steps.stop()
        begun = begin(clinic, medium(tmp_path / "cd", images), entry=STEP)
        until(lambda: imported(clinic, begun["id"])["copied"], lambda: clinic.box.log)
        clinic.box.kill()
        clinic.box.start()
        clinic.steps.start()
        until(lambda: clinic.steps.said, lambda: clinic.box.log)
        archive.start()
        try:
            wait_until_over(clinic, begun["id"])
            until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
        finally:
            archive.stop()
        assert archive.when == [["create"]] * 6
        assert [what for what, _, _ in clinic.steps.said] == ["create", "set"]


def test_objects_come_in_unchanged_where_that_is_wanted(
    clinic: Clinic, pacs: Any, tmp_path: Path, images: list[FileDataset]
) -> None:
    begun = begin(clinic, medium(tmp_path / "cd", images))
    assert wait_until_over(clinic, begun["id"])["step"] == ""
    received = {str(each.SOPInstanceUID): each for each in map(dcmread, pacs.wait_for_files(6))}
    for before in images:
        assert received[str(before.SOPInstanceUID)] == before
    assert clinic.steps.said == []


def test_damaged_files_are_named_and_the_rest_comes_in(
    clinic: Clinic, tmp_path: Path, images: list[FileDataset]
) -> None:
    root = medium(tmp_path / "cd", images)
    files = sorted(each for each in root.rglob("*") if each.is_file() and each.name != "DICOMDIR")
    files[0].write_bytes(files[0].read_bytes()[:300])
    files[1].unlink()
    # Its head is whole, some of its pixels are not there.
    files[2].write_bytes(files[2].read_bytes()[:-100])
    begun = begin(clinic, root, entry=STEP)
    over = wait_until_over(clinic, begun["id"])
    assert over["objects"] == 3, over
    assert {each["file"] for each in over["failures"]} == {
        str(each.relative_to(root)) for each in files[:3]
    }
    reasons = " ".join(each["reason"] for each in over["failures"])
    assert "100 bytes of the pixel data are missing" in reasons
