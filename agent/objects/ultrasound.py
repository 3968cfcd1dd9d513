"""Ultrasound and Ultrasound Multi-frame Image (PS3.3 A.6, A.7)."""

from __future__ import annotations

from agent.objects.iod import CLIP, EIGHT, IMAGE, Iod
from agent.objects.module import Attribute, Module
from agent.objects.pixels import PixelRule

ULTRASOUND_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
ULTRASOUND_MULTI_FRAME_IMAGE = "1.2.840.10008.5.1.4.1.1.3.1"

_A = Attribute

MODULES = (
    Module(
        "US Image",
        "C.8.5.6",
        (
            _A(0x00080008, "CS", "2", "object.image_type"),
            _A(0x00282110, "CS", "1C", "pixels.lossy"),
            _A(0x00280014, "US", "3", "colour_data_present"),
        ),
    ),
    Module(
        "US Region Calibration",
        "C.8.5.5",
        (_A(0x00186011, "SQ", "1", "ultrasound_regions"),),
        when="ultrasound regions",
    ),
)

# C.8.5.6.1.2: of colour only RGB in native form; YBR_FULL_422 is what lossy JPEG makes of it.
_PIXELS = (
    PixelRule("MONOCHROME2", *EIGHT),
    PixelRule("RGB", *EIGHT),
    PixelRule("YBR_FULL", *EIGHT, native=False),
    PixelRule("YBR_FULL_422", *EIGHT, native=False),
    PixelRule("YBR_RCT", *EIGHT, native=False),
    PixelRule("YBR_ICT", *EIGHT, native=False),
)

IODS = (
    Iod(
        ULTRASOUND_IMAGE,
        "A.6",
        "US",
        ("ORIGINAL", "PRIMARY"),
        (*IMAGE, "US Region Calibration", "US Image", "SOP Common"),
        pixel_rules=_PIXELS,
    ),
    Iod(
        ULTRASOUND_MULTI_FRAME_IMAGE,
        "A.7",
        "US",
        ("ORIGINAL", "PRIMARY"),
        (*CLIP, "US Region Calibration", "US Image", "SOP Common"),
        multi_frame=True,
        pixel_rules=_PIXELS,
    ),
)
