"""The header of one element: tag, VR, value length (PS3.5 7.1), in every encoding."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from agent.dataset.value_representations import SHORT_LENGTH, VALUE_REPRESENTATIONS
from agent.dataset.window import Window, refuse

Unpackers = tuple[
    Callable[..., tuple[int, int, bytes, int]],
    Callable[..., tuple[int, int, int]],
    Callable[..., tuple[int]],
]
"""For: a header in explicit VR with a short length; one in implicit VR; a long length."""

UNPACKERS: dict[bool, Unpackers] = {
    little: (
        Struct(f"{order}HH2sH").unpack_from,
        Struct(f"{order}HHI").unpack_from,
        Struct(f"{order}I").unpack_from,
    )
    for little, order in ((True, "<"), (False, ">"))
}

SHORT = frozenset(vr.encode() for vr in SHORT_LENGTH)
LONG = frozenset(vr.encode() for vr in VALUE_REPRESENTATIONS) - SHORT


class ElementHeader(NamedTuple):
    """A header as read: `vr` is "" where implicit VR leaves it to the dictionary."""

    tag: int
    vr: str
    length: int
    value_offset: int


def read_element_header(
    window: Window, position: int, explicit: bool, little: bool
) -> ElementHeader | None:
    """The header at `position`, or None where fewer than eight bytes are left."""
    head = window.peek(position, 12)
    if len(head) < 8:
        return None
    unpackers = UNPACKERS[little]
    if not explicit:
        group, element, length = unpackers[1](head)
        return ElementHeader(group << 16 | element, "", length, position + 8)
    group, element, vr, length = unpackers[0](head)
    tag = group << 16 | element
    if vr in SHORT:
        return ElementHeader(tag, vr.decode(), length, position + 8)
    if group == 0xFFFE:
        # Items and delimiters never have a VR (PS3.5 7.5).
        return ElementHeader(tag, "", unpackers[1](head)[2], position + 8)
    if vr in LONG and len(head) == 12:
        return ElementHeader(tag, vr.decode(), unpackers[2](head, 8)[0], position + 12)
    size, length = odd_header(head, unpackers)
    return ElementHeader(tag, vr.decode() if size == 12 else "", length, position + size)


def read_item_header(window: Window, position: int, little: bool) -> tuple[int, int]:
    """The tag and length at `position`, where an item or a delimiter must stand (PS3.5 7.5)."""
    head = window.peek(position, 8)
    if len(head) < 8:
        refuse("The data set ends within a sequence", position, None)
    group, element, length = UNPACKERS[little][1](head)
    return group << 16 | element, length


def odd_header(head: bytes, unpackers: Unpackers) -> tuple[int, int]:
    """The size of the header, and the length of the value, of an element without a known VR.

    A VR of two capital letters is one of the future and has the long form (PS3.5 7.1.2). Other
    bytes are the length of an element that a careless writer left in implicit VR, or a
    placeholder such as "??" with the short form.
    """
    vr = head[4:6]
    if vr.isalpha() and vr.isupper():
        if len(head) < 12:
            refuse("The data set ends within the header of an element", len(head), 12)
        return 12, unpackers[2](head, 8)[0]
    length: int = unpackers[0](head)[3]
    if length and vr != b"\xff\xff":
        return 8, length
    return 8, unpackers[1](head)[2]
