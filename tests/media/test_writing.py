"""What we write, judged by programs of others: DCMTK, dicom3tools, GDCM and pydicom."""

from __future__ import annotations

import re
import shutil
import tracemalloc
from pathlib import Path

import pydicom
import pytest
from pydicom.fileset import FileSet

from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import encode_attributes
from agent.errors import ConfigurationError, LocalError, StorageError
from agent.media.application_profiles import PROFILES, profile_of
from agent.media.directory_writer import (
    ROOT_ENTITY,
    Creator,
    DirectoryTree,
    head_of_directory,
    identification,
)
from agent.media.extra_keys import MX8000
from agent.media.file_ids import fault_of
from agent.media.file_set import FileSetWriter
from agent.media.found import FoundInstance
from agent.media.reading import found_in
from agent.media.record_building import SYNTAX, reference_to
from tests.media.instances import (
    BASIC_TEXT,
    BIG_ENDIAN,
    CT,
    EXPLICIT,
    IMPLICIT,
    MR,
    SC,
    files_of,
    instance,
    mixture,
    save,
)
from tests.peers.dcmtk import dcmtk_program
from tests.peers.programs import program, run

CREATOR = Creator("1.2.826.0.1.3680043.9.9.100", "TEST", "WRITER")


def made(folder: Path, files: list[Path], profile: str = "STD-GEN-CD", **more: object) -> list[str]:
    """A new file-set of these files; their File IDs."""
    with FileSetWriter(folder, profile_of(profile), CREATOR, **more) as writer:  # type: ignore[arg-type]
        ids = [writer.add(path) for path in files]
        writer.finish()
    return ids


def uids_read_by_us(folder: Path) -> list[str]:
    """All SOP Instance UIDs of a file-set without damage."""
    found = list(found_in(folder))
    assert all(isinstance(each, FoundInstance) for each in found), found
    return sorted(each.sop_instance_uid for each in found if isinstance(each, FoundInstance))


def uids_by_pydicom(folder: Path) -> list[str]:
    """The same, as pydicom reads them."""
    return sorted(str(each.SOPInstanceUID) for each in FileSet(folder / "DICOMDIR"))


def judged(folder: Path) -> None:
    """Every judge reads the directory, and none has an error to tell."""
    directory = folder / "DICOMDIR"
    dump = run([dcmtk_program("dcmdump"), "+E", directory]).check().output
    assert not re.search(r"^[EW]:", dump, re.MULTILINE), dump
    verdict = run([program("dicom3tools", "dciodvfy"), directory]).output
    assert "BasicDirectory" in verdict
    assert not re.search(r"^Error", verdict, re.MULTILINE), verdict
    tree = run([program("dicom3tools", "dcdirdmp"), directory]).check().output
    assert "Error" not in tree, tree
    run([program("libgdcm-tools", "gdcmdump"), directory]).check()


@pytest.fixture
def a_set(tmp_path: Path) -> Path:
    made(tmp_path / "set", files_of(tmp_path / "in"), file_set_id="GANTRY_1")
    return tmp_path / "set"


def test_every_judge_reads_what_we_write(a_set: Path) -> None:
    judged(a_set)
    expected = sorted(str(each.SOPInstanceUID) for each in mixture())
    assert uids_by_pydicom(a_set) == uids_read_by_us(a_set) == expected
    read = FileSet(a_set / "DICOMDIR")
    assert read.ID == "GANTRY_1"
    directory = pydicom.dcmread(a_set / "DICOMDIR")
    assert directory.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.1.3.10"
    assert directory.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert directory.file_meta.SourceApplicationEntityTitle == "WRITER"
    assert directory.FileSetConsistencyFlag == 0


def test_dcmmkdir_makes_the_same_directory_of_the_same_files(a_set: Path) -> None:
    ours = pydicom.dcmread(a_set / "DICOMDIR")
    run(
        [dcmtk_program("dcmmkdir"), "-Pgp", "+id", a_set, "+r", "+D", a_set / "THEIRS", "DICOM"]
    ).check()
    theirs = pydicom.dcmread(a_set / "THEIRS")
    # Offsets differ, and dcmmkdir names a character set where all is ASCII, too.
    offsets = {0x00041400, 0x00041410, 0x00041420, 0x00080005}

    def plain(directory: pydicom.Dataset) -> list[list[str]]:
        return sorted(
            [str(each) for each in record if each.tag not in offsets]
            for record in directory.DirectoryRecordSequence
        )

    ours_plain, theirs_plain = plain(ours), plain(theirs)
    assert len(ours_plain) == len(theirs_plain) == 2 + 3 + 8 + 9
    for mine, other in zip(ours_plain, theirs_plain, strict=True):
        assert set(other) <= set(mine), (mine, other)


def test_file_ids_are_those_of_part_10(a_set: Path) -> None:
    for each in pydicom.dcmread(a_set / "DICOMDIR").DirectoryRecordSequence:
        if "ReferencedFileID" in each:
            assert fault_of("\\".join(each.ReferencedFileID)) == ""
            assert a_set.joinpath(*each.ReferencedFileID).is_file()


@pytest.mark.parametrize(
    "wrong", ["", "a", "DICOM\\im1", "A\\B\\C\\D\\E\\F\\G\\H\\I", "LONGNAME9", "A B", "A.DCM", "Ä"]
)
def test_wrong_file_ids_are_told(wrong: str) -> None:
    assert fault_of(wrong)


def test_copies_are_the_files_themselves(tmp_path: Path) -> None:
    files = files_of(tmp_path / "in")
    for path, file_id in zip(files, made(tmp_path / "set", files), strict=True):
        copy = tmp_path.joinpath("set", *file_id.split("\\"))
        assert copy.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("profile", ["STD-CTMR-CD", "STD-CTMR-DVD-RAM"])
def test_ct_and_mr_have_their_keys_and_others_no_room(tmp_path: Path, profile: str) -> None:
    files = [
        save(instance(number, sop_class), tmp_path / f"IM{number}")
        for number, sop_class in enumerate((CT, MR, SC), start=1)
    ]
    made(tmp_path / "set", files, profile)
    judged(tmp_path / "set")
    theirs = tmp_path / "THEIRS"
    run(
        [dcmtk_program("dcmmkdir"), "-Pcm", "+id", tmp_path / "set", "+r", "+D", theirs, "DICOM"]
    ).check()
    records = [
        each
        for each in pydicom.dcmread(tmp_path / "set" / "DICOMDIR").DirectoryRecordSequence
        if each.DirectoryRecordType == "IMAGE"
    ]
    assert len(records) == 3
    for each in records:
        assert (each.Rows, each.Columns, each.PixelSpacing) == (8, 8, [0.5, 0.5])
        assert each.ImagePositionPatient == [0, 0, 1]
        assert len(each.ImageOrientationPatient) == 6
    with FileSetWriter(tmp_path / "other", profile_of(profile), CREATOR) as writer:
        with pytest.raises(StorageError, match="has no room"):
            writer.add(save(instance(4, BASIC_TEXT), tmp_path / "SR"))
        with pytest.raises(StorageError, match="wants Explicit VR Little Endian"):
            writer.add(save(instance(5), tmp_path / "IMPLICIT", IMPLICIT))


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN])
def test_keys_are_turned_into_the_syntax_of_the_directory(
    tmp_path: Path, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.media.file_set.check", lambda *_: None)
    made(tmp_path / "set", files_of(tmp_path / "in", syntax=syntax))
    judged(tmp_path / "set")
    (report,) = [
        each
        for each in pydicom.dcmread(tmp_path / "set" / "DICOMDIR").DirectoryRecordSequence
        if each.DirectoryRecordType == "SR DOCUMENT"
    ]
    assert report.ConceptNameCodeSequence[0].CodeMeaning == "Radiology Report"
    assert len(report.ContentSequence) == 1
    assert report.ContentSequence[0].RelationshipType == "HAS CONCEPT MOD"


def test_what_is_missing_in_an_object_has_a_stand_in(tmp_path: Path) -> None:
    poor = instance(
        1, PatientID=None, StudyDate=None, StudyTime="", StudyID="", SeriesNumber=None,
        InstanceNumber=None, AccessionNumber=None,
    )  # fmt: skip
    second = instance(2, PatientID="", StudyID="")
    made(tmp_path / "set", [save(poor, tmp_path / "A"), save(second, tmp_path / "B")])
    judged(tmp_path / "set")
    records = pydicom.dcmread(tmp_path / "set" / "DICOMDIR").DirectoryRecordSequence
    assert [each.DirectoryRecordType for each in records] == [
        "PATIENT", "STUDY", "SERIES", "IMAGE", "IMAGE"
    ]  # fmt: skip
    assert records[0].PatientID.startswith("NOID-")
    assert (records[1].StudyDate, records[1].StudyTime) == ("20260102", "030406")
    assert records[1].StudyID == "1"
    assert [each.InstanceNumber for each in records[3:]] == [1, 2]


def test_a_file_with_a_wrong_head_gets_a_right_one(tmp_path: Path) -> None:
    path = save(instance(1), tmp_path / "A")
    whole = path.read_bytes()
    path.write_bytes(whole[132:])
    (file_id,) = made(tmp_path / "set", [path])
    copy = tmp_path.joinpath("set", *file_id.split("\\"))
    read = pydicom.dcmread(copy)
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID
    assert read.file_meta.MediaStorageSOPClassUID == CT
    data_set = whole.index(b"\x08\0\x05\0CS")
    assert copy.read_bytes().endswith(whole[data_set:])
    judged(tmp_path / "set")


@pytest.mark.parametrize("preamble", [b"MZ", b"#!/bin/sh\n", b"<html>", b"\0" * 60 + b"\x7fELF"])
def test_a_file_with_another_formats_preamble_is_passed_on_without_it(
    tmp_path: Path, preamble: bytes
) -> None:
    """CVE-2019-11687: a file that is a program too."""
    path = save(instance(1), tmp_path / "A")
    whole = path.read_bytes()
    path.write_bytes(preamble.ljust(128, b"x") + whole[128:])
    (file_id,) = made(tmp_path / "set", [path])
    copy = tmp_path.joinpath("set", *file_id.split("\\")).read_bytes()
    assert copy[:132] == bytes(128) + b"DICM"
    assert copy.endswith(whole[whole.index(b"\x08\0\x05\0CS") :])


def test_a_file_that_is_a_tiff_file_too_stays_one(tmp_path: Path) -> None:
    path = save(instance(1), tmp_path / "A")
    path.write_bytes(b"II*\0\x10\0\0\0".ljust(128, b"\0") + path.read_bytes()[128:])
    (file_id,) = made(tmp_path / "set", [path])
    assert tmp_path.joinpath("set", *file_id.split("\\")).read_bytes() == path.read_bytes()


def test_an_instance_that_comes_twice_is_there_once(tmp_path: Path) -> None:
    path = save(instance(1), tmp_path / "A")
    assert made(tmp_path / "set", [path, path])[1] == ""
    assert len(uids_read_by_us(tmp_path / "set")) == 1


def test_a_study_of_two_patients_is_refused(tmp_path: Path) -> None:
    first, second = instance(1), instance(2, PatientID="P9")
    with FileSetWriter(tmp_path / "set", profile_of("STD-GEN-CD"), CREATOR) as writer:
        writer.add(save(first, tmp_path / "A"))
        with pytest.raises(StorageError, match="another Patient ID"):
            writer.add(save(second, tmp_path / "B"))
        writer.finish()
    judged(tmp_path / "set")


def test_what_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    text = instance(5, BASIC_TEXT)
    del text.ConceptNameCodeSequence
    (tmp_path / "TEXT").write_text("no object" * 30)
    with FileSetWriter(tmp_path / "set", profile_of("STD-GEN-CD"), CREATOR) as writer:
        with pytest.raises(StorageError, match="ConceptNameCodeSequence"):
            writer.add(save(text, tmp_path / "A"))
        for wrong in (tmp_path / "TEXT", tmp_path / "nowhere"):
            with pytest.raises(StorageError):
                writer.add(wrong)
        writer.add(save(instance(1), tmp_path / "B"))
        writer.finish()
    assert len(uids_read_by_us(tmp_path / "set")) == 1
    assert len([each for each in (tmp_path / "set").rglob("*") if each.is_file()]) == 2
    assert len(pydicom.dcmread(tmp_path / "set" / "DICOMDIR").DirectoryRecordSequence) == 4


def test_an_empty_file_set_can_be_made(tmp_path: Path) -> None:
    made(tmp_path / "set", [])
    judged(tmp_path / "set")
    assert list(found_in(tmp_path / "set")) == []
    assert len(FileSet(tmp_path / "set" / "DICOMDIR")) == 0


def test_wrong_wishes_are_refused(tmp_path: Path) -> None:
    made(tmp_path / "set", [])
    with pytest.raises(LocalError, match="already"):
        made(tmp_path / "set", [])
    with pytest.raises(LocalError, match="File-set ID"):
        made(tmp_path / "other", [], file_set_id="my set")
    with pytest.raises(ConfigurationError, match="no application profile"):
        profile_of("STD-GEN-TAPE")
    assert profile_of("std-gen-usb-jpeg") is PROFILES["STD-GEN-USB-JPEG"]


def test_character_sets_go_with_their_records(tmp_path: Path) -> None:
    names = {
        "ISO_IR 100": "Müller^Jürgen",
        "ISO_IR 192": "Ōe^Kenzaburō=大江^健三郎",
        "ISO_IR 144": "Люкceмбypг",
        "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎",
        "": "Plain^Name",
    }
    files = []
    for number, (charset, name) in enumerate(names.items(), start=1):
        each = instance(number, patient=f"P{number}")
        each.SpecificCharacterSet = charset.split("\\") if "\\" in charset else charset
        each.PatientName = name
        files.append(save(each, tmp_path / f"IM{number}"))
    made(tmp_path / "set", files)
    records = pydicom.dcmread(tmp_path / "set" / "DICOMDIR").DirectoryRecordSequence
    read = [str(each.PatientName) for each in records if each.DirectoryRecordType == "PATIENT"]
    assert read == list(names.values())
    ours = [each for each in found_in(tmp_path / "set") if isinstance(each, FoundInstance)]
    assert [each.keys["PatientName"] for each in ours] == list(names.values())


def test_the_keys_of_a_product_come_on_top(tmp_path: Path) -> None:
    files = [save(instance(number), tmp_path / f"IM{number}") for number in (1, 2, 3)]
    made(tmp_path / "set", files, "STD-CTMR-CD", extra_keys=MX8000)
    judged(tmp_path / "set")
    _, study, series, *images = pydicom.dcmread(
        tmp_path / "set" / "DICOMDIR"
    ).DirectoryRecordSequence
    assert (study.NumberOfStudyRelatedSeries, study.NumberOfStudyRelatedInstances) == (1, 3)
    assert series.NumberOfSeriesRelatedInstances == 3
    assert study.private_block(0x07A1, "ELSCINT1")[0x01].value == 1
    assert series.private_block(0x07A1, "ELSCINT1")[0x02].value == 3
    assert [each.SOPInstanceUID for each in images] == uids_by_pydicom(tmp_path / "set")
    shutil.copytree(tmp_path / "set", tmp_path / "again")
    assert len(uids_read_by_us(tmp_path / "again")) == 3


def test_an_object_that_is_cut_off_or_lies_about_its_syntax_is_refused(tmp_path: Path) -> None:
    short = save(instance(1), tmp_path / "A")
    short.write_bytes(short.read_bytes()[:-20])
    lying = save(instance(2), tmp_path / "B", IMPLICIT)
    data = lying.read_bytes()
    old, new = b"UI\x12\x001.2.840.10008.1.2\0", b"UI\x14\x001.2.840.10008.1.2.1\0"
    assert data.count(old) == 1
    at = data.index(b"\x02\0\0\0UL\4\0") + 8
    length = int.from_bytes(data[at : at + 4], "little") + 2
    lying.write_bytes((data[:at] + length.to_bytes(4, "little") + data[at + 4 :]).replace(old, new))
    with FileSetWriter(tmp_path / "set", profile_of("STD-GEN-CD"), CREATOR) as writer:
        with pytest.raises(StorageError, match="not whole"):
            writer.add(short)
        with pytest.raises(StorageError, match="wants Explicit VR Little Endian"):
            writer.add(lying)


def test_a_file_set_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    files = files_of(tmp_path / "in")
    with FileSetWriter(tmp_path / "set", profile_of("STD-GEN-CD"), CREATOR) as writer:
        for path in files:
            writer.add(path)
    assert [each for each in (tmp_path / "set").rglob("*") if each.is_file()] == []
    made(tmp_path / "set", files[:3])
    before = uids_read_by_us(tmp_path / "set")
    with FileSetWriter(tmp_path / "set", profile_of("STD-GEN-CD"), CREATOR, update=True) as writer:
        for path in files[3:]:
            writer.add(path)
    assert uids_read_by_us(tmp_path / "set") == before
    assert len([each for each in (tmp_path / "set").rglob("I*") if each.is_file()]) == 3


def test_the_uid_of_a_file_set_stays_through_updates(tmp_path: Path) -> None:
    made(tmp_path / "set", [save(instance(1), tmp_path / "A")])
    uid = pydicom.dcmread(tmp_path / "set" / "DICOMDIR").file_meta.MediaStorageSOPInstanceUID
    with FileSetWriter(tmp_path / "set", profile_of("STD-GEN-CD"), CREATOR, update=True) as writer:
        writer.add(save(instance(2), tmp_path / "B"))
        writer.finish()
    again = pydicom.dcmread(tmp_path / "set" / "DICOMDIR").file_meta.MediaStorageSOPInstanceUID
    assert uid == again


def test_a_full_medium_is_told_and_what_was_written_before_stays_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int, __: bytes) -> None:
        raise OSError(28, "No space left on device")

    folder = tmp_path / "set"
    made(folder, [save(instance(1), tmp_path / "A")])
    with FileSetWriter(folder, profile_of("STD-GEN-CD"), CREATOR, update=True) as writer:
        writer.add(save(instance(2), tmp_path / "B"))
        with monkeypatch.context() as patch:
            patch.setattr("agent.media.file_copying.write_whole", full)
            with pytest.raises(StorageError, match="No space left"):
                writer.add(save(instance(3), tmp_path / "C"))
        with monkeypatch.context() as patch:
            patch.setattr("agent.media.file_set.write_whole", full)
            with pytest.raises(StorageError, match="No space left"):
                writer.finish()
        assert not (folder / "DICOMDIR.NEW").exists()
        assert len(uids_read_by_us(folder)) == 1
        writer.finish()
    assert len(uids_read_by_us(folder)) == 2
    assert len([each for each in folder.rglob("I*") if each.is_file()]) == 2
    judged(folder)


def test_a_large_directory_is_written_in_little_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    tree = DirectoryTree(tmp_path)
    node = ROOT_ENTITY
    for kind in ("PATIENT", "STUDY", "SERIES"):
        node = tree.add(node, encode_attributes(Attributes(DirectoryRecordType=kind), SYNTAX))
    for number in range(20_000):
        leaf = reference_to(f"DICOM\\I{number:07}", CT, f"1.2.3.{number}", EXPLICIT)
        leaf.set("DirectoryRecordType", "IMAGE")
        tree.add(node, encode_attributes(leaf, SYNTAX))
    with (tmp_path / "DICOMDIR").open("wb") as out:
        tree.write(out.write, head_of_directory(CREATOR, "1.2.3.4"), identification(""))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    tree.close()
    assert (tmp_path / "DICOMDIR").stat().st_size > 3 << 20
    assert peak < 2 << 20
    dump = run([dcmtk_program("dcmdump"), "-q", tmp_path / "DICOMDIR"]).check().output
    assert dump.count("[IMAGE]") == 20_000
