"""Endoscopic, Microscopic and Photographic Image, and their video kinds (PS3.3 A.32)."""

from __future__ import annotations

from agent.objects.iod import CLIP, EIGHT, IMAGE, Iod
from agent.objects.module import Attribute, Module
from agent.objects.pixels import PixelRule

VL_ENDOSCOPIC_IMAGE = "1.2.840.10008.5.1.4.1.1.77.1.1"
VIDEO_ENDOSCOPIC_IMAGE = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
VL_MICROSCOPIC_IMAGE = "1.2.840.10008.5.1.4.1.1.77.1.2"
VIDEO_MICROSCOPIC_IMAGE = "1.2.840.10008.5.1.4.1.1.77.1.2.1"
VL_PHOTOGRAPHIC_IMAGE = "1.2.840.10008.5.1.4.1.1.77.1.4"
VIDEO_PHOTOGRAPHIC_IMAGE = "1.2.840.10008.5.1.4.1.1.77.1.4.1"

_A = Attribute

MODULES = (
    Module(
        "VL Image",
        "C.8.12.1",
        (
            _A(0x00080008, "CS", "1", "object.image_type"),
            _A(0x00282110, "CS", "2", "pixels.lossy"),
            # Of a patient, not a specimen: required; what claims least unless a template knows.
            _A(0x00082218, "SQ", "1C", "anatomic_region_or_entire_body"),
            _A(0x00280030, "DS", "3", "instance.pixel_spacing"),
        ),
    ),
)

# C.8.12.1: grey, RGB, or what JPEG and JPEG 2000 make of it.
_STILL_PIXELS = (
    PixelRule("MONOCHROME2", *EIGHT),
    PixelRule("RGB", *EIGHT),
    PixelRule("YBR_FULL_422", *EIGHT, native=False),
    PixelRule("YBR_RCT", *EIGHT, native=False),
    PixelRule("YBR_ICT", *EIGHT, native=False),
)

# PS3.5 8.2.5 to 8.2.11: MPEG-2, MPEG-4 and HEVC hold 4:2:0; a clip of stills is as the stills.
_VIDEO_PIXELS = (PixelRule("YBR_PARTIAL_420", *EIGHT, native=False), *_STILL_PIXELS)


def _still(sop_class_uid: str, clause: str, modality: str) -> Iod:
    return Iod(
        sop_class_uid,
        clause,
        modality,
        ("ORIGINAL", "PRIMARY"),
        (*IMAGE, "Acquisition Context", "VL Image", "SOP Common"),
        pixel_rules=_STILL_PIXELS,
    )


def _video(sop_class_uid: str, clause: str, modality: str) -> Iod:
    return Iod(
        sop_class_uid,
        clause,
        modality,
        ("ORIGINAL", "PRIMARY"),
        (*CLIP, "Acquisition Context", "VL Image", "SOP Common"),
        multi_frame=True,
        pixel_rules=_VIDEO_PIXELS,
    )


IODS = (
    _still(VL_ENDOSCOPIC_IMAGE, "A.32.1", "ES"),
    _still(VL_MICROSCOPIC_IMAGE, "A.32.2", "GM"),
    _still(VL_PHOTOGRAPHIC_IMAGE, "A.32.4", "XC"),
    _video(VIDEO_ENDOSCOPIC_IMAGE, "A.32.5", "ES"),
    _video(VIDEO_MICROSCOPIC_IMAGE, "A.32.6", "GM"),
    _video(VIDEO_PHOTOGRAPHIC_IMAGE, "A.32.7", "XC"),
)
