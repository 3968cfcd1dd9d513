"""Status values of DIMSE responses (PS3.7 Annex C), and those that PS3.4 adds for storage."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

SUCCESS = 0x0000
CANCEL = 0xFE00
PENDING = 0xFF00
PENDING_WITH_WARNINGS = 0xFF01
ATTRIBUTE_LIST_ERROR = 0x0107
PROCESSING_FAILURE = 0x0110
DUPLICATE_SOP_INSTANCE = 0x0111
NO_SUCH_SOP_INSTANCE = 0x0112
NO_SUCH_SOP_CLASS = 0x0118
SOP_CLASS_NOT_SUPPORTED = 0x0122
NOT_AUTHORIZED = 0x0124
DUPLICATE_INVOCATION = 0x0210
UNRECOGNIZED_OPERATION = 0x0211
MISTYPED_ARGUMENT = 0x0212
RESOURCE_LIMITATION = 0x0213
OUT_OF_RESOURCES = 0xA700
DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
COERCION_OF_DATA_ELEMENTS = 0xB000
ELEMENTS_DISCARDED = 0xB006
DATA_SET_MATCHES_IN_PART = 0xB007
CANNOT_UNDERSTAND = 0xC000


class Category(Enum):
    """The five classes of status (PS3.7 C.1)."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"
    CANCEL = "cancel"
    PENDING = "pending"


TEXTS: Mapping[int, str] = {
    0x0000: "Success",
    0x0001: "Requested optional attributes are not supported",
    0x0105: "No such attribute",
    0x0106: "Invalid attribute value",
    0x0107: "Attribute list error",
    0x0110: "Processing failure",
    0x0111: "Duplicate SOP instance",
    0x0112: "No such SOP instance",
    0x0113: "No such event type",
    0x0114: "No such argument",
    0x0115: "Invalid argument value",
    0x0116: "Attribute value out of range",
    0x0117: "Invalid SOP instance",
    0x0118: "No such SOP class",
    0x0119: "Class-instance conflict",
    0x0120: "Missing attribute",
    0x0121: "Missing attribute value",
    0x0122: "Refused: SOP class not supported",
    0x0123: "No such action",
    0x0124: "Refused: not authorized",
    0x0210: "Duplicate invocation",
    0x0211: "Unrecognized operation",
    0x0212: "Mistyped argument",
    0x0213: "Resource limitation",
    0xA700: "Refused: out of resources",
    0xA900: "Error: data set does not match SOP class",
    0xB000: "Warning: coercion of data elements",
    0xB006: "Warning: elements discarded",
    0xB007: "Warning: data set does not match SOP class",
    0xC000: "Error: cannot understand",
    0xFE00: "Terminated by a cancel request",
    0xFF00: "Pending",
    0xFF01: "Pending, optional keys are not supported",
}

_WARNINGS = frozenset((0x0001, 0x0107, 0x0116))
_RANGES = ((0xA700, "Refused: out of resources"), (0xA900, TEXTS[0xA900]))


def category(status: int) -> Category:
    """The class of any status: unlisted Axxx, Cxxx and others are failures, Bxxx warnings."""
    if status == SUCCESS:
        return Category.SUCCESS
    if status in (PENDING, PENDING_WITH_WARNINGS):
        return Category.PENDING
    if status == CANCEL:
        return Category.CANCEL
    if status in _WARNINGS or 0xB000 <= status <= 0xBFFF:
        return Category.WARNING
    return Category.FAILURE


def may_pass(status: int) -> bool:
    """Whether the same request may succeed another time: the peer lacks resources, or failed."""
    return status & 0xFF00 == OUT_OF_RESOURCES or status in (
        PROCESSING_FAILURE,
        RESOURCE_LIMITATION,
    )


def status_text(status: int) -> str:
    """A status in words: its own, or those of the range it lies in (PS3.4 Table B.2-1)."""
    known = TEXTS.get(status)
    if known is None:
        base = status & 0xFF00
        if status & 0xF000 == 0xC000:
            known = TEXTS[0xC000]
        else:
            known = dict(_RANGES).get(base, category(status).value.capitalize())
    return f"{status:04X}H {known}"
