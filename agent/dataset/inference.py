"""What bytes without a label look like: a group, a data set, and in which native transfer syntax.

For files that break PS3.10 7.1: without file meta information, or with one that is not true.
"""

from __future__ import annotations

from agent.dataset.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from agent.dataset.value_representations import UNDEFINED_LENGTH, VALUE_REPRESENTATIONS


def starts_with_group(head: bytes, group: int) -> bool:
    """Whether an element of this group begins here, in either byte order."""
    little = head[:2] == group.to_bytes(2, "little")
    return (little or head[:2] == group.to_bytes(2, "big")) and len(head) >= 8


def looks_like_data_set(head: bytes) -> bool:
    """Whether these bytes can be the start of a bare data set: a low group, a VR or a length."""
    if len(head) < 8:
        return False
    group = min(int.from_bytes(head[:2], "little"), int.from_bytes(head[:2], "big"))
    if not 4 <= group <= 0x20:
        return False
    if head[4:6].decode("latin-1") in VALUE_REPRESENTATIONS:
        return True
    return int.from_bytes(head[4:8], "little") < 0x10000


def inferred_transfer_syntax(first: bytes) -> str:
    """The uncompressed syntax in which eight bytes start a data set; Deflated if in none."""
    explicit = first[4:6].decode("latin-1") in VALUE_REPRESENTATIONS
    little, big = int.from_bytes(first[:2], "little"), int.from_bytes(first[:2], "big")
    if explicit:
        return EXPLICIT_VR_LITTLE_ENDIAN if little <= big else EXPLICIT_VR_BIG_ENDIAN
    length = int.from_bytes(first[4:8], "little")
    if little <= big and (length <= 0x00FFFFFF or length == UNDEFINED_LENGTH):
        return IMPLICIT_VR_LITTLE_ENDIAN
    return DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
