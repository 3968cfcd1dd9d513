"""The Directory Records of PS3.3 F.4 and F.5: what may stand where, with which keys, for what.

A key of Type 1 must have a value, one of Type 2 must be there, one of Type 1C is there when the
object has it. The keys of Type 3 are those of the application profile. Icons are optional, and no
row names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agent.dataset.sop_classes import SOP_CLASSES

ROOT = ""
LEVELS = ("PATIENT", "STUDY", "SERIES")
"""The record types that have others below them."""


class Key(NamedTuple):
    """A key of a record type; `type` is "1", "1C" or "2" (PS3.5 7.4)."""

    keyword: str
    type: str


class RecordType(NamedTuple):
    """One row of Table F.4-1 with its table of keys in F.5; `parent` is "" for the root."""

    name: str
    clause: str
    parent: str
    keys: tuple[Key, ...]


# Content Identification Macro (PS3.3 Table 10-12), as far as Type 1 and 2 go.
_CONTENT_IDENTIFICATION = (
    "1 InstanceNumber, 1 ContentLabel, 2 ContentDescription, 2 ContentCreatorName"
)
_CONTENT_WITH_DATE = f"1 ContentDate, 1 ContentTime, {_CONTENT_IDENTIFICATION}"

# Name, clause of PS3.3, record type above it, keys. Specific Character Set is 1C in all of them.
_ROWS = (
    ("PATIENT", "F.5.1", ROOT, "2 PatientName, 1 PatientID"),
    (
        "STUDY",
        "F.5.2",
        "PATIENT",
        "1 StudyDate, 1 StudyTime, 2 StudyDescription, 1 StudyInstanceUID, 1 StudyID, "
        "2 AccessionNumber",
    ),
    ("SERIES", "F.5.3", "STUDY", "1 Modality, 1 SeriesInstanceUID, 1 SeriesNumber"),
    ("IMAGE", "F.5.4", "SERIES", "1 InstanceNumber"),
    ("RT DOSE", "F.5.19", "SERIES", "1 InstanceNumber, 1 DoseSummationType"),
    (
        "RT STRUCTURE SET",
        "F.5.20",
        "SERIES",
        "1 InstanceNumber, 1 StructureSetLabel, 2 StructureSetDate, 2 StructureSetTime",
    ),
    (
        "RT PLAN",
        "F.5.21",
        "SERIES",
        "1 InstanceNumber, 1 RTPlanLabel, 2 RTPlanDate, 2 RTPlanTime",
    ),
    ("RT TREAT RECORD", "F.5.22", "SERIES", "1 InstanceNumber, 2 TreatmentDate, 2 TreatmentTime"),
    (
        "PRESENTATION",
        "F.5.23",
        "SERIES",
        "1 PresentationCreationDate, 1 PresentationCreationTime, "
        f"{_CONTENT_IDENTIFICATION}, 1C ReferencedSeriesSequence, 1C BlendingSequence",
    ),
    ("WAVEFORM", "F.5.24", "SERIES", "1 InstanceNumber, 1 ContentDate, 1 ContentTime"),
    (
        "SR DOCUMENT",
        "F.5.25",
        "SERIES",
        "1 InstanceNumber, 1 CompletionFlag, 1 VerificationFlag, 1 ContentDate, 1 ContentTime, "
        "1C VerificationDateTime, 1 ConceptNameCodeSequence, 1C ContentSequence",
    ),
    (
        "KEY OBJECT DOC",
        "F.5.26",
        "SERIES",
        "1 InstanceNumber, 1 ContentDate, 1 ContentTime, 1 ConceptNameCodeSequence, "
        "1C ContentSequence",
    ),
    (
        "SPECTROSCOPY",
        "F.5.27",
        "SERIES",
        "1 ImageType, 1 ContentDate, 1 ContentTime, 1 InstanceNumber, "
        "1C ReferencedImageEvidenceSequence, 1 NumberOfFrames, 1 Rows, 1 Columns, "
        "1 DataPointRows, 1 DataPointColumns",
    ),
    ("RAW DATA", "F.5.28", "SERIES", "1 ContentDate, 1 ContentTime, 2 InstanceNumber"),
    ("REGISTRATION", "F.5.29", "SERIES", _CONTENT_WITH_DATE),
    ("FIDUCIAL", "F.5.30", "SERIES", _CONTENT_WITH_DATE),
    (
        "HANGING PROTOCOL",
        "F.5.31",
        ROOT,
        "1 HangingProtocolName, 1 HangingProtocolDescription, 1 HangingProtocolLevel, "
        "1 HangingProtocolCreator, 1 HangingProtocolCreationDateTime, "
        "1 HangingProtocolDefinitionSequence, 1 NumberOfPriorsReferenced, "
        "2 HangingProtocolUserIdentificationCodeSequence",
    ),
    (
        "ENCAP DOC",
        "F.5.32",
        "SERIES",
        "2 ContentDate, 2 ContentTime, 1 InstanceNumber, 2 DocumentTitle, "
        "1C HL7InstanceIdentifier, 2 ConceptNameCodeSequence, 1 MIMETypeOfEncapsulatedDocument",
    ),
    ("VALUE MAP", "F.5.34", "SERIES", _CONTENT_WITH_DATE),
    # F.5.35 has no keys of its own; dciodvfy wants those of the macro.
    (
        "STEREOMETRIC",
        "F.5.35",
        "SERIES",
        "1C InstanceNumber, 1C ContentLabel, 1C ContentDescription, 1C ContentCreatorName",
    ),
    ("PALETTE", "F.5.36", ROOT, "1 ContentLabel, 2 ContentDescription"),
    (
        "IMPLANT",
        "F.5.37",
        ROOT,
        "1 Manufacturer, 1 ImplantName, 1C ImplantSize, 1 ImplantPartNumber",
    ),
    (
        "IMPLANT ASSY",
        "F.5.38",
        ROOT,
        "1 ImplantAssemblyTemplateName, 1 Manufacturer, 1 ProcedureTypeCodeSequence",
    ),
    (
        "IMPLANT GROUP",
        "F.5.39",
        ROOT,
        "1 ImplantTemplateGroupName, 1 ImplantTemplateGroupIssuer",
    ),
    ("PLAN", "F.5.40", "SERIES", ""),
    ("MEASUREMENT", "F.5.41", "SERIES", _CONTENT_WITH_DATE),
    ("SURFACE", "F.5.42", "SERIES", _CONTENT_WITH_DATE),
    ("SURFACE SCAN", "F.5.43", "SERIES", "1 ContentDate, 1 ContentTime"),
    ("TRACT", "F.5.44", "SERIES", _CONTENT_WITH_DATE),
    (
        "ASSESSMENT",
        "F.5.45",
        "SERIES",
        "1 InstanceNumber, 1 InstanceCreationDate, 2 InstanceCreationTime",
    ),
    (
        "RADIOTHERAPY",
        "F.5.46",
        "SERIES",
        "1 InstanceNumber, 1C UserContentLabel, 1C UserContentLongLabel, 2 ContentDescription, "
        "2 ContentCreatorName",
    ),
    ("ANNOTATION", "F.5.47", "SERIES", _CONTENT_WITH_DATE),
)


def _keys(text: str) -> tuple[Key, ...]:
    pairs = (each.split() for each in text.split(",") if each)
    return tuple(Key(keyword, kind) for kind, keyword in pairs)


RECORD_TYPES: Mapping[str, RecordType] = {
    name: RecordType(name, clause, parent, _keys(keys)) for name, clause, parent, keys in _ROWS
}

RETIRED = frozenset(
    ("OVERLAY", "MODALITY LUT", "VOI LUT", "CURVE", "STORED PRINT", "HL7 STRUC DOC", "FILM BOX")
)
"""Types of PS3.3-2018b and before that refer to files: read, never written."""

_STORAGE = "1.2.840.10008.5.1.4.1.1"
_OTHER = "1.2.840.10008.5.1.4"

# SOP classes by the end of their UIDs; all others of storage are IMAGE.
_CLASSES = {
    "RT DOSE": ("481.2",),
    "RT STRUCTURE SET": ("481.3",),
    "RT PLAN": ("481.5", "481.8"),
    "RT TREAT RECORD": ("481.4", "481.6", "481.7", "481.9"),
    "RADIOTHERAPY": tuple(
        f"481.{number}" for number in (10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 25)
    ),
    "PRESENTATION": (*(f"11.{number}" for number in range(1, 13)), "131", "9.100.1", "9.100.2"),
    "WAVEFORM": (
        *(f"9.1.{number}" for number in (1, 2, 3, 4)),
        "9.2.1",
        "9.3.1",
        "9.4.1",
        "9.4.2",
        "9.5.1",
        "9.6.1",
        "9.6.2",
        *(f"9.7.{number}" for number in (1, 2, 3, 4)),
        "9.8.1",
    ),
    "SR DOCUMENT": (
        *(f"88.{number}" for number in (11, 22, 33, 34, 35, 40, 50, 65)),
        *(f"88.{number}" for number in range(67, 78)),
        "78.6",
        "79.1",
    ),
    "KEY OBJECT DOC": ("88.59",),
    "SPECTROSCOPY": ("4.2",),
    "RAW DATA": ("66",),
    "REGISTRATION": ("66.1", "66.3"),
    "FIDUCIAL": ("66.2",),
    "SURFACE": ("66.5",),
    "TRACT": ("66.6",),
    "VALUE MAP": ("67",),
    "SURFACE SCAN": ("68.1", "68.2"),
    "STEREOMETRIC": ("77.1.5.3",),
    "MEASUREMENT": ("78.1", "78.2", "78.3", "78.4", "78.5", "78.7", "78.8", "80.1"),
    "ASSESSMENT": ("90.1",),
    "ANNOTATION": ("91.1",),
    "ENCAP DOC": tuple(f"104.{number}" for number in range(1, 6)),
}

RECORD_TYPE_OF_CLASS: Mapping[str, str] = {
    f"{_STORAGE}.{end}": name for name, ends in _CLASSES.items() for end in ends
} | {
    f"{_OTHER}.34.7": "PLAN",
    f"{_OTHER}.34.10": "PLAN",
    f"{_OTHER}.38.1": "HANGING PROTOCOL",
    f"{_OTHER}.39.1": "PALETTE",
    f"{_OTHER}.43.1": "IMPLANT",
    f"{_OTHER}.44.1": "IMPLANT ASSY",
    f"{_OTHER}.45.1": "IMPLANT GROUP",
}
"""Record types of the SOP classes whose instances are no images."""

# What the names of the classes of images end with; segmentations and maps are images too.
_NAMES_OF_IMAGES = (
    "Image Storage",
    "Image Storage - For Presentation",
    "Image Storage - For Processing",
    "Volume Storage",
    "Map Storage",
    "Segmentation Storage",
    "Volume Analysis Storage",
)


def record_type_of(sop_class_uid: str) -> RecordType | None:
    """The record type for instances of a SOP class.

    None where F.5 has none: for procedure protocols and inventories, and for classes that PS3.4
    does not list.
    """
    found = RECORD_TYPE_OF_CLASS.get(sop_class_uid)
    if found is None:
        row = SOP_CLASSES.get(sop_class_uid)
        if row is None or not row.stored or not row.name.endswith(_NAMES_OF_IMAGES):
            return None
        found = "IMAGE"
    return RECORD_TYPES[found]
