"""The composite objects that we create, of all families, by SOP class (PS3.3 annex A)."""

from __future__ import annotations

from collections.abc import Mapping

from agent.errors import LocalError
from agent.objects import (
    cross_sectional,
    document_iods,
    ophthalmic,
    presentation_state_iods,
    projection,
    report_iods,
    secondary_capture,
    ultrasound,
    visible_light,
    waveform_iods,
)
from agent.objects.iod import Iod
from agent.objects.secondary_capture import (
    MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE,
    MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE,
    MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE,
    MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE,
    SECONDARY_CAPTURE_IMAGE,
)
from agent.objects.ultrasound import ULTRASOUND_IMAGE, ULTRASOUND_MULTI_FRAME_IMAGE

__all__ = [
    "IODS",
    "MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE",
    "MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE",
    "MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE",
    "MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE",
    "SECONDARY_CAPTURE_IMAGE",
    "ULTRASOUND_IMAGE",
    "ULTRASOUND_MULTI_FRAME_IMAGE",
    "Iod",
    "iod_of",
]

IODS: Mapping[str, Iod] = {
    row.sop_class_uid: row
    for family in (
        ultrasound,
        secondary_capture,
        cross_sectional,
        projection,
        visible_light,
        ophthalmic,
        document_iods,
        waveform_iods,
        report_iods,
        presentation_state_iods,
    )
    for row in family.IODS
}


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
