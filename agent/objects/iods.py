"""The composite objects that we create: one row each (PS3.3 annex A).

A row names the modules that are written, in the order of the IOD's table, and the pixels that the
IOD allows. Modules of usage U for which the box has no facts are not named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.errors import LocalError
from agent.objects.pixels import PixelDescription, PixelRule

ULTRASOUND_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
ULTRASOUND_MULTI_FRAME_IMAGE = "1.2.840.10008.5.1.4.1.1.3.1"
SECONDARY_CAPTURE_IMAGE = "1.2.840.10008.5.1.4.1.1.7"
MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE = "1.2.840.10008.5.1.4.1.1.7.2"
MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE = "1.2.840.10008.5.1.4.1.1.7.3"
MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE = "1.2.840.10008.5.1.4.1.1.7.4"


@dataclass(frozen=True, slots=True)
class Iod:
    """One row. `modality` and `image_type` are the defaults; `multi_frame` has the module."""

    sop_class_uid: str
    clause: str
    modality: str
    image_type: tuple[str, ...]
    modules: tuple[str, ...]
    multi_frame: bool
    pixel_rules: tuple[PixelRule, ...]

    def check(self, pixels: PixelDescription, *, encapsulated: bool) -> None:
        """Raises LocalError for pixels that the IOD does not allow."""
        pixels.check()
        if not any(rule.allows(pixels, encapsulated=encapsulated) for rule in self.pixel_rules):
            raise LocalError(
                f"{pixels.photometric_interpretation} with {pixels.bits_stored} of "
                f"{pixels.bits_allocated} bits is not allowed in this kind of object.",
                clause=f"PS3.3 {self.clause}",
                value=pixels,
                limit=self.pixel_rules,
                way_out="Convert the pixels, or choose another SOP class.",
            )


_COMMON = (
    "Patient",
    "General Study",
    "Patient Study",
    "General Series",
    "General Equipment",
)

_EIGHT = ((8,), (8, 8))

# C.8.5.6.1.2: of colour only RGB in native form; YBR_FULL_422 is what lossy JPEG makes of it.
_ULTRASOUND_PIXELS = (
    PixelRule("MONOCHROME2", *_EIGHT),
    PixelRule("RGB", *_EIGHT),
    PixelRule("YBR_FULL", *_EIGHT, native=False),
    PixelRule("YBR_FULL_422", *_EIGHT, native=False),
    PixelRule("YBR_RCT", *_EIGHT, native=False),
    PixelRule("YBR_ICT", *_EIGHT, native=False),
)

# C.8.6.2 constrains nothing beyond the Image Pixel Module.
_SECONDARY_CAPTURE_PIXELS = (
    PixelRule("MONOCHROME1", (8, 16), (1, 16)),
    PixelRule("MONOCHROME2", (8, 16), (1, 16)),
    PixelRule("RGB", *_EIGHT),
    PixelRule("YBR_FULL", *_EIGHT),
    PixelRule("YBR_FULL_422", *_EIGHT),
    PixelRule("YBR_RCT", *_EIGHT, native=False),
    PixelRule("YBR_ICT", *_EIGHT, native=False),
)

_MULTI_FRAME_SECONDARY_CAPTURE_MODULES = (
    *_COMMON,
    "SC Equipment",
    "General Acquisition",
    "General Image",
    "Image Pixel",
    "Cine",
    "Multi-frame",
    "SC Image",
    "SC Multi-frame Image",
    "SOP Common",
)

_ROWS = (
    Iod(
        ULTRASOUND_IMAGE,
        "A.6",
        "US",
        ("ORIGINAL", "PRIMARY"),
        (*_COMMON, "General Acquisition", "General Image", "Image Pixel", "US Image", "SOP Common"),
        multi_frame=False,
        pixel_rules=_ULTRASOUND_PIXELS,
    ),
    Iod(
        ULTRASOUND_MULTI_FRAME_IMAGE,
        "A.7",
        "US",
        ("ORIGINAL", "PRIMARY"),
        (
            *_COMMON,
            "General Acquisition",
            "General Image",
            "Image Pixel",
            "Cine",
            "Multi-frame",
            "US Image",
            "SOP Common",
        ),
        multi_frame=True,
        pixel_rules=_ULTRASOUND_PIXELS,
    ),
    Iod(
        SECONDARY_CAPTURE_IMAGE,
        "A.8.1",
        "OT",
        ("DERIVED", "SECONDARY"),
        (
            *_COMMON,
            "SC Equipment",
            "General Acquisition",
            "General Image",
            "Image Pixel",
            "SC Image",
            "SOP Common",
        ),
        multi_frame=False,
        pixel_rules=_SECONDARY_CAPTURE_PIXELS,
    ),
    Iod(
        MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE,
        "A.8.3",
        "OT",
        ("DERIVED", "SECONDARY"),
        _MULTI_FRAME_SECONDARY_CAPTURE_MODULES,
        multi_frame=True,
        pixel_rules=(PixelRule("MONOCHROME2", *_EIGHT),),
    ),
    Iod(
        MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE,
        "A.8.4",
        "OT",
        ("DERIVED", "SECONDARY"),
        _MULTI_FRAME_SECONDARY_CAPTURE_MODULES,
        multi_frame=True,
        pixel_rules=(PixelRule("MONOCHROME2", (16,), (9, 16)),),
    ),
    Iod(
        MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE,
        "A.8.5",
        "OT",
        ("DERIVED", "SECONDARY"),
        _MULTI_FRAME_SECONDARY_CAPTURE_MODULES,
        multi_frame=True,
        # A.8.5.4: RGB in native form; the others belong to a compression each.
        pixel_rules=(
            PixelRule("RGB", *_EIGHT),
            PixelRule("YBR_FULL_422", *_EIGHT, native=False),
            PixelRule("YBR_RCT", *_EIGHT, native=False),
            PixelRule("YBR_ICT", *_EIGHT, native=False),
        ),
    ),
)

IODS: Mapping[str, Iod] = {row.sop_class_uid: row for row in _ROWS}


def iod_of(sop_class_uid: str) -> Iod:
    """The row of a SOP class. Raises LocalError for one that we do not create."""
    found = IODS.get(sop_class_uid)
    if found is None:
        raise LocalError(
            "Objects of this SOP class are not created here.",
            clause="PS3.3 A",
            value=sop_class_uid,
            limit=tuple(IODS),
        )
    return found
