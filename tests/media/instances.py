"""Part 10 files of several patients, studies and classes, written by pydicom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
CR = "1.2.840.10008.5.1.4.1.1.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
ECG = "1.2.840.10008.5.1.4.1.1.9.1.2"
BASIC_TEXT = "1.2.840.10008.5.1.4.1.1.88.11"
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
GRAYSCALE_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
RAW = "1.2.840.10008.5.1.4.1.1.66"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
ROOT = "1.2.826.0.1.3680043.9.9"


def instance(
    number: int,
    sop_class: str = CT,
    *,
    patient: str = "P1",
    study: int = 1,
    series: int = 1,
    **values: object,
) -> Dataset:
    """A small object; `values` by keyword replace what it would have."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 100"
    made.SOPClassUID = sop_class
    made.SOPInstanceUID = f"{ROOT}.{number}"
    made.StudyDate = "20260102"
    made.StudyTime = "030405"
    made.ContentDate = "20260102"
    made.ContentTime = "030406"
    made.AccessionNumber = f"A{study}"
    made.Modality = "CT"
    made.StudyDescription = f"Study {study}"
    made.PatientName = "Müller^Jürgen"
    made.PatientID = patient
    made.PatientBirthDate = "19700203"
    made.PatientSex = "O"
    made.StudyInstanceUID = f"{ROOT}.1.{patient.encode().hex().translate(_DIGITS)}.{study}"
    made.SeriesInstanceUID = f"{made.StudyInstanceUID}.{series}"
    made.StudyID = str(study)
    made.SeriesNumber = series
    made.InstanceNumber = number
    _of_class(made, sop_class)
    for keyword, value in values.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


_DIGITS = str.maketrans("abcdef", "123456")


def _of_class(made: Dataset, sop_class: str) -> None:
    if sop_class in (CT, MR, CR, SC):
        _image(made, sop_class)
    elif sop_class == ECG:
        made.Modality = "ECG"
    elif sop_class == BASIC_TEXT:
        made.Modality = "SR"
        made.CompletionFlag = "PARTIAL"
        made.VerificationFlag = "UNVERIFIED"
        made.ValueType = "CONTAINER"
        made.ContinuityOfContent = "SEPARATE"
        made.ConceptNameCodeSequence = Sequence([_code("11528-7", "LN", "Radiology Report")])
        made.ContentSequence = Sequence([_modifier(), _text_item()])
    elif sop_class == KEY_OBJECTS:
        made.Modality = "KO"
        made.ConceptNameCodeSequence = Sequence([_code("113000", "DCM", "Of Interest")])
    elif sop_class == PDF:
        made.Modality = "DOC"
        made.DocumentTitle = "Befund"
        made.ConceptNameCodeSequence = Sequence([])
        made.MIMETypeOfEncapsulatedDocument = "application/pdf"
        made.EncapsulatedDocument = b"%PDF-1.4"
    elif sop_class == GRAYSCALE_STATE:
        made.Modality = "PR"
        made.PresentationCreationDate = "20260102"
        made.PresentationCreationTime = "030405"
        made.ContentLabel = "LABEL"
        made.ContentDescription = ""
        made.ContentCreatorName = ""
        image = Dataset()
        image.ReferencedSOPClassUID = CT
        image.ReferencedSOPInstanceUID = f"{ROOT}.1"
        series = Dataset()
        series.SeriesInstanceUID = made.SeriesInstanceUID
        series.ReferencedImageSequence = Sequence([image])
        made.ReferencedSeriesSequence = Sequence([series])


def _image(made: Dataset, sop_class: str) -> None:
    made.Modality = {CT: "CT", MR: "MR", CR: "CR", SC: "OT"}[sop_class]
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    if sop_class == SC:
        made.ConversionType = "WSD"
    made.ImagePositionPatient = [0, 0, 1]
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.FrameOfReferenceUID = f"{ROOT}.7"
    made.PixelSpacing = [0.5, 0.5]
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.Rows = made.Columns = 8
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit = 15
    made.PixelRepresentation = 0
    made.PixelData = bytes(128)


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue = value
    code.CodingSchemeDesignator = scheme
    code.CodeMeaning = meaning
    return code


def _modifier() -> Dataset:
    item = Dataset()
    item.RelationshipType = "HAS CONCEPT MOD"
    item.ValueType = "CODE"
    item.ConceptNameCodeSequence = Sequence([_code("121049", "DCM", "Language")])
    item.ConceptCodeSequence = Sequence([_code("de", "RFC5646", "German")])
    return item


def _text_item() -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "TEXT"
    item.ConceptNameCodeSequence = Sequence([_code("121071", "DCM", "Finding")])
    item.TextValue = "Kein Befund."
    return item


def save(made: Dataset, path: Path, syntax: str = EXPLICIT) -> Path:
    """Write it as a Part 10 file; the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = made.SOPClassUID
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = UID(f"{ROOT}.0")
    made.file_meta = meta
    pydicom.dcmwrite(
        path,
        made,
        implicit_vr=syntax == IMPLICIT,
        little_endian=syntax != BIG_ENDIAN,
        enforce_file_format=True,
    )
    return path


def mixture() -> Iterator[Dataset]:
    """Two patients, three studies, five series; of each kind of record something."""
    yield instance(1)
    yield instance(2)
    yield instance(3, MR, series=2)
    yield instance(4, ECG, study=2)
    yield instance(5, BASIC_TEXT, study=2, series=2)
    yield instance(6, KEY_OBJECTS, study=2, series=3)
    yield instance(7, PDF, patient="P2")
    yield instance(8, GRAYSCALE_STATE, patient="P2", series=2)
    yield instance(9, CR, patient="P2", series=3)


def files_of(folder: Path, *, syntax: str = EXPLICIT, depth: str = "DICOM") -> list[Path]:
    """The mixture as files with File IDs as names."""
    return [
        save(made, folder / depth / f"IM{made.InstanceNumber:06}", syntax) for made in mixture()
    ]
