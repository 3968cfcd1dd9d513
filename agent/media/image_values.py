"""The values that attributes of images must have in a profile (PS3.11 A.3.4 to E.3.4, K.3.4).

An image of a class has one of several forms; each says what its attributes are: `Rows<=512`,
`BitsStored=8,12`, a keyword alone for one that must have a value, `?DetectorID` for one that must
be there, with a value or without, `!OverlayRows` for one that must not be there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from agent.dataset import tags
from agent.dataset.attributes import Attributes
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, JPEG_BASELINE, RLE_LOSSLESS

_WORD = re.compile(r"([!?]?)(\w+)(?:(<=|=)(.+))?")
_OVERLAY_ROWS = 0x60000010
"""Of the first of the overlays, 60XX."""


Forms = Mapping[str, tuple[str, ...]]
"""By SOP Class UID, the forms of which an image must have one. They are text until an image comes:
the node keeps all profiles in memory, and the dictionary that knows the tags is large."""

NO_FORMS: Forms = {}


class _Wanted(NamedTuple):
    """What one attribute must be: `how` is "=", "<=", "given", "there" or "absent"."""

    keyword: str
    tag: int
    how: str
    values: tuple[str, ...]

    def fault(self, found: Attributes) -> str:
        """What it is instead; "" where it is right."""
        text = found.text(self.tag)
        if self.how == "=":
            named = " or ".join(self.values)
            return "" if text in self.values else f"{self.keyword} {named}, not {text or 'none'}"
        if self.how == "<=":
            fits = 0 < found.number(self.tag) <= int(self.values[0])
            return "" if fits else f"{self.keyword} of at most {self.values[0]}, not {text}"
        if self.how == "absent":
            return f"no {self.keyword}" if self.tag in found else ""
        there = found.has(self.tag) if self.how == "given" else self.tag in found
        return "" if there else f"{self.keyword}, which is missing"


@cache
def _form(text: str) -> tuple[_Wanted, ...]:
    return tuple(map(_wanted, text.split()))


def _wanted(word: str) -> _Wanted:
    row = _WORD.fullmatch(word)
    assert row is not None, word
    mark, keyword, how, values = row.groups()
    tag = _OVERLAY_ROWS if keyword == "OverlayRows" else tags.from_text(keyword)
    how = how or {"": "given", "?": "there", "!": "absent"}[mark]
    return _Wanted(keyword, tag, how, tuple((values or "").replace("~", " ").split(",")))


def wanted_of(forms: tuple[str, ...]) -> frozenset[int]:
    """The tags to read for these."""
    return frozenset(each.tag for form in forms for each in _form(form))


def fault_of(forms: tuple[str, ...], found: Attributes, transfer_syntax_uid: str) -> str:
    """What the image should have, by the form that it agrees with longest; "" where it has one."""
    if not forms:
        return ""
    stated = found.copy()
    stated.set("TransferSyntaxUID", transfer_syntax_uid)
    furthest, said = -1, ""
    for form in forms:
        faults = [each.fault(stated) for each in _form(form)]
        if not any(faults):
            return ""
        right = next(number for number, fault in enumerate(faults) if fault)
        if right > furthest:
            furthest, said = right, faults[right]
    return said


def _forms(classes: Mapping[str, tuple[str, ...]]) -> Forms:
    """By the ends of the UIDs of storage classes."""
    return {f"1.2.840.10008.5.1.4.1.1.{end}": texts for end, texts in classes.items()}


_GREY = "SamplesPerPixel=1 PhotometricInterpretation=MONOCHROME2"
_PALETTE = "SamplesPerPixel=1 PhotometricInterpretation=PALETTE~COLOR"
_UP_TO_1024 = "Rows<=1024 Columns<=1024"

CARDIAC = _forms({"12.1": ("Modality=XA Rows<=512 Columns<=512 BitsAllocated=8 BitsStored=8",)})
"""Table A.3-3."""

ANGIOGRAPHIC = _forms(
    {
        "12.1": (f"Modality=XA {_UP_TO_1024} BitsStored=8,10,12",),
        "7": (
            f"{_UP_TO_1024} {_GREY} BitsAllocated=8 BitsStored=8 HighBit=7 PixelRepresentation=0 "
            "!OverlayRows",
        ),
    }
)
"""Tables B.3-3 and B.3-4."""

CT_AND_MR = _forms(
    {
        "2": ("Modality=CT PhotometricInterpretation=MONOCHROME2",),
        "4": tuple(
            "Modality=MR PhotometricInterpretation=MONOCHROME2 "
            f"BitsStored={bits} HighBit={bits - 1}"
            for bits in (8, 12, 13, 14, 15, 16)
        ),
        "7": (
            f"{_GREY} BitsAllocated=8 BitsStored=8 HighBit=7",
            f"{_GREY} BitsAllocated=16 BitsStored=16 HighBit=15",
            f"{_PALETTE} BitsAllocated=8 BitsStored=8 HighBit=7",
        ),
    }
)
"""Tables E.3-3 to E.3-6."""

_DETECTOR = (
    "?InstitutionName ?ManufacturerModelName ?DetectorID ?DetectorManufacturerName "
    "?DetectorManufacturerModelName"
)
DENTAL = _forms(
    dict.fromkeys(
        ("1.1", "1.3"),
        (
            f"BitsAllocated=8 BitsStored=8 {_DETECTOR}",
            f"BitsAllocated=16 BitsStored=10,12,16 {_DETECTOR}",
        ),
    )
)
"""Tables K.3-3 and K.3-4."""

_ULTRASOUND = tuple(
    f"TransferSyntaxUID={syntax} PhotometricInterpretation={interpretations}"
    for syntax, interpretations in (
        (EXPLICIT_VR_LITTLE_ENDIAN, "MONOCHROME2,RGB,PALETTE~COLOR,YBR_FULL_422"),
        (RLE_LOSSLESS, "MONOCHROME2,RGB,PALETTE~COLOR,YBR_FULL"),
        (JPEG_BASELINE, "YBR_FULL_422"),
    )
)


def _ultrasound(more: str = "") -> Forms:
    return _forms(dict.fromkeys(("6.1", "3.1"), tuple(each + more for each in _ULTRASOUND)))


ULTRASOUND = _ultrasound()
"""Table C.3-2."""

CALIBRATED_ULTRASOUND = _ultrasound(" SequenceOfUltrasoundRegions")
"""C.4 and C.5, too: with the US Region Calibration Module."""
