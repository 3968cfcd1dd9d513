"""File-sets of stored objects: MX-46 of MxView, RV-20, 22, 23 and 25 of the Reviewer.

RV-24 is in tests/workflow/test_export_volume.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.fileset import FileSet

from agent.media.file_ids import fault_of
from tests.media.instances import CR, CT, ECG, EXPLICIT, IMPLICIT, MR, SC, instance, save
from tests.media.test_writing import judged
from tests.node.running import NodeProcess
from tests.node.test_export import completed, files_on, image_files, some, stored
from tests.peers.dcmtk import dcmtk_program, storescu
from tests.peers.programs import Completed, program, run
from tests.peers.sample_files import data_set_bytes

pytestmark = pytest.mark.peer

NM = "1.2.840.10008.5.1.4.1.1.20"
RF = "1.2.840.10008.5.1.4.1.1.12.2"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path / "node") as running:
        yield running


def image(number: int, sop_class: str, modality: str, series: int) -> Dataset:
    """An image of a class that `instance` does not know."""
    made = instance(number, CR, series=series, Modality=modality)
    made.ImageType = ["ORIGINAL", "PRIMARY", "WHOLE BODY"]
    made.SOPClassUID = sop_class
    return made


def dcmmkdir(folder: Path, profile: str, new: str = "THEIRS") -> Completed:
    """Whether DCMTK builds a directory of the same files by the rules of a profile."""
    return run(
        [dcmtk_program("dcmmkdir"), profile, "+id", folder, "+r", "+D", folder / new, "DICOM"]
    )


def records(directory: Path, kind: str) -> list[Dataset]:
    return [
        each
        for each in pydicom.dcmread(directory).DirectoryRecordSequence
        if each.DirectoryRecordType == kind
    ]


def same_records(folder: Path) -> bool:
    """Whether ours and theirs have the same records, with at least the keys that theirs have."""
    # Offsets differ; dcmmkdir names a character set where all is ASCII, and adds icons (type 3).
    skipped = {0x00041400, 0x00041410, 0x00041420, 0x00080005, 0x00880200}

    def plain(name: str) -> list[set[str]]:
        directory = pydicom.dcmread(folder / name)
        return [
            {str(each) for each in record if each.tag not in skipped}
            for record in directory.DirectoryRecordSequence
        ]

    ours, theirs = plain("DICOMDIR"), plain("THEIRS")
    return len(ours) == len(theirs) and all(any(each <= mine for mine in ours) for each in theirs)


def test_mx_46_ct_mr_and_sc_are_a_file_set_of_std_ctmr_cd(
    node: NodeProcess, tmp_path: Path
) -> None:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CT, "1.2.3.4"
    made = [instance(1, CT), instance(2, MR, series=2), instance(3, SC, series=3)]
    made[1].ReferencedImageSequence = [reference]
    archive = stored(node, *(save(each, tmp_path / str(each.InstanceNumber)) for each in made))
    found = completed(node, tmp_path / "set", profile="STD-CTMR-CD", date_from="1900")
    assert (found["copied"], found["failed"]) == (3, 0)
    judged(tmp_path / "set")
    assert files_on(tmp_path / "set") == archive
    dcmmkdir(tmp_path / "set", "-Pcm").check()
    assert same_records(tmp_path / "set")
    images = records(tmp_path / "set" / "DICOMDIR", "IMAGE")
    assert len(images) == 3
    for each in images:
        assert (each.Rows, each.Columns, each.PixelSpacing) == (8, 8, [0.5, 0.5])
        assert len(each.ImagePositionPatient) == 3 and len(each.ImageOrientationPatient) == 6
        assert each.FrameOfReferenceUID
    (referring,) = (each for each in images if "ReferencedImageSequence" in each)
    assert referring.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"


def test_mx_46_cr_nm_rf_and_ecg_are_a_file_set_of_std_gen_cd(
    node: NodeProcess, tmp_path: Path
) -> None:
    made = [
        instance(1, CR),
        image(2, NM, "NM", series=2),
        image(3, RF, "RF", series=3),
        instance(4, ECG, series=4),
    ]
    archive = stored(node, *(save(each, tmp_path / str(each.InstanceNumber)) for each in made))
    found = completed(node, tmp_path / "set", profile="STD-GEN-CD", date_from="1900")
    assert (found["copied"], found["failed"]) == (4, 0)
    judged(tmp_path / "set")
    assert files_on(tmp_path / "set") == archive
    dcmmkdir(tmp_path / "set", "-Pgp").check()
    assert same_records(tmp_path / "set")
    directory = tmp_path / "set" / "DICOMDIR"
    assert len(records(directory, "WAVEFORM")) == 1
    assert all(each.ImageType for each in records(directory, "IMAGE"))
    assert len(records(directory, "IMAGE")) == 3


def test_rv_20_the_file_set_is_valid_by_its_profile(node: NodeProcess, tmp_path: Path) -> None:
    made = [instance(number, (CT, MR, CR)[number % 3]) for number in range(1, 7)]
    stored(node, *(save(each, tmp_path / str(each.InstanceNumber)) for each in made))
    completed(node, tmp_path / "set", date_from="1900")
    judged(tmp_path / "set")
    directory = pydicom.dcmread(tmp_path / "set" / "DICOMDIR")
    assert directory.file_meta.TransferSyntaxUID == EXPLICIT
    named = {
        "/".join(each.ReferencedFileID)
        for each in directory.DirectoryRecordSequence
        if "ReferencedFileID" in each
    }
    lying = {
        str(path.relative_to(tmp_path / "set"))
        for path in (tmp_path / "set").rglob("*")
        if path.is_file() and path.name != "DICOMDIR"
    }
    assert named == lying
    assert all(fault_of(each.replace("/", "\\")) == "" for each in named)
    dcmmkdir(tmp_path / "set", "-Pgp").check()


@pytest.mark.parametrize(
    ("option", "profile", "judge", "others"),
    [
        ("", "STD-GEN-CD", "-Pgp", ()),
        ("+e1", "STD-GEN-USB-JPEG", "-Pdv", ("-Pgp", "-Pd2")),
        ("+eb", "STD-GEN-USB-JPEG", "-Pdv", ("-Pgp", "-Pd2")),
    ],
)
def test_rv_22_no_byte_is_changed_and_the_profile_is_the_one_that_dcmmkdir_accepts(
    node: NodeProcess,
    tmp_path: Path,
    option: str,
    profile: str,
    judge: str,
    others: tuple[str, ...],
) -> None:
    made = instance(1, SC, BitsAllocated=8, BitsStored=8, HighBit=7, Rows=16, Columns=16)
    made.PixelData = os.urandom(256)
    path = save(made, tmp_path / "raw")
    if option:
        path = tmp_path / "packed"
        run([dcmtk_program("dcmcjpeg"), option, tmp_path / "raw", path]).check()
    archive = stored(node, path)
    found = completed(node, tmp_path / "set", date_from="1900")
    assert (found["profile"], found["copied"], found["converted"]) == (profile, 1, 0)
    assert files_on(tmp_path / "set") == archive
    dcmmkdir(tmp_path / "set", judge).check()
    for other in others:
        said = dcmmkdir(tmp_path / "set", other, "REFUSED")
        assert said.returncode or "expected" in said.output, said


def test_rv_22_what_no_profile_takes_is_converted_and_that_is_said(
    node: NodeProcess, tmp_path: Path
) -> None:
    storescu(node.port, save(instance(1), tmp_path / "1", IMPLICIT), options=["-xi"]).check()
    found = completed(node, tmp_path / "set", date_from="1900")
    assert (found["profile"], found["copied"], found["converted"]) == ("STD-GEN-CD", 0, 1)
    dcmmkdir(tmp_path / "set", "-Pgp").check()
    as_it_is = completed(node, tmp_path / "files", profile="NONE", date_from="1900")
    assert (as_it_is["profile"], as_it_is["copied"], as_it_is["converted"]) == ("NONE", 1, 0)
    (path,) = (each for each in (tmp_path / "files").rglob("*") if each.is_file())
    (kept,) = node.objects()
    assert path.read_bytes() == kept.read_bytes()
    refused = dcmmkdir(tmp_path / "files", "-Pgp")
    assert refused.returncode or "LittleEndianExplicit expected" in refused.output


@pytest.mark.parametrize("kind", ["folder", "image"])
@pytest.mark.parametrize("profile", ["STD-GEN-CD", "NONE"])
def test_rv_23_a_directory_is_written_where_it_is_asked_for(
    node: NodeProcess, tmp_path: Path, kind: str, profile: str
) -> None:
    archive = some(node, tmp_path / "in", series=2, images=3)
    target = tmp_path / ("cd.iso" if kind == "image" else "set")
    found = completed(node, target, kind=kind, profile=profile, date_from="1900")
    assert found["copied"] == 6
    if kind == "image":
        listed = run([program("genisoimage", "isoinfo"), "-f", "-i", target]).check().output
        assert ("/DICOMDIR" in listed) == (profile == "STD-GEN-CD")
        target = image_files(target, tmp_path / "out")
    assert (target / "DICOMDIR").exists() == (profile == "STD-GEN-CD")
    files = [each for each in (target / "DICOM").rglob("*") if each.is_file()]
    read = {str(pydicom.dcmread(each).SOPInstanceUID): data_set_bytes(each) for each in files}
    assert read == archive and len(files) == 6
    assert all(fault_of(str(each.relative_to(target)).replace("/", "\\")) == "" for each in files)


def test_rv_25_a_study_larger_than_the_disc_is_several_file_sets(
    node: NodeProcess, tmp_path: Path
) -> None:
    archive = some(node, tmp_path / "in", series=3, images=3, size=200)
    found = completed(
        node, tmp_path / "cd.iso", kind="image", volume_size=1_450_000, date_from="1900"
    )
    assert found["studies"] == 1 and len(found["volumes"]) == 3
    identifiers, seen = set(), {}
    for number, each in enumerate(found["volumes"]):
        folder = image_files(Path(each["place"]), tmp_path / f"out-{number}")
        judged(folder)
        dcmmkdir(folder, "-Pgp").check()
        directory = FileSet(folder / "DICOMDIR")
        identifiers.add((directory.ID, str(directory.UID)))
        seen |= files_on(folder)
    assert seen == archive
    assert len(identifiers) == 3
