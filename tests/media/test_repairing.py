"""File-sets whose DICOMDIR is broken or missing get a new one; nothing else is touched."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.fileset import FileSet

from agent.errors import StorageError
from agent.media.checking import check
from agent.media.directory_writer import Creator
from agent.media.envelope import Envelope
from agent.media.repairing import repair
from tests.cli_of import gantry
from tests.media.instances import IMPLICIT, files_of, instance, mixture, save
from tests.media.secure_files import make_ring
from tests.media.test_reading import by_dcmmkdir
from tests.media.test_writing import judged, made, uids_by_pydicom, uids_read_by_us

CREATOR = Creator("1.2.826.0.1.3680043.9.9.100", "TEST", "WRITER")
ALL = sorted(str(each.SOPInstanceUID) for each in mixture())


@pytest.fixture
def a_set(tmp_path: Path) -> Path:
    made(tmp_path / "set", files_of(tmp_path / "in"), file_set_id="GANTRY_1")
    return tmp_path / "set"


def others(folder: Path) -> dict[str, bytes]:
    """All that is not the directory."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("DICOMDIR")
    }


def cut_short(folder: Path) -> None:
    os.truncate(folder / "DICOMDIR", 1500)


def no_dicom(folder: Path) -> None:
    (folder / "DICOMDIR").write_bytes(b"not at all" * 100)


def empty(folder: Path) -> None:
    (folder / "DICOMDIR").write_bytes(b"")


def wrong_links(folder: Path) -> None:
    whole = bytearray((folder / "DICOMDIR").read_bytes())
    at = 0
    while (at := whole.find(b"\x04\0\x20\x14UL\x04\0", at + 1)) > 0:
        whole[at + 8 : at + 12] = (0x12345).to_bytes(4, "little")
    (folder / "DICOMDIR").write_bytes(whole)


def flagged(folder: Path) -> None:
    whole = (folder / "DICOMDIR").read_bytes()
    flag = b"\x04\0\x12\x12US\2\0"
    (folder / "DICOMDIR").write_bytes(whole.replace(flag + b"\0\0", flag + b"\xff\xff"))


@pytest.mark.parametrize("damage", [cut_short, no_dicom, empty, wrong_links, flagged])
def test_a_broken_directory_is_made_anew_and_kept_aside(
    a_set: Path, damage: Callable[[Path], None]
) -> None:
    damage(a_set)
    broken, before = (a_set / "DICOMDIR").read_bytes(), others(a_set)
    done = repair(a_set, CREATOR)
    assert done.before and done.after == done.left_out == ()
    assert (done.referred, done.aside) == (9, "DICOMDIR.OLD")
    assert (a_set / "DICOMDIR.OLD").read_bytes() == broken
    assert others(a_set) == before
    judged(a_set)
    assert uids_by_pydicom(a_set) == uids_read_by_us(a_set) == ALL


def test_a_missing_directory_is_made_and_one_of_a_camera_in_small_letters(tmp_path: Path) -> None:
    """Some drivers show the names of FAT so; a File ID has capitals."""
    for number, each in enumerate(mixture()):
        save(each, tmp_path / "dcim" / f"im{number}")
    done = repair(tmp_path, CREATOR)
    assert [each.reason for each in done.before] == ["there is none"]
    assert (done.aside, done.after) == ("", ())
    first = pydicom.dcmread(tmp_path / "DICOMDIR").DirectoryRecordSequence[3]
    assert first.ReferencedFileID == ["DCIM", "IM0"]
    assert uids_read_by_us(tmp_path) == ALL


def test_what_is_right_stays_as_it_is(a_set: Path) -> None:
    before = (a_set / "DICOMDIR").read_bytes()
    assert repair(a_set, CREATOR).referred == 0
    assert (a_set / "DICOMDIR").read_bytes() == before
    assert {each.name for each in a_set.iterdir()} == {"DICOM", "DICOMDIR"}


def test_the_file_set_stays_the_same_one_where_that_can_be_read(a_set: Path) -> None:
    before = FileSet(a_set / "DICOMDIR")
    flagged(a_set)
    repair(a_set, CREATOR)
    after = FileSet(a_set / "DICOMDIR")
    assert (after.ID, after.UID) == (before.ID, before.UID) == ("GANTRY_1", before.UID)


def test_what_cannot_be_in_a_directory_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    files_of(tmp_path)
    by_dcmmkdir(tmp_path)
    save(instance(20), tmp_path / "DICOM" / "A.B")
    save(instance(1), tmp_path / "DICOM" / "TWICE")
    save(instance(21), tmp_path / "DICOM" / "OTHER", IMPLICIT)
    cut = save(instance(22), tmp_path / "DICOM" / "CUT")
    os.truncate(cut, cut.stat().st_size - 50)
    (tmp_path / "DICOMDIR").unlink()
    before = others(tmp_path)
    done = repair(tmp_path, CREATOR)
    reasons = {each.file: each.reason for each in done.left_out}
    assert set(reasons) == {"DICOM/A.B", "DICOM/TWICE", "DICOM/CUT"}
    assert "other characters" in reasons["DICOM/A.B"]
    assert "same SOP Instance UID" in reasons["DICOM/TWICE"]
    assert "not whole" in reasons["DICOM/CUT"]
    assert done.referred == 10
    assert others(tmp_path) == before


def test_repaired_twice_both_old_directories_stay(a_set: Path) -> None:
    for name in ("DICOMDIR.OLD", "DICOMDIR.000"):
        no_dicom(a_set)
        assert repair(a_set, CREATOR).aside == name
    assert uids_read_by_us(a_set) == ALL


def test_a_medium_that_is_read_only_is_refused() -> None:
    with pytest.raises(StorageError, match="cannot be written to: it is read-only"):
        repair(Path("/sys/kernel"), CREATOR)


def test_a_folder_without_objects_stays_without_a_directory(tmp_path: Path) -> None:
    (tmp_path / "LETTER.TXT").write_text("no object")
    with pytest.raises(StorageError, match="no file that a directory could lead to"):
        repair(tmp_path, CREATOR)
    assert [each.name for each in tmp_path.iterdir()] == ["LETTER.TXT"]


def test_a_secure_file_set_is_refused(tmp_path: Path) -> None:
    envelope = Envelope(make_ring(tmp_path).protection())
    path = save(instance(1), tmp_path / "source")
    made(tmp_path / "set", [path], "STD-GEN-SEC-CD", envelope=envelope)
    before = (tmp_path / "set" / "DICOMDIR").read_bytes()
    with pytest.raises(StorageError, match="Secure DICOM file"):
        repair(tmp_path / "set", CREATOR)
    assert (tmp_path / "set" / "DICOMDIR").read_bytes() == before


@pytest.mark.parametrize("step", ["replace", "open"])
def test_whatever_goes_wrong_the_old_directory_stays(
    a_set: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    cut_short(a_set)
    before = (a_set / "DICOMDIR").read_bytes()
    real = os.open

    def fails(path: object, *more: int, **named: int) -> int:
        if step == "replace" or str(path).endswith("DICOMDIR.NEW"):
            raise OSError(28, "No space left on device", str(path))
        return real(path, *more, **named)  # type: ignore[arg-type, call-overload, no-any-return]

    if step == "open":
        monkeypatch.setattr(os, "open", fails)
    else:
        monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(StorageError, match="No space left"):
        repair(a_set, CREATOR)
    monkeypatch.undo()
    assert (a_set / "DICOMDIR").read_bytes() == before
    assert not (a_set / "DICOMDIR.NEW").exists()
    assert repair(a_set, CREATOR).referred == 9


def test_any_damage_ends_in_a_directory_without_fault(a_set: Path) -> None:
    chance = random.Random(5)
    whole = (a_set / "DICOMDIR").read_bytes()
    for _ in range(12):
        broken = bytearray(whole)
        for _ in range(chance.randrange(1, 30)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        (a_set / "DICOMDIR").write_bytes(broken[: chance.randrange(200, len(broken))])
        assert repair(a_set, CREATOR).after == ()
        assert list(check(a_set)) == []
        assert uids_read_by_us(a_set) == ALL


def test_the_command_says_what_was_wrong_and_what_it_did(a_set: Path) -> None:
    cut_short(a_set)
    said = gantry("media", "repair", a_set).check().output
    assert "was: DICOMDIR: " in said
    assert "a new DICOMDIR leads to 9 files; the old one is DICOMDIR.OLD" in said
    assert "nothing was done" in gantry("media", "repair", a_set).check().output
    no_dicom(a_set)
    found = json.loads(gantry("media", "repair", "--json", a_set).check().output)
    assert (found["referred"], found["after"], found["aside"]) == (9, [], "DICOMDIR.000")
