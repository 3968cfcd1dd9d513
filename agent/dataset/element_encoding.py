"""The bytes of single elements, items and delimiters in every transfer syntax (PS3.5 7.1, 7.5)."""

from __future__ import annotations

from agent.dataset.tags import ITEM, ITEM_DELIMITATION, SEQUENCE_DELIMITATION, format_tag
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import SHORT_LENGTH, UNDEFINED_LENGTH, pad
from agent.errors import LocalError

LONGEST_SHORT_VALUE = 0xFFFE
LONGEST_VALUE = 0xFFFFFFFE


def encode_element(tag: int, vr: str, value: bytes, transfer_syntax: TransferSyntax) -> bytes:
    """One element: header, value, and the padding of its VR where the value is odd.

    The value is in the byte order of the transfer syntax already. A value too long for the short
    form of its VR is written as UN (PS3.5 6.2.2). Raises LocalError for one that no element holds.
    """
    value = pad(vr, value)
    if vr in SHORT_LENGTH and len(value) > LONGEST_SHORT_VALUE:
        vr = "UN"
    return encode_header(tag, vr, len(value), transfer_syntax) + value


def encode_header(tag: int, vr: str, length: int, transfer_syntax: TransferSyntax) -> bytes:
    """The header of an element whose value of `length` bytes, even or undefined, is yet to come.

    Raises LocalError for a length that is odd or that the VR cannot have.
    """
    order = transfer_syntax.little_endian
    short = transfer_syntax.explicit_vr and vr in SHORT_LENGTH
    if length != UNDEFINED_LENGTH:
        longest = LONGEST_SHORT_VALUE if short else LONGEST_VALUE
        if length % 2 or not 0 <= length <= longest:
            raise LocalError(
                f"A value of {format_tag(tag)} cannot have this length.",
                clause="PS3.5 7.1",
                value=length,
                limit=longest,
            )
    elif short:
        raise LocalError(
            f"A value of {vr} cannot have an undefined length.", clause="PS3.5 7.1.2", value=vr
        )
    head = encode_tag(tag, order)
    if not transfer_syntax.explicit_vr:
        return head + _number(length, 4, order)
    if short:
        return head + vr.encode("ascii") + _number(length, 2, order)
    return head + vr.encode("ascii") + b"\0\0" + _number(length, 4, order)


def encode_tag(tag: int, little_endian: bool) -> bytes:
    """The four bytes of a tag."""
    return _number(tag >> 16, 2, little_endian) + _number(tag & 0xFFFF, 2, little_endian)


def item_header(length: int, little_endian: bool) -> bytes:
    """The header of an item or fragment; `length` may be UNDEFINED_LENGTH."""
    return encode_tag(ITEM, little_endian) + _number(length, 4, little_endian)


def item_delimitation(little_endian: bool) -> bytes:
    """What ends an item of undefined length."""
    return encode_tag(ITEM_DELIMITATION, little_endian) + bytes(4)


def sequence_delimitation(little_endian: bool) -> bytes:
    """What ends a sequence, or the fragments of pixel data, of undefined length."""
    return encode_tag(SEQUENCE_DELIMITATION, little_endian) + bytes(4)


def _number(value: int, size: int, little_endian: bool) -> bytes:
    return value.to_bytes(size, "little" if little_endian else "big")
