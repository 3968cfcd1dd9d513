"""Items that stand where a sequence was that must not be empty and must not stay (action D)."""

from __future__ import annotations

import struct

from agent.dataset.conversion import Replacement
from agent.dataset.reader import Event, ItemEnd, ItemStart, SequenceEnd, SequenceStart
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.security.dummy_values import REMOVED

_Values = tuple[tuple[int, str, "bytes | _Values"], ...]

# A comment that says that the content is not there (PS3.16 TID 300 and others use the concept).
_CONTENT: _Values = (
    (0x0040_A010, "CS", b"CONTAINS"),
    (0x0040_A040, "CS", b"TEXT"),
    (
        0x0040_A043,
        "SQ",
        (
            (0x0008_0100, "SH", b"121106"),
            (0x0008_0102, "SH", b"DCM"),
            (0x0008_0104, "LO", b"Comment"),
        ),
    ),
    (0x0040_A160, "UT", REMOVED.encode()),
)

GRAPHIC_ANNOTATION_SEQUENCE = 0x0070_0001
GRAPHIC_LAYER = 0x0070_0002

# A text object that is not to be seen (PS3.3 C.10.5).
_GRAPHICS: _Values = (
    (
        0x0070_0008,
        "SQ",
        (
            (0x0070_0004, "CS", b"DISPLAY"),
            (0x0070_0006, "ST", REMOVED.encode()),
            (0x0070_0014, "FL", struct.pack("<2f", 0, 0)),
            (0x0070_0015, "CS", b"N"),
        ),
    ),
)

_CONTENT_SEQUENCE = 0x0040_A730


def dummy_items(start: SequenceStart, layer: str) -> list[Event | Replacement] | None:
    """The whole sequence with one item; None for one whose own items can be filled with dummies.

    `layer` is a graphic layer that the object has.
    """
    if start.tag == _CONTENT_SEQUENCE:
        return _sequence(start.tag, _CONTENT, start.depth)
    if start.tag == GRAPHIC_ANNOTATION_SEQUENCE:
        values = ((GRAPHIC_LAYER, "CS", layer.encode("ascii", "replace")), *_GRAPHICS)
        return _sequence(start.tag, values, start.depth)
    return None


def _sequence(tag: int, values: _Values, depth: int) -> list[Event | Replacement]:
    made: list[Event | Replacement] = [
        SequenceStart(tag, "SQ", 0, UNDEFINED_LENGTH, depth, 0),
        ItemStart(1, 0, UNDEFINED_LENGTH, depth, 0),
    ]
    for number, vr, value in values:
        if isinstance(value, bytes):
            made.append(Replacement(number, vr, value))
        else:
            made += _sequence(number, value, depth + 1)
    return [*made, ItemEnd(depth, 0), SequenceEnd(tag, depth, 0)]
