"""The File-set Reader against file-sets that others made, whole and broken."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.fileset import FileSet

from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import encode_attributes
from agent.errors import StorageError
from agent.media.application_profiles import profile_of
from agent.media.directory_writer import (
    Creator,
    DirectoryTree,
    head_of_directory,
    identification,
)
from agent.media.file_set import FileSetWriter
from agent.media.found import Damage, FoundInstance
from agent.media.reading import found_in, walk
from agent.media.record_building import SYNTAX, reference_to
from tests.media.instances import CT, EXPLICIT, IMPLICIT, files_of, instance, save
from tests.peers.programs import program, run

Made = Callable[[Path], None]
NOBODY = 65534


def by_dcmmkdir(folder: Path) -> None:
    """General purpose CD; the files are in place already."""
    run(
        [program("dcmtk", "dcmmkdir"), "-Pgp", "+r", "+id", folder, "+D", folder / "DICOMDIR"]
    ).check()


def by_gdcmgendir(folder: Path) -> None:
    tool = program("libgdcm-tools", "gdcmgendir")
    run([tool, "-r", folder, folder / "DICOMDIR"], folder=folder).check()


def by_pydicom(folder: Path) -> None:
    """pydicom names the files itself."""
    files = FileSet()
    for path in sorted(folder.rglob("IM*")):
        files.add(path)
    files.write(folder / "set")
    shutil.rmtree(folder / "DICOM")
    for path in (folder / "set").iterdir():
        path.rename(folder / path.name)
    (folder / "set").rmdir()


def split(found: list[FoundInstance | Damage]) -> tuple[list[FoundInstance], list[Damage]]:
    """Instances in the order of their UIDs; damage."""
    instances = [each for each in found if isinstance(each, FoundInstance)]
    damage = [each for each in found if isinstance(each, Damage)]
    return sorted(instances, key=lambda each: each.sop_instance_uid), damage


@pytest.fixture
def a_set(tmp_path: Path) -> Path:
    files_of(tmp_path)
    by_dcmmkdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("make", [by_dcmmkdir, by_gdcmgendir, by_pydicom])
@pytest.mark.parametrize("open_files", [True, False])
def test_file_sets_of_others_are_read_whole(tmp_path: Path, make: Made, open_files: bool) -> None:
    files_of(tmp_path)
    make(tmp_path)
    found, damage = split(list(found_in(tmp_path, open_files=open_files)))
    assert damage == []
    expected = FileSet(tmp_path / "DICOMDIR")
    assert [each.sop_instance_uid for each in found] == sorted(
        str(each.SOPInstanceUID) for each in expected
    )
    for each in found:
        there = pydicom.dcmread(tmp_path / each.file)
        assert each.sop_instance_uid == there.SOPInstanceUID
        assert each.sop_class_uid == there.SOPClassUID
        assert each.transfer_syntax_uid == EXPLICIT
        assert each.keys["PatientID"] == there.PatientID
        assert each.keys["StudyInstanceUID"] == there.StudyInstanceUID
        assert each.keys["SeriesInstanceUID"] == there.SeriesInstanceUID
        assert each.keys["InstanceNumber"] == str(there.InstanceNumber)
        assert each.keys["PatientName"] == "Müller^Jürgen"
        assert each.keys["StudyDate"] == "20260102"


@pytest.mark.parametrize(
    "name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-reordered"]
)
def test_the_sample_directories_of_pydicom_are_read(tmp_path: Path, name: str) -> None:
    samples = Path(str(get_testdata_file("dicomdirtests/DICOMDIR"))).parent
    for folder in samples.iterdir():
        if folder.is_dir() and folder.name != "TINY_ALPHA":
            shutil.copytree(folder, tmp_path / folder.name)
    shutil.copy(samples / name, tmp_path / "DICOMDIR")
    found, damage = split(list(found_in(tmp_path)))
    assert [each for each in damage if each.file == "DICOMDIR"] == []
    there = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert {tmp_path / each.file for each in found} == there - {tmp_path / "DICOMDIR"}


def test_only_what_the_directory_names_belongs_to_the_file_set(a_set: Path) -> None:
    save(instance(99), a_set / "DICOM" / "IM000099")
    assert len(split(list(found_in(a_set)))[0]) == 9
    assert len(split(list(walk(a_set)))[0]) == 10


@pytest.mark.parametrize("rename", [str.lower, lambda name: f"{name}.;1", lambda name: f"{name}."])
def test_names_are_found_as_drivers_of_discs_show_them(
    a_set: Path, rename: Callable[[str], str]
) -> None:
    for path in [*a_set.rglob("IM*"), a_set / "DICOMDIR"]:
        path.rename(path.with_name(rename(path.name)))
    (a_set / "DICOM").rename(a_set / "dicom")
    found, damage = split(list(found_in(a_set)))
    assert len(found) == 9
    assert damage == []


def test_an_empty_file_set_is_one(tmp_path: Path) -> None:
    FileSet().write(tmp_path)
    assert (tmp_path / "DICOMDIR").is_file()
    save(instance(1), tmp_path / "STRAY")
    assert list(found_in(tmp_path)) == []


def test_without_a_directory_the_folders_are_walked(tmp_path: Path) -> None:
    files_of(tmp_path)
    (tmp_path / "README.TXT").write_text("Insert the disc and wait.\n" * 20)
    (tmp_path / "VIEWER.EXE").write_bytes(b"MZ" + bytes(500))
    (tmp_path / "EMPTY").write_bytes(b"")
    (tmp_path / "AUTORUN.INF").write_text("[autorun]\nopen=VIEWER.EXE\n")
    found, damage = split(list(found_in(tmp_path)))
    assert len(found) == 9
    assert damage == []
    assert found[0].keys["PatientBirthDate"] == "19700203"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        list(found_in(tmp_path / "nowhere"))


def patched(directory: Path, record: str, tag: tuple[int, int], value: int) -> None:
    """Write another number into an element of the first record of this kind (explicit VR)."""
    data = bytearray(directory.read_bytes())
    kind = data.index(struct.pack("<HH2sH", 4, 0x1430, b"CS", len(record)) + record.encode())
    start = data.rindex(struct.pack("<HH2sH", *tag, b"UL", 4), 0, kind) + 8
    data[start : start + 4] = struct.pack("<I", value)
    directory.write_bytes(data)


NEXT, LOWER = (4, 0x1400), (4, 0x1420)


@pytest.mark.parametrize("where", [0, 1, 5_000_000, 0xFFFFFFFE])
@pytest.mark.parametrize(
    ("record", "tag"), [("PATIENT ", NEXT), ("SERIES", LOWER), ("STUDY ", NEXT)]
)
def test_an_offset_that_points_nowhere_is_named_and_nothing_lost(
    a_set: Path, where: int, record: str, tag: tuple[int, int]
) -> None:
    patched(a_set / "DICOMDIR", record, tag, where)
    found, damage = split(list(found_in(a_set)))
    if where:
        assert [each.file for each in damage] == ["DICOMDIR"]
        assert len(found) == 9
    else:
        # Nothing says that there was more: a shorter file-set is all that can be seen.
        assert damage == []


def test_a_directory_that_goes_in_circles_ends(a_set: Path) -> None:
    data = (a_set / "DICOMDIR").read_bytes()
    first = struct.unpack_from("<I", data, data.index(struct.pack("<HH", 4, 0x1200)) + 8)[0]
    patched(a_set / "DICOMDIR", "SERIES", LOWER, first)
    patched(a_set / "DICOMDIR", "PATIENT ", NEXT, first)
    found, damage = split(list(found_in(a_set)))
    assert {each.file for each in damage} == {"DICOMDIR"}
    assert "twice" in damage[0].reason
    assert len({each.file for each in found}) == len(found) == 9


@pytest.mark.parametrize("kept", [0, 50, 200, 400, 900, 2000, 3000])
def test_a_directory_that_is_cut_off_loses_nothing(a_set: Path, kept: int) -> None:
    os.truncate(a_set / "DICOMDIR", kept)
    found, damage = split(list(found_in(a_set)))
    assert len({each.file for each in found}) == len(found) == 9
    assert {each.file for each in damage} == {"DICOMDIR"}


def test_each_broken_file_is_named_and_the_others_are_found(a_set: Path) -> None:
    files = sorted((a_set / "DICOM").iterdir())
    files[0].unlink()
    save(instance(77), files[1])
    files[2].write_bytes(files[2].read_bytes()[132:])
    os.truncate(files[3], 200)
    files[4].write_bytes(b"no DICOM at all" * 20)
    os.truncate(files[8], files[8].stat().st_size - 100)
    found, damage = split(list(found_in(a_set)))
    reasons = {each.file: each.reason for each in damage}
    assert reasons["DICOM/IM000001"].endswith("is not there")
    assert "77" in reasons["DICOM/IM000002"]
    assert "preamble" in reasons["DICOM/IM000003"]
    assert set(reasons) == {f"DICOM/IM00000{number}" for number in (1, 2, 3, 4, 5, 9)}
    assert "100 bytes of the pixel data are missing" in reasons["DICOM/IM000009"]
    numbers = {each.sop_instance_uid.rpartition(".")[2] for each in found}
    assert numbers == {"77", "3", "6", "7", "8", "9"}


def test_files_without_preamble_or_meta_are_found_by_walking(tmp_path: Path) -> None:
    files = files_of(tmp_path, syntax=IMPLICIT)
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[132:])
    data_set = whole.index(b"\x08\0\x05\0")
    files[1].write_bytes(files[1].read_bytes()[data_set:])
    os.truncate(files[2], 300)
    found, damage = split(list(found_in(tmp_path)))
    assert {each.file for each in damage} == {f"DICOM/IM00000{number}" for number in (1, 2, 3)}
    assert len(found) == 8
    assert {each.transfer_syntax_uid for each in found} == {IMPLICIT}


def test_nothing_outside_the_root_is_read(tmp_path: Path) -> None:
    inside = tmp_path / "medium"
    secret = save(instance(50), tmp_path / "SECRET")
    files = files_of(inside)
    by_dcmmkdir(inside)
    files[0].unlink()
    files[0].symlink_to(secret)
    data = (inside / "DICOMDIR").read_bytes()
    assert data.count(b"DICOM\\IM000002") == 1
    (inside / "DICOMDIR").write_bytes(data.replace(b"DICOM\\IM000002", b"..\\SECRET     "))
    found, damage = split(list(found_in(inside)))
    assert len(found) == 7
    assert len(damage) == 2
    assert all(each.reason.endswith("is not there") for each in damage)
    assert not any(each.sop_instance_uid.endswith(".50") for each in found)
    (inside / "DICOMDIR").unlink()
    assert not any(
        each.sop_instance_uid.endswith(".50") for each in split(list(found_in(inside)))[0]
    )


def test_unknown_and_private_records_are_skipped_and_what_is_below_them_found(
    a_set: Path,
) -> None:
    data = (a_set / "DICOMDIR").read_bytes()
    changed = data.replace(b"STUDY ", b"STUDIE", 1).replace(b"WAVEFORM", b"PRIVATE ", 1)
    (a_set / "DICOMDIR").write_bytes(changed)
    found, damage = split(list(found_in(a_set)))
    assert damage == []
    assert len(found) == 8
    assert all(each.keys["PatientID"] for each in found)


def test_records_that_are_not_in_use_are_left_out(a_set: Path) -> None:
    data = bytearray((a_set / "DICOMDIR").read_bytes())
    waveform = data.index(b"WAVEFORM")
    start = data.rindex(struct.pack("<HH2sH", 4, 0x1410, b"US", 2), 0, waveform) + 8
    data[start : start + 2] = b"\0\0"
    (a_set / "DICOMDIR").write_bytes(data)
    found, damage = split(list(found_in(a_set)))
    assert damage == []
    assert len(found) == 8
    assert CT in {each.sop_class_uid for each in found}


def test_directories_of_other_file_sets_are_no_instances(tmp_path: Path) -> None:
    files_of(tmp_path / "ONE")
    by_dcmmkdir(tmp_path / "ONE")
    shutil.copy(tmp_path / "ONE" / "DICOMDIR", tmp_path / "ONE" / "DICOMDIR.NEW")
    found, damage = split(list(found_in(tmp_path)))
    assert len(found) == 9
    assert damage == []


def test_the_study_key_of_old_directories_is_understood(a_set: Path) -> None:
    data = (a_set / "DICOMDIR").read_bytes()
    uid = str(instance(1).StudyInstanceUID).encode()
    uid += b"\0" * (len(uid) % 2)
    new_key = struct.pack("<HH2sH", 0x20, 0xD, b"UI", len(uid)) + uid
    old_key = struct.pack("<HH2sH", 4, 0x1511, b"UI", len(uid)) + uid
    at = data.index(b"STUDY ") + 6
    start = data.index(new_key)
    changed = data[:at] + old_key + data[at:start] + data[start + len(new_key) :]
    assert len(changed) == len(data)
    (a_set / "DICOMDIR").write_bytes(changed)
    found, damage = split(list(found_in(a_set, open_files=False)))
    assert damage == []
    assert found[0].keys["StudyInstanceUID"] == instance(1).StudyInstanceUID


def test_a_multi_referenced_file_is_found(tmp_path: Path) -> None:
    save(instance(1), tmp_path / "IM1")
    tree = DirectoryTree()
    uids = (CT, str(instance(1).SOPInstanceUID), EXPLICIT)
    for kind, parent in (("PATIENT", 0), ("STUDY", 1), ("SERIES", 2)):
        tree.add(parent, encode_attributes(Attributes(DirectoryRecordType=kind), SYNTAX))
    image = Attributes(DirectoryRecordType="IMAGE", InstanceNumber="1")
    image.set(0x00041504, 0, vr="UL")
    tree.add(3, encode_attributes(image, SYNTAX))
    target = reference_to("IM1", *uids)
    target.set("DirectoryRecordType", "MRDR")
    tree.add(0, encode_attributes(target, SYNTAX))
    parts: list[bytes] = []
    tree.write(parts.append, head_of_directory(Creator("1.2.3"), "1.2.3.4"), identification(""))
    tree.close()
    data = bytearray(b"".join(parts))
    reference = data.index(struct.pack("<HH2sH", 4, 0x1504, b"UL", 4)) + 8
    start = data.rindex(b"\xfe\xff\x00\xe0", 0, data.index(b"MRDR"))
    data[reference : reference + 4] = struct.pack("<I", start)
    (tmp_path / "DICOMDIR").write_bytes(data)
    found, damage = split(list(found_in(tmp_path)))
    assert damage == []
    assert [each.file for each in found] == ["IM1"]
    before = (tmp_path / "DICOMDIR").read_bytes()
    with pytest.raises(StorageError, match="Multi-Referenced"):
        FileSetWriter(tmp_path, profile_of("STD-GEN-CD"), Creator("1.2.3"), update=True)
    assert (tmp_path / "DICOMDIR").read_bytes() == before


def test_reading_a_large_directory_takes_next_to_no_memory(tmp_path: Path) -> None:
    tree = DirectoryTree()
    node = 0
    for kind in ("PATIENT", "STUDY", "SERIES"):
        node = tree.add(node, encode_attributes(Attributes(DirectoryRecordType=kind), SYNTAX))
    for number in range(20_000):
        leaf = reference_to(f"DICOM\\I{number:07}", CT, f"1.2.3.{number}", EXPLICIT)
        leaf.set("DirectoryRecordType", "IMAGE")
        tree.add(node, encode_attributes(leaf, SYNTAX))
    with (tmp_path / "DICOMDIR").open("wb") as out:
        tree.write(out.write, head_of_directory(Creator("1.2.3"), "1.2.3.4"), identification(""))
    tree.close()
    tracemalloc.start()
    missing = sum(isinstance(each, Damage) for each in found_in(tmp_path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert missing == 20_000
    assert peak < 1 << 19


def test_a_scratched_disc_loses_nothing_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(tmp_path)
    save(instance(30), tmp_path / "OTHER" / "IM1")
    scratched = files[2].stat().st_ino
    real_pread, real_scandir = os.pread, os.scandir

    def pread(descriptor: int, length: int, position: int) -> bytes:
        if os.fstat(descriptor).st_ino == scratched:
            raise OSError(5, "Input/output error")
        return real_pread(descriptor, length, position)

    def scandir(path: Path) -> object:
        if str(path).endswith("OTHER"):
            raise OSError(5, "Input/output error")
        return real_scandir(path)

    monkeypatch.setattr("os.pread", pread)
    monkeypatch.setattr("os.scandir", scandir)
    found, damage = split(list(found_in(tmp_path)))
    assert len(found) == 8
    assert {each.file for each in damage} == {"DICOM/IM000003", "OTHER"}
    assert all("Input/output error" in each.reason for each in damage)


def test_a_file_is_named_once_when_links_are_broken_too(a_set: Path) -> None:
    (a_set / "DICOM" / "IM000001").write_bytes(bytes(128) + b"DICM" + b"nothing" * 9)
    patched(a_set / "DICOMDIR", "PATIENT ", NEXT, 77)
    found, damage = split(list(found_in(a_set)))
    assert len(found) == 8
    assert sorted(each.file for each in damage) == ["DICOM/IM000001", "DICOMDIR"]


@contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """Nobody may look into a folder: as root we are somebody else meanwhile."""
    folder.chmod(0)
    if is_root := os.geteuid() == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_folder_that_cannot_be_read_is_not_told_as_missing_files() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        files_of(root)
        by_dcmmkdir(root)
        count = len(list(found_in(root)))
        (only,) = [each for each in root.iterdir() if each.is_dir()]
        with forbidden(only):
            found, damage = split(list(found_in(root)))
        assert not found
        assert len(damage) == count
        assert all(each.reason.endswith("cannot be read: Permission denied.") for each in damage)
        with forbidden(root), pytest.raises(StorageError, match="cannot be read"):
            list(found_in(root))
