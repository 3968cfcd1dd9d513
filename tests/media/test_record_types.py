"""The table of record types against the builders of pydicom and dcmmkdir, type by type."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from pydicom.sequence import Sequence
from pydicom.uid import UID

from agent.dataset.sop_classes import SOP_CLASSES
from agent.media.checking import check
from agent.media.directory_records import (
    LEVELS,
    RECORD_TYPE_OF_CLASS,
    RECORD_TYPES,
    record_type_of,
)
from tests.media.instances import CT, GRAYSCALE_STATE, instance, save
from tests.media.test_writing import judged, made, uids_read_by_us
from tests.peers.dcmtk import dcmtk_program
from tests.peers.programs import run

VALUES: dict[str, object] = {
    "CS": "PLAIN", "LO": "Some words", "SH": "Words", "DA": "20260102", "TM": "030405", "IS": 1,
    "US": 1, "UL": 1, "PN": "Some^Body", "DT": "20260102030405", "ST": "Some words", "UT": "Words",
    "FD": 1.5,
}  # fmt: skip
CLASS_OF_TYPE = {name: uid for uid, name in RECORD_TYPE_OF_CLASS.items()} | {
    "IMAGE": CT,
    "PRESENTATION": GRAYSCALE_STATE,
}
# What the objects of the tests need not have.
NOT_THERE = (
    "HL7InstanceIdentifier",
    "BlendingSequence",
    "ContentSequence",
    "VerificationDateTime",
)


# dciodvfy of 2022 does not know these record types yet.
NEWER = ("ANNOTATION", "ASSESSMENT", "PLAN", "RADIOTHERAPY", "SURFACE SCAN", "TRACT")


def item(keyword: str) -> Dataset:
    code = Dataset()
    if keyword == "HangingProtocolDefinitionSequence":
        code.Modality = "CT"
        code.AnatomicRegionSequence = Sequence([item("")])
        code.Laterality = ""
        code.ProcedureCodeSequence = Sequence([item("")])
        code.ReasonForRequestedProcedureCodeSequence = Sequence([item("")])
        return code
    code.CodeValue = "1"
    code.CodingSchemeDesignator = "99TEST"
    code.CodeMeaning = "Something"
    return code


def reference() -> Dataset:
    made_here = Dataset()
    made_here.ReferencedSOPClassUID = CT
    made_here.ReferencedSOPInstanceUID = "1.2.5"
    return made_here


def complete(kind: str, sop_class: str) -> Dataset:
    """An object with a value for each key of its record type."""
    made_here = instance(1, CT if kind == "IMAGE" else sop_class, SOPClassUID=sop_class)
    for key in RECORD_TYPES[kind].keys:
        vr = dictionary_VR(key.keyword)
        if key.keyword not in made_here and key.keyword not in NOT_THERE:
            value = Sequence([item(key.keyword)]) if vr == "SQ" else VALUES[vr]
            setattr(made_here, key.keyword, value)
    if kind == "SPECTROSCOPY":
        made_here.ImageType = ["ORIGINAL", "PRIMARY", "SPECTROSCOPY", "NONE"]
        made_here.ReferencedImageEvidenceSequence = Sequence([reference()])
    return made_here


def record_in(directory: Path) -> Dataset:
    """The one record that refers to a file."""
    records = pydicom.dcmread(directory).DirectoryRecordSequence
    found: list[Dataset] = [each for each in records if "ReferencedFileID" in each]
    assert len(found) == 1
    return found[0]


LEAVES = sorted(set(RECORD_TYPES) - set(LEVELS))


@pytest.mark.parametrize("kind", LEAVES)
def test_a_record_has_the_keys_that_pydicom_and_dcmmkdir_give_it(tmp_path: Path, kind: str) -> None:
    sop_class = CLASS_OF_TYPE[kind]
    path = save(complete(kind, sop_class), tmp_path / "IM1")
    (file_id,) = made(tmp_path / "set", [path])
    if kind not in NEWER:
        judged(tmp_path / "set")
    assert uids_read_by_us(tmp_path / "set") == [instance(1).SOPInstanceUID]
    assert list(check(tmp_path / "set")) == []
    ours = record_in(tmp_path / "set" / "DICOMDIR")
    assert ours.DirectoryRecordType == kind
    assert (len(file_id.split("\\")) == 5) == (RECORD_TYPES[kind].parent == "SERIES")

    (tmp_path / "theirs").mkdir()
    files = FileSet()
    files.add(path)
    files.write(tmp_path / "theirs")
    theirs = record_in(tmp_path / "theirs" / "DICOMDIR")
    if theirs.DirectoryRecordType == kind:
        assert keys_of(theirs) <= keys_of(ours)
    words: list[str | Path] = ["-Pgp", "-W", "+D", tmp_path / "THEIRS", "IM1"]
    if run([dcmtk_program("dcmmkdir"), *words], folder=tmp_path).returncode == 0:
        theirs = record_in(tmp_path / "THEIRS")
        assert theirs.DirectoryRecordType == kind
        assert keys_of(theirs) <= keys_of(ours)


def keys_of(record: Dataset) -> set[str]:
    # Specific Character Set is 1C, and some write it where all is ASCII.
    return {each.keyword for each in record if each.tag.group != 4} - {"SpecificCharacterSet"}


def test_each_class_of_storage_has_a_record_type_or_a_reason() -> None:
    without = {
        row.name for uid, row in SOP_CLASSES.items() if row.stored and record_type_of(uid) is None
    }
    assert all(
        any(
            word in name
            for word in ("Protocol", "Inventory", "Trial", "Standalone", "Stored Print")
        )
        for name in without
    ), without
    assert set(RECORD_TYPE_OF_CLASS) <= set(SOP_CLASSES)
    assert UID(CT).name == "CT Image Storage"
