"""The tables of structured reports and key object selections (PS3.3 A.35, C.17)."""

from __future__ import annotations

from agent.objects.iod import PATIENT_TO_EQUIPMENT, Iod
from agent.objects.module import Attribute, Module
from agent.objects.relationships import (
    BASIC_TEXT_SR,
    COMPREHENSIVE_SR,
    ENHANCED_SR,
    KEY_OBJECT_SELECTION,
    PROCEDURE_LOG,
    X_RAY_RADIATION_DOSE_SR,
)

_A = Attribute

_SERIES = (
    _A(0x00080060, "CS", "1", "object.modality"),
    _A(0x00200011, "IS", "1", "series.number"),
    _A(0x00081111, "SQ", "2", "given"),
)
_CONTENT = (
    _A(0x00200013, "IS", "1", "instance.number"),
    _A(0x00080023, "DA", "1", "instance.created.date"),
    _A(0x00080033, "TM", "1", "instance.created.time"),
)

MODULES = (
    Module("SR Document Series", "C.17.1", _SERIES),
    Module(
        "SR Document General",
        "C.17.2",
        (
            *_CONTENT,
            _A(0x0040A491, "CS", "1", "=COMPLETE"),
            _A(0x0040A493, "CS", "1", "=UNVERIFIED"),
            _A(0x0040A372, "SQ", "2", "given"),
        ),
    ),
    Module(
        "SR Document Content",
        "C.17.3",
        (
            _A(0x0040A040, "CS", "1", "given"),
            _A(0x0040A043, "SQ", "1C", "given"),
            _A(0x0040A050, "CS", "1C", "given"),
        ),
    ),
    Module("Key Object Document Series", "C.17.6.1", _SERIES),
    Module("Key Object Document", "C.17.6.2", (*_CONTENT, _A(0x0040A375, "SQ", "1", "given"))),
)

_REPORT = (
    *PATIENT_TO_EQUIPMENT,
    "SR Document Series",
    "SR Document General",
    "SR Document Content",
    "SOP Common",
)

IODS = (
    Iod(BASIC_TEXT_SR, "A.35.1", "SR", (), _REPORT),
    Iod(ENHANCED_SR, "A.35.2", "SR", (), _REPORT),
    Iod(COMPREHENSIVE_SR, "A.35.3", "SR", (), _REPORT),
    Iod(
        X_RAY_RADIATION_DOSE_SR,
        "A.35.8",
        "SR",
        (),
        (
            *PATIENT_TO_EQUIPMENT,
            "Enhanced General Equipment",
            *_REPORT[len(PATIENT_TO_EQUIPMENT) :],
        ),
    ),
    Iod(
        PROCEDURE_LOG,
        "A.35.7",
        "SR",
        (),
        (
            "Patient",
            "General Study",
            "General Series",
            "SR Document Series",
            "Synchronization",
            "General Equipment",
            "SR Document General",
            "SR Document Content",
            "SOP Common",
        ),
    ),
    Iod(
        KEY_OBJECT_SELECTION,
        "A.35.4",
        "KO",
        (),
        (
            *PATIENT_TO_EQUIPMENT,
            "Key Object Document Series",
            "Key Object Document",
            "SR Document Content",
            "SOP Common",
        ),
    ),
)
