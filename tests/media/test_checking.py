"""`gantry media` as a person uses it: list, check, create, update."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.media.checking import check
from tests.cli_of import gantry
from tests.media.instances import IMPLICIT, files_of, instance, save
from tests.media.test_reading import by_dcmmkdir, by_gdcmgendir, by_pydicom
from tests.media.test_writing import judged, made, uids_by_pydicom


@pytest.fixture
def a_set(tmp_path: Path) -> Path:
    made(tmp_path / "set", files_of(tmp_path / "in"))
    return tmp_path / "set"


def faults(folder: Path) -> list[str]:
    return [f"{each.file}: {each.reason}" for each in check(folder)]


def test_nothing_is_said_against_what_we_write(a_set: Path) -> None:
    assert faults(a_set) == []


@pytest.mark.parametrize("make", [by_dcmmkdir, by_pydicom])
def test_nothing_is_said_against_good_file_sets_of_others(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    files_of(tmp_path)
    make(tmp_path)
    assert faults(tmp_path) == []


def test_gdcmgendir_is_told_what_it_leaves_out(tmp_path: Path) -> None:
    files_of(tmp_path)
    by_gdcmgendir(tmp_path)
    assert all(each.startswith("DICOMDIR: ") for each in faults(tmp_path))


PATIENT_2 = b"\x10\0\x20\0LO\2\0P2"
CHANGES: tuple[tuple[bytes, bytes, str], ...] = (
    (b"\x04\0\x12\x12US\2\0\0\0", b"\x04\0\x12\x12US\2\0\xff\xff", "Consistency"),
    (b"E0000001\\I0000001", b"e0000001\\I0000001", "File ID"),
    (b"WAVEFORM", b"FLUTTERS", "no type of the standard"),
    (b"PRESENTATION", b"REGISTRATION", "needs a PRESENTATION record"),
    (PATIENT_2, PATIENT_2[:-1] + b"1", "has the PatientID of"),
    (PATIENT_2, PATIENT_2[:-2] + b"  ", "PatientID is empty"),
    (PATIENT_2, PATIENT_2.replace(b" ", b"!"), "has no PatientID"),
    (b"\x04\0\x10\x15UI", b"\x04\0\x0e\x15UI", "Referenced SOP Class UID"),
    (b"1.2.840.10008.1.3.10", b"1.2.840.10008.1.3.11", "its class is"),
)


@pytest.mark.parametrize(("old", "new", "said"), CHANGES)
def test_each_fault_of_a_directory_is_told(a_set: Path, old: bytes, new: bytes, said: str) -> None:
    path = a_set / "DICOMDIR"
    whole = path.read_bytes()
    assert old in whole
    path.write_bytes(whole.replace(old, new, 1))
    assert any(said in each for each in faults(a_set)), faults(a_set)


def test_a_wrong_last_offset_is_told(a_set: Path) -> None:
    data = bytearray((a_set / "DICOMDIR").read_bytes())
    at = data.index(struct.pack("<HH2sH", 4, 0x1202, b"UL", 4)) + 8
    data[at : at + 4] = b"\1\0\0\0"
    (a_set / "DICOMDIR").write_bytes(data)
    assert any("Offset of the Last Directory Record" in each for each in faults(a_set))


def test_check_tells_and_says_so_in_its_status(a_set: Path) -> None:
    assert "no fault" in gantry("media", "check", a_set).check().output
    gone = next(iter(sorted((a_set / "DICOM").rglob("I*"))))
    gone.unlink()
    done = gantry("media", "check", a_set)
    assert done.returncode == 1
    assert "is not there" in done.output
    lines = gantry("media", "check", "--json", a_set).output.splitlines()
    assert {"file", "reason", "clause"} == set(json.loads(lines[0]))
    assert gantry("media", "check", a_set / "nowhere").returncode == 1


def test_list_shows_the_tree_without_opening_a_file(a_set: Path) -> None:
    for path in (a_set / "DICOM").rglob("I*"):
        path.write_bytes(b"")
    said = gantry("media", "list", a_set).check().output
    assert "P1  Müller^Jürgen  6 instances" in said
    assert "2 instances" in said
    lines = gantry("media", "list", "--json", a_set).check().output.splitlines()
    trees = [json.loads(line) for line in lines]
    assert [each["PatientID"] for each in trees] == ["P1", "P2"]
    assert [len(each["studies"]) for each in trees] == [2, 1]
    assert sum(each["instances"] for each in trees) == 9
    assert trees[0]["studies"][0]["series"][0]["Modality"] == "CT"


def test_list_does_without_a_directory_and_names_a_broken_one(a_set: Path) -> None:
    whole = gantry("media", "list", "--json", a_set).check().output
    os.truncate(a_set / "DICOMDIR", 700)
    done = gantry("media", "list", a_set / "DICOMDIR")
    assert done.returncode == 1
    assert "DICOMDIR:" in done.output
    (a_set / "DICOMDIR").unlink()
    again = gantry("media", "list", "--json", a_set).check().output
    counts = [
        sorted(
            (each["PatientID"], each["instances"]) for each in map(json.loads, text.splitlines())
        )
        for text in (whole, again)
    ]
    assert counts[0] == counts[1]


def test_create_and_update_write_file_sets_and_name_what_they_refuse(tmp_path: Path) -> None:
    files_of(tmp_path / "in")
    (tmp_path / "in" / "README.TXT").write_text("no object " * 30)
    save(instance(70), tmp_path / "in" / "IMPLICIT", IMPLICIT)
    folder = tmp_path / "set"
    done = gantry("media", "create", folder, tmp_path / "in", "--id", "DISC_1")
    assert done.returncode == 1
    assert "9 added, 0 deleted, 2 refused, 0 there already" in done.output
    assert "STD-GEN-CD wants Explicit VR Little Endian" in done.output
    judged(folder)
    assert len(uids_by_pydicom(folder)) == 9
    again = gantry("media", "create", folder, tmp_path / "in")
    assert again.returncode == 2
    assert "already" in again.output
    shutil.rmtree(tmp_path / "in")
    new = save(instance(71), tmp_path / "NEW")
    uid = str(instance(1).SOPInstanceUID)
    gantry("media", "update", folder, new, "--delete", uid, "--json").check()
    judged(folder)
    assert len(uids_by_pydicom(folder)) == 9
    assert uid not in uids_by_pydicom(folder)


@pytest.mark.parametrize(
    "words",
    [
        ["create"],
        ["create", "x"],
        ["create", "x", "y", "--profile", "STD-GEN-TAPE"],
        ["create", "x", "y", "--delete", "1.2"],
        ["list", "x", "y"],
        ["shred", "x"],
    ],
)
def test_wrong_words_are_wrong_usage(tmp_path: Path, words: list[str]) -> None:
    assert gantry("media", *words).returncode == 2
    assert not (tmp_path / "x").exists()


def test_profiles_are_listed() -> None:
    said = gantry("media", "profiles").check().output
    assert "STD-GEN-USB-JPEG" in said
    assert "STD-XA1K-DVD" in said
    assert "STD-DVD-SEC-MPEG2-MPML" in said
