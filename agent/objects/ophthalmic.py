"""Ophthalmic Photography 8 and 16 Bit Image (PS3.3 A.41, A.42)."""

from __future__ import annotations

from agent.objects.iod import CLIP, EIGHT, Iod
from agent.objects.module import Attribute, Module
from agent.objects.pixels import PixelRule

OPHTHALMIC_PHOTOGRAPHY_8_BIT_IMAGE = "1.2.840.10008.5.1.4.1.1.77.1.5.1"
OPHTHALMIC_PHOTOGRAPHY_16_BIT_IMAGE = "1.2.840.10008.5.1.4.1.1.77.1.5.2"

_A = Attribute

MODULES = (
    Module(
        "Synchronization",
        "C.7.4.2",
        (
            _A(0x00200200, "UI", "1", "own_synchronization_frame_of_reference"),
            _A(0x0018106A, "CS", "1", "=NO TRIGGER"),
            _A(0x00181800, "CS", "1", "=N"),
        ),
    ),
    Module(
        "Ophthalmic Photography Image",
        "C.8.17.2",
        (
            _A(0x00080008, "CS", "1", "object.image_type"),
            _A(0x00200013, "IS", "1", "instance.number"),
            _A(0x00280030, "DS", "1C", "instance.pixel_spacing"),
            _A(0x00080033, "TM", "1", "instance.created.time"),
            _A(0x00080023, "DA", "1", "instance.created.date"),
            _A(0x0008002A, "DT", "1C", "acquired_date_time"),
            _A(0x00282110, "CS", "1", "pixels.lossy"),
            _A(0x20500020, "CS", "1C", "=IDENTITY", "one sample"),
            _A(0x00280301, "CS", "1", "burned_in_annotation"),
        ),
    ),
    Module(
        "Ocular Region Imaged",
        "C.8.17.5",
        (
            # C.8.17.5: R, L or B; there is no side that is unknown.
            _A(0x00200062, "CS", "1", "series.laterality"),
            _A(0x00082218, "SQ", "1", "eye"),
        ),
    ),
    Module(
        "Ophthalmic Photography Acquisition Parameters",
        "C.8.17.4",
        (
            _A(0x00220005, "CS", "2", "given"),
            _A(0x0022001B, "SQ", "2", "given"),
            _A(0x0022000A, "FL", "2", "given"),
            _A(0x0022000B, "FL", "2", "given"),
            _A(0x0022000C, "FL", "2", "given"),
            _A(0x0022000D, "CS", "2", "given"),
        ),
    ),
    Module(
        "Ophthalmic Photographic Parameters",
        "C.8.17.3",
        (
            _A(0x00220015, "SQ", "1", "fundus_camera"),
            _A(0x00220016, "SQ", "2", "given"),
            _A(0x00220017, "SQ", "2", "given"),
            _A(0x00220018, "SQ", "2", "given"),
            _A(0x00220019, "SQ", "2", "given"),
            _A(0x00187004, "CS", "2", "given"),
        ),
    ),
)


def _photography(sop_class_uid: str, clause: str, *rules: PixelRule) -> Iod:
    return Iod(
        sop_class_uid,
        clause,
        "OP",
        ("ORIGINAL", "PRIMARY"),
        (
            *CLIP,
            "Synchronization",
            "Ophthalmic Photography Image",
            "Ocular Region Imaged",
            "Ophthalmic Photography Acquisition Parameters",
            "Ophthalmic Photographic Parameters",
            "SOP Common",
        ),
        multi_frame=True,
        pixel_rules=rules,
        # One photograph is an object of one frame, begun without a frame time.
        may_be_multi_frame=True,
    )


IODS = (
    _photography(
        OPHTHALMIC_PHOTOGRAPHY_8_BIT_IMAGE,
        "A.41",
        PixelRule("MONOCHROME2", *EIGHT),
        PixelRule("RGB", *EIGHT),
        PixelRule("YBR_FULL_422", *EIGHT, native=False),
        PixelRule("YBR_PARTIAL_420", *EIGHT, native=False),
        PixelRule("YBR_RCT", *EIGHT, native=False),
        PixelRule("YBR_ICT", *EIGHT, native=False),
    ),
    _photography(
        OPHTHALMIC_PHOTOGRAPHY_16_BIT_IMAGE,
        "A.42",
        PixelRule("MONOCHROME2", (16,), (16, 16)),
    ),
)
