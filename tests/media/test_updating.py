"""The File-set Updater: ours on the sets of others, theirs on ours, and power cuts in between."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pydicom
import pytest
from pydicom.fileset import FileSet

from agent.errors import LocalError, StorageError
from agent.media.application_profiles import profile_of
from agent.media.extra_keys import MX8000
from agent.media.file_set import FileSetWriter
from tests.media.instances import CT, MR, files_of, instance, save
from tests.media.test_reading import by_dcmmkdir, by_gdcmgendir, by_pydicom
from tests.media.test_writing import CREATOR, judged, made, uids_by_pydicom, uids_read_by_us
from tests.peers.dcmtk import dcmtk_program
from tests.peers.programs import run

CD = profile_of("STD-GEN-CD")


def update(folder: Path, add: list[Path], without: frozenset[str] = frozenset()) -> None:
    with FileSetWriter(folder, CD, CREATOR, update=True, without=without) as writer:
        for path in add:
            assert writer.add(path)
        writer.finish()


@pytest.fixture
def new_files(tmp_path: Path) -> list[Path]:
    """One in a series that is there, one in a new series, one of a new patient."""
    return [
        save(instance(21), tmp_path / "new" / "A"),
        save(instance(22, series=9), tmp_path / "new" / "B"),
        save(instance(23, patient="P3"), tmp_path / "new" / "C"),
    ]


@pytest.mark.parametrize("make", ["ours", by_dcmmkdir, by_gdcmgendir, by_pydicom])
def test_adding_and_deleting_keeps_all_else(
    tmp_path: Path, make: object, new_files: list[Path]
) -> None:
    folder = tmp_path / "set"
    if callable(make):
        files_of(folder)
        make(folder)
    else:
        made(folder, files_of(tmp_path / "in"))
    before = uids_by_pydicom(folder)
    gone = [before[0], before[4]]
    update(folder, new_files, frozenset(gone))
    expected = sorted({*before, *(str(instance(n).SOPInstanceUID) for n in (21, 22, 23))} - {*gone})
    assert uids_read_by_us(folder) == uids_by_pydicom(folder) == expected
    if make is not by_gdcmgendir:
        judged(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == len(expected) + 1
    records = pydicom.dcmread(folder / "DICOMDIR").DirectoryRecordSequence
    assert len([each for each in records if each.DirectoryRecordType == "PATIENT"]) == 3
    names = [each.get("StudyInstanceUID") for each in records if "StudyInstanceUID" in each]
    assert len(names) == len(set(names))


def test_what_has_lost_all_below_it_goes_too(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    made(folder, files_of(tmp_path / "in"))
    second = {str(instance(number).SOPInstanceUID) for number in (7, 8, 9)}
    update(folder, [], frozenset(second))
    judged(folder)
    records = pydicom.dcmread(folder / "DICOMDIR").DirectoryRecordSequence
    assert [each.PatientID for each in records if "PatientID" in each] == ["P1"]
    update(folder, [], frozenset(uids_read_by_us(folder)))
    judged(folder)
    assert "DirectoryRecordSequence" in pydicom.dcmread(folder / "DICOMDIR")
    assert len(FileSet(folder / "DICOMDIR")) == 0


def test_dcmmkdir_updates_our_file_set(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    made(folder, files_of(tmp_path / "in"))
    save(instance(31, MR, series=7), folder / "NEW" / "IM1")
    run([dcmtk_program("dcmmkdir"), "+A", "+D", "DICOMDIR", "NEW/IM1"], folder=folder).check()
    assert len(uids_read_by_us(folder)) == 10


def test_icons_private_keys_and_records_of_others_are_kept(
    tmp_path: Path, new_files: list[Path]
) -> None:
    folder = tmp_path / "set"
    files_of(folder)
    (folder / "README").write_text("Read me.")
    path = folder / "DICOMDIR"
    tool = dcmtk_program("dcmmkdir")
    run([tool, "-Pgp", "+r", "+X", "+R", "README", "+D", path, "DICOM"], folder=folder).check()
    # A private record in the place of one that is there, of the same length.
    data = path.read_bytes()
    assert data.count(b"WAVEFORM") == 1
    path.write_bytes(data.replace(b"WAVEFORM", b"PRIVATE "))
    before = {
        str(each.get("ReferencedSOPInstanceUIDInFile")): each
        for each in pydicom.dcmread(path).DirectoryRecordSequence
    }
    update(folder, new_files, frozenset({str(instance(2).SOPInstanceUID)}))
    directory = pydicom.dcmread(path)
    assert directory.FileSetDescriptorFileID == "README"
    kept = 0
    for each in directory.DirectoryRecordSequence:
        old = before.get(str(each.get("ReferencedSOPInstanceUIDInFile")))
        if old is None or "ReferencedFileID" not in each:
            continue
        kept += 1
        for record in (old, each):
            del record.OffsetOfTheNextDirectoryRecord
            del record.OffsetOfReferencedLowerLevelDirectoryEntity
        assert old == each
    assert kept == 8
    kinds = [each.DirectoryRecordType for each in directory.DirectoryRecordSequence]
    assert kinds.count("PRIVATE") == 1
    assert any("IconImageSequence" in each for each in directory.DirectoryRecordSequence)


def test_counts_are_put_right(tmp_path: Path) -> None:
    files = [save(instance(number), tmp_path / f"IM{number}") for number in (1, 2, 3)]
    folder = tmp_path / "set"
    made(folder, files, extra_keys=MX8000)
    first = frozenset({str(instance(1).SOPInstanceUID)})
    update(folder, [save(instance(4, series=2), tmp_path / "N")], first)
    _, study, series, *_ = pydicom.dcmread(folder / "DICOMDIR").DirectoryRecordSequence
    assert (study.NumberOfStudyRelatedSeries, study.NumberOfStudyRelatedInstances) == (2, 3)
    assert series.private_block(0x07A1, "ELSCINT1")[0x02].value == 2
    judged(folder)


def untouched(folder: Path, match: str) -> None:
    """An update is refused, and the directory is as it was, to the byte."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(StorageError, match=match):
        FileSetWriter(folder, CD, CREATOR, update=True)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def without_directory_information(folder: Path) -> None:
    """A DICOMDIR with the File-set Identification Module alone."""
    directory = pydicom.dcmread(folder / "DICOMDIR")
    for keyword in (
        "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity",
        "OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity",
        "FileSetConsistencyFlag",
        "DirectoryRecordSequence",
    ):
        delattr(directory, keyword)
    pydicom.dcmwrite(folder / "DICOMDIR", directory)


def test_what_cannot_be_updated_is_left_untouched(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    with pytest.raises(StorageError, match="no DICOMDIR"):
        FileSetWriter(tmp_path, CD, CREATOR, update=True)
    made(folder, files_of(tmp_path / "in"))
    whole = (folder / "DICOMDIR").read_bytes()
    os.truncate(folder / "DICOMDIR", 1500)
    untouched(folder, "not updated")
    at = whole.index(struct.pack("<HH2sH", 4, 0x1420, b"UL", 4)) + 8
    broken = whole[:at] + struct.pack("<I", 77) + whole[at + 4 :]
    (folder / "DICOMDIR").write_bytes(broken)
    untouched(folder, "no Directory Record")
    (folder / "DICOMDIR").write_bytes(whole)
    without_directory_information(folder)
    untouched(folder, "no Directory Information Module")


def test_a_profile_without_updater_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "set", [], "STD-GEN-DVD-JPEG")
    with pytest.raises(LocalError, match="Updater"):
        FileSetWriter(tmp_path / "set", profile_of("STD-GEN-DVD-JPEG"), CREATOR, update=True)


class _PowerCut(BaseException):
    """Nothing catches it."""


STEPS = (
    "os.open",
    "os.write",
    "os.fsync",
    "os.close",
    "pathlib.Path.replace",
    "pathlib.Path.unlink",
)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("count", range(1, 40, 3))
def test_a_power_cut_leaves_the_old_file_set_or_the_new(
    tmp_path: Path, new_files: list[Path], step: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "set"
    made(folder, files_of(tmp_path / "in"))
    before = uids_read_by_us(folder)
    gone = frozenset({before[3]})
    after = sorted({*before, *(str(instance(n).SOPInstanceUID) for n in (21, 22, 23))} - gone)
    module, _, name = step.rpartition(".")
    owner = os if module == "os" else Path
    real = getattr(owner, name)
    calls = 0

    def counted(*arguments: object, **more: object) -> object:
        nonlocal calls
        calls += 1
        if calls >= count:
            raise _PowerCut
        return real(*arguments, **more)

    cut = False
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, counted)
        # Nobody tidies up after a power cut.
        patch.setattr(FileSetWriter, "close", lambda _: None)
        try:
            update(folder, new_files, gone)
        except _PowerCut:
            cut = True
    assert uids_read_by_us(folder) in ((before, after) if cut else (after,))
    # And the next update works on what the cut has left.
    now = uids_read_by_us(folder)
    update(folder, [save(instance(40, CT), tmp_path / "last")])
    assert uids_read_by_us(folder) == sorted([*now, str(instance(40).SOPInstanceUID)])
