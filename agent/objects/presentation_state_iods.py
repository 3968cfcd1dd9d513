"""The tables of softcopy presentation states (PS3.3 A.33, C.11)."""

from __future__ import annotations

from agent.objects.iod import PATIENT_TO_EQUIPMENT, Iod
from agent.objects.module import Attribute, Module

GRAYSCALE_SOFTCOPY_PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
COLOR_SOFTCOPY_PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.2"
PSEUDO_COLOR_SOFTCOPY_PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.3"
BLENDING_SOFTCOPY_PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.4"

_A = Attribute

MODULES = (
    Module(
        "Presentation State Identification",
        "C.11.10",
        (
            _A(0x00700082, "DA", "1", "instance.created.date"),
            _A(0x00700083, "TM", "1", "instance.created.time"),
            _A(0x00200013, "IS", "1", "instance.number"),
            _A(0x00700080, "CS", "1", "given"),
            _A(0x00700081, "LO", "2", "given"),
            _A(0x00700084, "PN", "2", "given"),
        ),
    ),
    Module("Presentation State Relationship", "C.11.11", (_A(0x00081115, "SQ", "1", "given"),)),
    Module("Displayed Area", "C.10.4", (_A(0x0070005A, "SQ", "1", "given"),)),
    Module("Softcopy Presentation LUT", "C.11.6", (_A(0x20500020, "CS", "1", "given"),)),
    Module("ICC Profile", "C.11.15", (_A(0x00282000, "OB", "1", "given"),)),
    Module(
        "Palette Color Lookup Table",
        "C.7.9",
        tuple(
            _A(tag + colour, vr, "1", "given")
            for tag, vr in ((0x00281101, "US"), (0x00281201, "OW"))
            for colour in range(3)
        ),
    ),
    Module(
        "Presentation State Blending",
        "C.11.14",
        (
            _A(0x00700402, "SQ", "1", "given"),
            _A(0x00700403, "FL", "1", "given"),
        ),
    ),
)

_STATE = (*PATIENT_TO_EQUIPMENT, "Presentation State Identification", "Displayed Area")
_RELATED = (*_STATE, "Presentation State Relationship")
_PALETTE = ("Palette Color Lookup Table", "ICC Profile")


def _state(sop_class_uid: str, clause: str, *modules: str) -> Iod:
    return Iod(sop_class_uid, clause, "PR", (), (*modules, "SOP Common"))


IODS = (
    _state(GRAYSCALE_SOFTCOPY_PRESENTATION_STATE, "A.33.1", *_RELATED, "Softcopy Presentation LUT"),
    _state(COLOR_SOFTCOPY_PRESENTATION_STATE, "A.33.2", *_RELATED, "ICC Profile"),
    _state(PSEUDO_COLOR_SOFTCOPY_PRESENTATION_STATE, "A.33.3", *_RELATED, *_PALETTE),
    _state(
        BLENDING_SOFTCOPY_PRESENTATION_STATE,
        "A.33.4",
        *_STATE,
        "Presentation State Blending",
        *_PALETTE,
    ),
)
