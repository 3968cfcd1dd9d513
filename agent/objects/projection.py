"""Projection radiography: XA, XRF, CR and DX Image (PS3.3 A.14, A.16, A.2, A.26)."""

from __future__ import annotations

from agent.objects.iod import IMAGE, Iod
from agent.objects.module import Attribute, Module
from agent.objects.pixels import PixelRule

X_RAY_ANGIOGRAPHIC_IMAGE = "1.2.840.10008.5.1.4.1.1.12.1"
X_RAY_RADIOFLUOROSCOPIC_IMAGE = "1.2.840.10008.5.1.4.1.1.12.2"
COMPUTED_RADIOGRAPHY_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
DIGITAL_X_RAY_IMAGE_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"
DIGITAL_X_RAY_IMAGE_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"

_A = Attribute


def _dx_series(intent: str) -> tuple[Attribute, ...]:
    return (
        _A(0x00080060, "CS", "1", "object.modality"),
        _A(0x00080068, "CS", "1", f"=FOR {intent}"),
    )


MODULES = (
    Module(
        "X-Ray Image",
        "C.8.7.1",
        (
            _A(0x00282110, "CS", "1C", "pixels.lossy"),
            _A(0x00080008, "CS", "1", "object.image_type"),
            # C.8.7.1.1.2: DISP, as a monitor shows it: what a video signal carries.
            _A(0x00281040, "CS", "1", "=DISP"),
        ),
    ),
    Module(
        "X-Ray Acquisition",
        "C.8.7.2",
        (
            _A(0x00180060, "DS", "2", "given"),
            _A(0x00181155, "CS", "1", "=SC"),
            _A(0x00181151, "IS", "2", "given"),
            _A(0x00181150, "IS", "2", "given"),
            _A(0x00181152, "IS", "2", "given"),
            _A(0x00181164, "DS", "3", "instance.pixel_spacing"),
        ),
    ),
    Module(
        "XA Positioner",
        "C.8.7.5",
        (
            _A(0x00181510, "DS", "2", "given"),
            _A(0x00181511, "DS", "2", "given"),
            _A(0x00181500, "CS", "2C", "given", "multi-frame"),
        ),
    ),
    Module(
        "CR Series",
        "C.8.1.1",
        (
            _A(0x00180015, "CS", "2", "series.body_part_examined"),
            _A(0x00185101, "CS", "2", "given"),
        ),
    ),
    Module(
        "CR Image",
        "C.8.1.2",
        (_A(0x00181164, "DS", "3", "instance.pixel_spacing"),),
    ),
    Module("DX Series, For Presentation", "C.8.11.1", _dx_series("PRESENTATION")),
    Module("DX Series, For Processing", "C.8.11.1", _dx_series("PROCESSING")),
    Module(
        "DX Anatomy Imaged",
        "C.8.11.2",
        (
            _A(0x00200062, "CS", "1", "image_laterality"),
            _A(0x00082218, "SQ", "2", "anatomic_region"),
        ),
    ),
    Module(
        "DX Image",
        "C.8.11.3",
        (
            _A(0x00080008, "CS", "1", "object.image_type"),
            _A(0x00281040, "CS", "1", "=LIN"),
            _A(0x00281041, "SS", "1", "=1"),
            _A(0x00281052, "DS", "1", "=0"),
            _A(0x00281053, "DS", "1", "=1"),
            _A(0x00281054, "LO", "1", "=US"),
            _A(0x20500020, "CS", "1", "presentation_lut_shape"),
            _A(0x00282110, "CS", "1", "pixels.lossy"),
            _A(0x00200020, "CS", "1", "instance.patient_orientation"),
            _A(0x00280301, "CS", "1", "burned_in_annotation"),
        ),
    ),
    Module(
        "VOI LUT",
        "C.11.2",
        (
            # The whole range of the pixels, unless a window is given.
            _A(0x00281050, "DS", "1C", "middle_of_range"),
            _A(0x00281051, "DS", "1C", "width_of_range"),
        ),
    ),
    Module(
        "DX Detector",
        "C.8.11.4",
        (
            _A(0x00187004, "CS", "2", "given"),
            _A(0x00181164, "DS", "1", "instance.pixel_spacing"),
        ),
    ),
)

# C.8.7.1.1: 8 bits in 8, or 10, 12 or 16 in 16.
_X_RAY_PIXELS = (
    PixelRule("MONOCHROME2", (8,), (8, 8)),
    PixelRule("MONOCHROME2", (16,), (10, 10)),
    PixelRule("MONOCHROME2", (16,), (12, 12)),
    PixelRule("MONOCHROME2", (16,), (16, 16)),
)
_X_RAY = (*IMAGE, "Cine", "Multi-frame", "X-Ray Image", "X-Ray Acquisition")


def _digital_x_ray(sop_class_uid: str, intent: str, *voi_lut: str) -> Iod:
    return Iod(
        sop_class_uid,
        "A.26",
        "DX",
        ("ORIGINAL", "PRIMARY", ""),
        (
            *IMAGE,
            f"DX Series, {intent}",
            "DX Anatomy Imaged",
            "DX Image",
            "DX Detector",
            *voi_lut,
            "Acquisition Context",
            "SOP Common",
        ),
        # C.8.11.3: 6 to 8 bits in 8, 7 to 16 in 16.
        pixel_rules=(
            PixelRule("MONOCHROME1", (8,), (6, 8)),
            PixelRule("MONOCHROME2", (8,), (6, 8)),
            PixelRule("MONOCHROME1", (16,), (7, 16)),
            PixelRule("MONOCHROME2", (16,), (7, 16)),
        ),
    )


IODS = (
    Iod(
        X_RAY_ANGIOGRAPHIC_IMAGE,
        "A.14",
        "XA",
        ("ORIGINAL", "PRIMARY", "SINGLE PLANE"),
        (*_X_RAY, "XA Positioner", "SOP Common"),
        pixel_rules=_X_RAY_PIXELS,
        may_be_multi_frame=True,
    ),
    Iod(
        X_RAY_RADIOFLUOROSCOPIC_IMAGE,
        "A.16",
        "RF",
        ("ORIGINAL", "PRIMARY", "SINGLE PLANE"),
        (*_X_RAY, "SOP Common"),
        pixel_rules=_X_RAY_PIXELS,
        may_be_multi_frame=True,
    ),
    Iod(
        COMPUTED_RADIOGRAPHY_IMAGE,
        "A.2",
        "CR",
        ("ORIGINAL", "PRIMARY"),
        (*IMAGE, "CR Series", "CR Image", "SOP Common"),
        pixel_rules=(
            PixelRule("MONOCHROME1", (8, 16), (6, 16)),
            PixelRule("MONOCHROME2", (8, 16), (6, 16)),
        ),
    ),
    _digital_x_ray(DIGITAL_X_RAY_IMAGE_FOR_PRESENTATION, "For Presentation", "VOI LUT"),
    _digital_x_ray(DIGITAL_X_RAY_IMAGE_FOR_PROCESSING, "For Processing"),
)
