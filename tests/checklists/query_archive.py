"""A small archive for the lines about queries: what is in it, and a node that has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom import Dataset

from tests.archive.filled_archive import write

CT, MR, PT = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.128",
)
ROOT = "1.2.826.0.1.3680043.9.77"


def instance(study: int, series: int, number: int, **more: Any) -> Dataset:
    """An instance with the UIDs of these numbers."""
    made = Dataset()
    made.SOPClassUID = CT
    made.Modality = "CT"
    made.StudyInstanceUID = f"{ROOT}.{study}"
    made.SeriesInstanceUID = f"{ROOT}.{study}.{series}"
    made.SOPInstanceUID = f"{ROOT}.{study}.{series}.{number}"
    made.SeriesNumber, made.InstanceNumber = series, number
    made.StudyDate, made.StudyTime = "20060705", "120000"
    made.AccessionNumber, made.StudyID = f"A{study}C{series}", str(study)
    made.PatientName, made.PatientID = "Doe^Jane", "P1"
    made.PatientBirthDate, made.PatientSex = "19700101", "F"
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def _code(value: str, scheme: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    item.CodeMeaning = f"{value} of {scheme}"
    return item


INSTANCES: tuple[Dataset, ...] = (
    # 1: CT and PT; two codes, neither of which is X of 99B.
    instance(
        1,
        1,
        1,
        AccessionNumber="ABC1",
        ProcedureCodeSequence=[_code("X", "99A"), _code("Y", "99B")],
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        Rows=64,
    ),
    instance(
        1,
        1,
        2,
        AccessionNumber="ABC1",
        ProcedureCodeSequence=[_code("X", "99A"), _code("Y", "99B")],
        ImageType=["DERIVED", "PRIMARY", "AXIAL"],
        Rows=128,
    ),
    instance(1, 2, 1, AccessionNumber="ABC1", Modality="PT", SOPClassUID=PT),
    # 2: nothing known of its accession, time and ID.
    instance(
        2,
        1,
        1,
        AccessionNumber="",
        StudyTime="",
        StudyID="",
        StudyDate="20060706",
        ReferringPhysicianName="",
        PatientName="Roe^Ann",
        PatientID="P2",
    ),
    # 3: MR, lower case, at the edges of days.
    instance(
        3,
        1,
        1,
        Modality="MR",
        SOPClassUID=MR,
        AccessionNumber="abc1",
        StudyDate="20060707",
        StudyTime="190000",
        PatientName="Roe^Ann",
        PatientID="P2",
    ),
    # 4 to 6: text beyond ASCII.
    instance(
        4,
        1,
        1,
        SpecificCharacterSet="ISO_IR 100",
        AccessionNumber="A9C",
        StudyDate="20060704",
        StudyTime="235959",
        PatientName="Müller^Jörg",
        PatientID="P4",
        StudyDescription="Schädel",
    ),
    instance(
        5,
        1,
        1,
        SpecificCharacterSet=["", "ISO 2022 IR 87"],
        AccessionNumber="AXC99",
        PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう",
        PatientID="P5",
        StudyDate="20060708",
    ),
    instance(
        6,
        1,
        1,
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Swayne^Δελτα",
        PatientID="P6",
        StudyDate="20060709",
    ),
)


def write_all(folder: Path) -> list[Path]:
    """The instances as files."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, each in enumerate(INSTANCES):
        path = folder / f"{number:03}.dcm"
        write(path, each)
        found.append(path)
    return found


def uid(study: int, *more: int) -> str:
    return ".".join([ROOT, str(study), *map(str, more)])
