"""Secondary Capture Image and its four multi-frame kinds (PS3.3 A.8)."""

from __future__ import annotations

from agent.objects.iod import EIGHT, PATIENT_TO_EQUIPMENT, Iod
from agent.objects.module import Attribute, Module
from agent.objects.pixels import PixelRule

SECONDARY_CAPTURE_IMAGE = "1.2.840.10008.5.1.4.1.1.7"
MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE = "1.2.840.10008.5.1.4.1.1.7.1"
MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE = "1.2.840.10008.5.1.4.1.1.7.2"
MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE = "1.2.840.10008.5.1.4.1.1.7.3"
MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE = "1.2.840.10008.5.1.4.1.1.7.4"

_A = Attribute

MODULES = (
    Module(
        "SC Equipment",
        "C.8.6.1",
        (
            _A(0x00080064, "CS", "1", "device.conversion_type"),
            _A(0x00181010, "LO", "3", "device.capture_identifier"),
            _A(0x00181016, "LO", "3", "device.capture_manufacturer"),
            _A(0x00181018, "LO", "3", "device.capture_model_name"),
            _A(0x00181019, "LO", "3", "device.capture_software_versions"),
        ),
    ),
    Module(
        "SC Image",
        "C.8.6.2",
        (
            _A(0x00181012, "DA", "3", "instance.acquired.date"),
            _A(0x00181014, "TM", "3", "instance.acquired.time"),
            # C.8.6.2: what the pixels of the capture nominally measure.
            _A(0x00182010, "DS", "3", "instance.pixel_spacing"),
        ),
    ),
    Module(
        "SC Multi-frame Image",
        "C.8.6.3",
        (
            _A(0x00280301, "CS", "1", "burned_in_annotation"),
            _A(0x20500020, "CS", "1C", "=IDENTITY", "one sample of several bits"),
            _A(0x00281052, "DS", "1C", "=0", "one sample of several bits"),
            _A(0x00281053, "DS", "1C", "=1", "one sample of several bits"),
            _A(0x00281054, "LO", "1C", "=US", "one sample of several bits"),
        ),
    ),
)

# C.8.6.2 constrains nothing beyond the Image Pixel Module.
_PIXELS = (
    PixelRule("MONOCHROME1", (8, 16), (1, 16)),
    PixelRule("MONOCHROME2", (8, 16), (1, 16)),
    PixelRule("RGB", *EIGHT),
    PixelRule("YBR_FULL", *EIGHT),
    PixelRule("YBR_FULL_422", *EIGHT),
    PixelRule("YBR_RCT", *EIGHT, native=False),
    PixelRule("YBR_ICT", *EIGHT, native=False),
)

_CAPTURE = (
    *PATIENT_TO_EQUIPMENT,
    "SC Equipment",
    "General Acquisition",
    "General Image",
    "Image Pixel",
)

# A.8.5.4: RGB in native form; the others belong to a compression each.
_TRUE_COLOR_PIXELS = (
    PixelRule("RGB", *EIGHT),
    PixelRule("YBR_FULL_422", *EIGHT, native=False),
    PixelRule("YBR_RCT", *EIGHT, native=False),
    PixelRule("YBR_ICT", *EIGHT, native=False),
)


def _multi_frame(sop_class_uid: str, clause: str, *rules: PixelRule) -> Iod:
    modules = (*_CAPTURE, "Cine", "Multi-frame", "SC Image", "SC Multi-frame Image", "SOP Common")
    return Iod(
        sop_class_uid,
        clause,
        "OT",
        ("DERIVED", "SECONDARY"),
        modules,
        multi_frame=True,
        pixel_rules=rules,
    )


IODS = (
    Iod(
        SECONDARY_CAPTURE_IMAGE,
        "A.8.1",
        "OT",
        ("DERIVED", "SECONDARY"),
        (*_CAPTURE, "SC Image", "SOP Common"),
        pixel_rules=_PIXELS,
    ),
    _multi_frame(
        MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE,
        "A.8.2",
        PixelRule("MONOCHROME2", (1,), (1, 1), encapsulated=False),
    ),
    _multi_frame(
        MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE,
        "A.8.3",
        PixelRule("MONOCHROME2", *EIGHT),
    ),
    _multi_frame(
        MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE,
        "A.8.4",
        PixelRule("MONOCHROME2", (16,), (9, 16)),
    ),
    _multi_frame(MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE, "A.8.5", *_TRUE_COLOR_PIXELS),
)
