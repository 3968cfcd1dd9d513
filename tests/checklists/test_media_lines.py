"""Lines of the checklists that are about media: PS3.4 114 to 117, MxView MX-46 to MX-49."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.fileset import FileSet

from agent.media.found import Damage, FoundInstance
from agent.media.reading import found_in
from tests.cli_of import gantry
from tests.media.instances import (
    BIG_ENDIAN,
    CR,
    CT,
    ECG,
    EXPLICIT,
    IMPLICIT,
    MR,
    SC,
    files_of,
    instance,
    save,
)
from tests.media.test_reading import by_dcmmkdir, by_gdcmgendir, by_pydicom
from tests.media.test_updating import untouched, update, without_directory_information
from tests.media.test_writing import judged, made, uids_by_pydicom, uids_read_by_us
from tests.peers.dcmtk import dcmtk_program
from tests.peers.programs import program, run

NM, RF = "1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.5.1.4.1.1.12.2"


def records_of(folder: Path, *kinds: str) -> list[pydicom.Dataset]:
    records = pydicom.dcmread(folder / "DICOMDIR").DirectoryRecordSequence
    return [each for each in records if not kinds or each.DirectoryRecordType in kinds]


def uids_in(found: list[FoundInstance | Damage]) -> list[str]:
    return sorted(each.sop_instance_uid for each in found if isinstance(each, FoundInstance))


def test_ps34_114_a_written_file_set_has_a_directory_and_true_file_meta(tmp_path: Path) -> None:
    files = files_of(tmp_path / "in")
    # One whose file meta information tells of another class and instance.
    lying = pydicom.dcmread(files[0])
    lying.file_meta.MediaStorageSOPClassUID = pydicom.uid.UID(MR)
    lying.save_as(files[0])
    folder = tmp_path / "set"
    gantry("media", "create", folder, tmp_path / "in").check()
    directory = pydicom.dcmread(folder / "DICOMDIR")
    assert directory.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.1.3.10"
    for path in (folder / "DICOM").rglob("I*"):
        read = pydicom.dcmread(path)
        assert read.file_meta.MediaStorageSOPClassUID == read.SOPClassUID
        assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID
    judged(folder)


def test_ps34_115_empty_file_sets_and_directories_without_records_are_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").mkdir()
    FileSet().write(tmp_path / "empty")
    assert list(found_in(tmp_path / "empty")) == []
    assert "no instances" in gantry("media", "list", tmp_path / "empty").check().output
    folder = tmp_path / "set"
    made(folder, files_of(tmp_path / "in"))
    expected = uids_read_by_us(folder)
    without_directory_information(folder)
    assert uids_read_by_us(folder) == expected


def test_ps34_116_unknown_records_and_classes_are_skipped_and_the_rest_found(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "set"
    made(folder, files_of(tmp_path / "in"))
    expected = uids_read_by_us(folder)
    path = folder / "DICOMDIR"
    data = path.read_bytes()
    (ecg,) = records_of(folder, "WAVEFORM")
    skipped = str(ecg.ReferencedSOPInstanceUIDInFile)
    changed = data.replace(b"WAVEFORM", b"WAVEROOM").replace(b"SERIES", b"SERIAL", 1)
    # A class that nobody knows, in a record of a type that all know.
    known = next(each for each in expected if each != skipped)
    unknown = CT.encode()[:-1] + b"9"
    path.write_bytes(changed.replace(CT.encode(), unknown, 1))
    found = list(found_in(folder))
    assert uids_in(found) == [each for each in expected if each != skipped]
    assert known in uids_in(found)


def test_ps34_117_a_directory_with_records_is_updated_and_one_without_is_left(
    tmp_path: Path,
) -> None:
    new = save(instance(50), tmp_path / "NEW")
    for make in (by_dcmmkdir, by_gdcmgendir):
        folder = tmp_path / make.__name__
        files_of(folder)
        make(folder)
        before = uids_by_pydicom(folder)
        update(folder, [new])
        assert uids_by_pydicom(folder) == sorted([*before, str(instance(50).SOPInstanceUID)])
    without_directory_information(folder)
    untouched(folder, "no Directory Information Module")
    content = (folder / "DICOMDIR").read_bytes()
    assert gantry("media", "update", folder, new).returncode == 1
    assert (folder / "DICOMDIR").read_bytes() == content


STUDY_KEYS = (
    "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription", "PatientName", "PatientID",
    "StudyInstanceUID", "StudyID", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
)  # fmt: skip
SERIES_KEYS = (
    "Modality", "ProtocolName", "SeriesInstanceUID", "SeriesNumber",
    "NumberOfSeriesRelatedInstances",
)  # fmt: skip
IMAGE_KEYS = (
    "ImageType", "InstanceCreationDate", "InstanceCreationTime", "SOPClassUID", "SOPInstanceUID",
    "ContentDate", "ContentTime", "ContrastBolusAgent", "GantryDetectorTilt", "InstanceNumber",
    "FrameOfReferenceUID", "SliceLocation", "SamplesPerPixel", "Rows", "Columns", "BitsAllocated",
)  # fmt: skip
TABLE_E_3_2 = (
    "ReferencedImageSequence", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
)  # fmt: skip


def rich(number: int, sop_class: str, *, one_series: bool = False) -> pydicom.Dataset:
    """An object with all attributes that Table 7.1 and Table E.3-2 name."""
    reference = pydicom.Dataset()
    reference.ReferencedSOPClassUID = CT
    reference.ReferencedSOPInstanceUID = "1.2.3.4"
    modality = {CT: "CT", MR: "MR", SC: "OT", CR: "CR", NM: "NM", RF: "RF", ECG: "ECG"}[sop_class]
    made = instance(
        number,
        ECG if sop_class == ECG else CT,
        series=1 if one_series else number,
        SOPClassUID=sop_class,
        Modality=modality,
        ProtocolName="Head",
        InstanceCreationDate="20260102",
        InstanceCreationTime="030405",
    )
    if sop_class != ECG:
        made.ContrastBolusAgent = "Water"
        made.GantryDetectorTilt = 0
        made.SliceLocation = 1
        made.ReferencedImageSequence = pydicom.Sequence([reference])
        made.ConversionType = "WSD"
    return made


@pytest.mark.parametrize(
    ("profile", "option", "classes"),
    [("STD-CTMR-CD", "-Pcm", (CT, MR, SC)), ("STD-GEN-CD", "-Pgp", (CR, NM, RF, ECG))],
)
def test_mx_46_file_sets_have_every_key_of_table_7_1(
    tmp_path: Path, profile: str, option: str, classes: tuple[str, ...]
) -> None:
    for number, sop_class in enumerate(classes, start=1):
        save(rich(number, sop_class), tmp_path / "in" / f"IM{number}")
    folder = tmp_path / "set"
    gantry(
        "media", "create", folder, tmp_path / "in", "--profile", profile, "--keys", "mx8000"
    ).check()
    judged(folder)
    assert len(uids_by_pydicom(folder)) == len(uids_read_by_us(folder)) == len(classes)
    for keys, kinds in (
        (("PatientName", "PatientID"), ("PATIENT",)),
        (STUDY_KEYS, ("STUDY",)),
        (SERIES_KEYS, ("SERIES",)),
        (IMAGE_KEYS + (TABLE_E_3_2 if profile == "STD-CTMR-CD" else ()), ("IMAGE",)),
    ):
        for record in records_of(folder, *kinds):
            assert [key for key in keys if key not in record] == []
    assert len(records_of(folder, "WAVEFORM")) == (ECG in classes)
    tool = dcmtk_program("dcmmkdir")
    said = run([tool, option, "+r", "+id", folder, "+D", tmp_path / "THEIRS", "DICOM"]).check()
    assert "E:" not in said.output


def test_mx_47_private_keys_stand_behind_their_creator(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        save(rich(number, CT, one_series=True), tmp_path / "in" / f"IM{number}")
    folder = tmp_path / "set"
    gantry("media", "create", folder, tmp_path / "in", "--keys", "mx8000").check()
    judged(folder)
    (study,), (series,) = records_of(folder, "STUDY"), records_of(folder, "SERIES")
    for record, element, count in ((study, 0x01, 1), (series, 0x02, 3)):
        block = record.private_block(0x07A1, "ELSCINT1")
        assert record[0x07A1, 0x0010].value == "ELSCINT1"
        assert block[element].value == count
        assert len(str(block[0x04].value)) == 8
    plain = pydicom.dcmread(folder / "DICOMDIR")
    plain.remove_private_tags()
    assert len(FileSet(folder / "DICOMDIR")) == 3
    verdict = run([program("dicom3tools", "dciodvfy"), folder / "DICOMDIR"]).output
    assert "Error" not in verdict


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_mx_48_file_sets_of_others_are_read_in_every_syntax(tmp_path: Path, syntax: str) -> None:
    files_of(tmp_path, syntax=syntax)
    by_pydicom(tmp_path)
    expected = uids_by_pydicom(tmp_path)
    found = list(found_in(tmp_path))
    assert uids_in(found) == expected
    assert {each.transfer_syntax_uid for each in found if isinstance(each, FoundInstance)} == {
        syntax
    }


def test_mx_48_compressed_files_icons_and_private_records_are_read(tmp_path: Path) -> None:
    for number in (1, 2):
        native = save(instance(number), tmp_path / "x")
        run([dcmtk_program("dcmcjpeg"), native, tmp_path / f"IM{number}"]).check()
        native.unlink()
    save(instance(3), tmp_path / "IM3")
    words = ["-Pdv", "+I", "+X", "-Nec", "+D", "DICOMDIR", "IM1", "IM2", "IM3"]
    run([dcmtk_program("dcmmkdir"), *words], folder=tmp_path).check()
    assert any("IconImageSequence" in each for each in records_of(tmp_path, "IMAGE"))
    found = list(found_in(tmp_path))
    assert uids_in(found) == uids_by_pydicom(tmp_path)
    syntaxes = [each.transfer_syntax_uid for each in found if isinstance(each, FoundInstance)]
    assert syntaxes.count("1.2.840.10008.1.2.4.70") == 2
    path = tmp_path / "DICOMDIR"
    data = path.read_bytes()
    third = data.index(b"IM3")
    kind = data.rindex(b"CS\x06\0IMAGE ", 0, third)
    path.write_bytes(data[:kind] + b"CS\x06\0PRIVAT" + data[kind + 10 :])
    assert len(uids_in(list(found_in(tmp_path)))) == 2


def test_mx_49_adding_and_deleting_keeps_every_other_record(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    files_of(folder)
    by_dcmmkdir(folder)
    kept = {
        str(each.ReferencedSOPInstanceUIDInFile): each.to_json()
        for each in records_of(folder)
        if "ReferencedFileID" in each
    }
    gone = str(instance(4).SOPInstanceUID)
    new = save(instance(60, series=5), tmp_path / "NEW")
    gantry("media", "update", folder, new, "--delete", gone).check()
    judged(folder)
    assert uids_by_pydicom(folder) == sorted({*kept, str(instance(60).SOPInstanceUID)} - {gone})
    # They go on with what we have written.
    save(instance(61, series=6), folder / "MORE" / "IM61")
    words = ["+A", "+D", "DICOMDIR", "MORE/IM61"]
    run([dcmtk_program("dcmmkdir"), *words], folder=folder).check()
    assert len(uids_read_by_us(folder)) == len(kept) + 1
    assert "no fault" in gantry("media", "check", folder).check().output


def test_mx_49_a_second_session_on_a_disc_has_the_updated_file_set(tmp_path: Path) -> None:
    xorriso = program("xorriso", "xorriso")
    folder, disc = tmp_path / "set", tmp_path / "disc.iso"
    made(folder, files_of(tmp_path / "in"))
    disc_words: list[str | Path] = [
        xorriso,
        "-outdev",
        disc,
        "-rockridge",
        "off",
        "-compliance",
        "iso_9660_level=1",
    ]
    run([*disc_words, "-map", folder, "/", "-commit"]).check()
    first = disc.stat().st_size
    update(folder, [save(instance(60), tmp_path / "NEW")])
    run([xorriso, "-dev", disc, "-rockridge", "off", "-update_r", folder, "/", "-commit"]).check()
    assert disc.stat().st_size > first
    run([xorriso, "-osirrox", "on", "-indev", disc, "-extract", "/", tmp_path / "read"]).check()
    assert uids_read_by_us(tmp_path / "read") == uids_read_by_us(folder)
    assert len(uids_read_by_us(tmp_path / "read")) == 10
