"""CT, MR and PET Image: saved captures and derived images (PS3.3 A.3, A.4, A.21).

What only a scanner can know (KVP, echo time, isotope) comes from outside or is written empty
where the standard allows; enumerated defaults are those that claim least.
"""

from __future__ import annotations

from agent.objects.iod import PATIENT_TO_EQUIPMENT, Iod
from agent.objects.module import Attribute, Module
from agent.objects.pixels import PixelRule

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
POSITRON_EMISSION_TOMOGRAPHY_IMAGE = "1.2.840.10008.5.1.4.1.1.128"

_A = Attribute

MODULES = (
    Module(
        "Image Plane",
        "C.7.6.2",
        (
            _A(0x00280030, "DS", "1", "instance.geometry.spacing"),
            _A(0x00200037, "DS", "1", "instance.geometry.orientation"),
            _A(0x00200032, "DS", "1", "instance.geometry.position"),
            _A(0x00180050, "DS", "2", "instance.geometry.slice_thickness"),
            _A(0x00201041, "DS", "3", "instance.geometry.slice_location"),
        ),
    ),
    Module(
        "CT Image",
        "C.8.2.1",
        (
            _A(0x00080008, "CS", "1", "object.image_type"),
            _A(0x00281052, "DS", "1", "=0"),
            _A(0x00281053, "DS", "1", "=1"),
            # C.8.2.1: of an original image HU, which need not be said; of others unspecified.
            _A(0x00281054, "LO", "1C", "=US", "derived"),
            _A(0x00180060, "DS", "2", "given"),
            _A(0x00200012, "IS", "2", "given"),
        ),
    ),
    Module(
        "MR Image",
        "C.8.3.1",
        (
            _A(0x00080008, "CS", "1", "object.image_type"),
            _A(0x00180020, "CS", "1", "=RM"),
            _A(0x00180021, "CS", "1", "=NONE"),
            _A(0x00180022, "CS", "2", "given"),
            _A(0x00180023, "CS", "2", "given"),
            _A(0x00180080, "DS", "2", "given"),
            _A(0x00180081, "DS", "2", "given"),
            _A(0x00180091, "IS", "2", "given"),
        ),
    ),
    Module(
        "PET Series",
        "C.8.9.1",
        (
            _A(0x00080021, "DA", "1", "series_date"),
            _A(0x00080031, "TM", "1", "series_time"),
            _A(0x00541001, "CS", "1", "=NONE"),
            _A(0x00541002, "CS", "1", "=EMISSION"),
            _A(0x00541000, "CS", "1", "=STATIC\\IMAGE"),
            _A(0x00540081, "US", "1", "=1"),
            _A(0x00280051, "CS", "2", "given"),
            _A(0x00541102, "CS", "1", "=NONE"),
            _A(0x00181181, "CS", "2", "given"),
        ),
    ),
    Module("PET Isotope", "C.8.9.2", (_A(0x00540016, "SQ", "2", "given"),)),
    Module(
        "NM/PET Patient Orientation",
        "C.8.4.6",
        (
            _A(0x00540410, "SQ", "2", "given"),
            _A(0x00540414, "SQ", "2", "given"),
        ),
    ),
    Module(
        "PET Image",
        "C.8.9.4",
        (
            _A(0x00080008, "CS", "1", "object.image_type"),
            _A(0x00281052, "DS", "1", "=0"),
            _A(0x00281053, "DS", "1", "=1"),
            _A(0x00541300, "DS", "1", "=0"),
            _A(0x00282110, "CS", "1C", "pixels.lossy"),
            _A(0x00541330, "US", "1", "instance.number"),
            _A(0x00080022, "DA", "2", "instance.acquired.date"),
            _A(0x00080032, "TM", "2", "instance.acquired.time"),
            _A(0x00181242, "IS", "2", "given"),
        ),
    ),
)

_TO_SERIES = PATIENT_TO_EQUIPMENT[:-1]
_TO_PLANE = (
    "General Equipment",
    "General Acquisition",
    "General Image",
    "Image Plane",
    "Image Pixel",
)

IODS = (
    Iod(
        CT_IMAGE,
        "A.3",
        "CT",
        ("ORIGINAL", "PRIMARY", "AXIAL"),
        (*_TO_SERIES, "Frame of Reference", *_TO_PLANE, "CT Image", "SOP Common"),
        pixel_rules=(
            # C.8.2.1: 12 to 16 bits in 16.
            PixelRule("MONOCHROME2", (16,), (12, 16)),
            PixelRule("MONOCHROME1", (16,), (12, 16)),
        ),
    ),
    Iod(
        MR_IMAGE,
        "A.4",
        "MR",
        ("ORIGINAL", "PRIMARY", "OTHER"),
        (*_TO_SERIES, "Frame of Reference", *_TO_PLANE, "MR Image", "SOP Common"),
        pixel_rules=(
            PixelRule("MONOCHROME2", (16,), (8, 16)),
            PixelRule("MONOCHROME1", (16,), (8, 16)),
        ),
    ),
    Iod(
        POSITRON_EMISSION_TOMOGRAPHY_IMAGE,
        "A.21",
        "PT",
        ("ORIGINAL", "PRIMARY"),
        (
            *_TO_SERIES,
            "PET Series",
            "PET Isotope",
            "NM/PET Patient Orientation",
            "Frame of Reference",
            *_TO_PLANE,
            "PET Image",
            "SOP Common",
        ),
        pixel_rules=(PixelRule("MONOCHROME2", (16,), (16, 16)),),
    ),
)
