"""The tables of Encapsulated PDF, CDA and STL (PS3.3 A.45, A.85, C.24, C.35)."""

from __future__ import annotations

from collections.abc import Mapping

from agent.objects.iod import PATIENT_TO_EQUIPMENT, Iod
from agent.objects.module import Attribute, Module

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
ENCAPSULATED_CDA = "1.2.840.10008.5.1.4.1.1.104.2"
ENCAPSULATED_STL = "1.2.840.10008.5.1.4.1.1.104.3"

MIME_TYPES: Mapping[str, str] = {
    ENCAPSULATED_PDF: "application/pdf",
    ENCAPSULATED_CDA: "text/XML",
    ENCAPSULATED_STL: "model/stl",
}

_A = Attribute

MODULES = (
    Module(
        "Encapsulated Document Series",
        "C.24.1",
        (
            _A(0x00080060, "CS", "1", "object.modality"),
            _A(0x00200011, "IS", "1", "series.number"),
        ),
    ),
    Module(
        "Encapsulated Document",
        "C.24.2",
        (
            _A(0x00200013, "IS", "1", "instance.number"),
            _A(0x00080023, "DA", "2", "instance.created.date"),
            _A(0x00080033, "TM", "2", "instance.created.time"),
            _A(0x0008002A, "DT", "2", "acquired_date_time"),
            _A(0x00280301, "CS", "1", "burned_in_annotation"),
            _A(0x0040A043, "SQ", "2", "given"),
        ),
    ),
    Module("Manufacturing 3D Model", "C.35.1", (_A(0x004008EA, "SQ", "1", "given"),)),
)

_DOCUMENT = (*PATIENT_TO_EQUIPMENT, "Encapsulated Document Series")

IODS = (
    Iod(
        ENCAPSULATED_PDF,
        "A.45.1",
        "DOC",
        (),
        (*_DOCUMENT, "SC Equipment", "Encapsulated Document", "SOP Common"),
    ),
    Iod(
        ENCAPSULATED_CDA,
        "A.45.2",
        "DOC",
        (),
        (*_DOCUMENT, "SC Equipment", "Encapsulated Document", "SOP Common"),
    ),
    Iod(
        ENCAPSULATED_STL,
        "A.85.1",
        "M3D",
        (),
        (
            *_DOCUMENT,
            "Frame of Reference",
            "Enhanced General Equipment",
            "Encapsulated Document",
            "Manufacturing 3D Model",
            "SOP Common",
        ),
    ),
)
