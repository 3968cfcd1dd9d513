"""Items and sub-items: one byte type, one reserved byte, two bytes length, value (PS3.8 9.3.1).

Every length is checked against the bytes that its parent really has before anything is taken, so
a lying length costs nothing. All numbers are big endian (PS3.8 9.3.1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from agent.errors import AbortReaction, LocalError, PeerError

# Table 9-26: the reasons of an abort by the service provider (source 2).
REASON_NOT_SPECIFIED = 0
UNRECOGNIZED_PDU = 1
UNEXPECTED_PDU = 2
UNRECOGNIZED_PDU_PARAMETER = 4
UNEXPECTED_PDU_PARAMETER = 5
INVALID_PDU_PARAMETER_VALUE = 6

SERVICE_USER = 0
SERVICE_PROVIDER = 2

_HEADER = struct.Struct(">BxH")
_LENGTH = struct.Struct(">H")


def invalid(
    message: str,
    *,
    clause: str,
    value: object = None,
    limit: object = None,
    reason: int = INVALID_PDU_PARAMETER_VALUE,
    way_out: str = "",
) -> PeerError:
    """The error for a PDU that breaks `clause`; its reaction is a provider abort."""
    return PeerError(
        message,
        clause=clause,
        value=value,
        limit=limit,
        reaction=AbortReaction(SERVICE_PROVIDER, reason),
        way_out=way_out,
    )


class ItemBudget:
    """How many items the rest of a PDU may still have; shared by all levels of one PDU."""

    __slots__ = ("left", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.left = limit

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise invalid(
                "the PDU has more items than are allowed here",
                clause="PS3.8 9.3.1",
                value=self.limit + 1,
                limit=self.limit,
            )


def items(view: memoryview, budget: ItemBudget, clause: str) -> Iterator[tuple[int, memoryview]]:
    """The (type, value) pairs that fill `view`; values are views into it.

    Raises PeerError when a header is cut short, a value reaches beyond its parent, or the budget
    is spent. `clause` names the parent in the error.
    """
    position, end = 0, len(view)
    while position < end:
        if end - position < 4:
            raise invalid(
                "an item header is cut short by the end of its parent",
                clause=clause,
                value=end - position,
                limit=4,
            )
        kind, length = _HEADER.unpack_from(view, position)
        position += 4
        if length > end - position:
            raise invalid(
                f"item {kind:02X}H reaches beyond the end of its parent",
                clause=clause,
                value=length,
                limit=end - position,
            )
        budget.spend()
        yield kind, view[position : position + length]
        position += length


def encode_item(kind: int, *parts: bytes, second: int = 0) -> bytes:
    """One item; `second` is the byte that is reserved in all items but 57H.

    Raises LocalError when the value does not fit the two-byte length.
    """
    length = sum(map(len, parts))
    if length > 0xFFFF:
        raise LocalError(
            f"item {kind:02X}H would be longer than its length field can say",
            clause="PS3.8 9.3.1",
            value=length,
            limit=0xFFFF,
        )
    return b"".join((bytes((kind, second)), _LENGTH.pack(length), *parts))


class Fields:
    """Reads the fields of one item's value in order, each checked against what is left."""

    __slots__ = ("_clause", "_position", "_view")

    def __init__(self, view: memoryview, clause: str) -> None:
        self._view = view
        self._clause = clause
        self._position = 0

    @property
    def left(self) -> int:
        return len(self._view) - self._position

    def take(self, length: int) -> memoryview:
        if length > self.left:
            raise invalid(
                "a field reaches beyond the end of its item",
                clause=self._clause,
                value=length,
                limit=self.left,
            )
        start = self._position
        self._position += length
        return self._view[start : self._position]

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "big")

    def counted(self) -> memoryview:
        """A field with its two-byte length in front."""
        return self.take(self.number(2))


def encode_counted(value: bytes) -> bytes:
    """`value` with its two-byte length in front; LocalError when it is too long for that."""
    if len(value) > 0xFFFF:
        raise LocalError(
            "a field would be longer than its length field can say",
            clause="PS3.7 D.3.3",
            value=len(value),
            limit=0xFFFF,
        )
    return _LENGTH.pack(len(value)) + value


def encode_number(number: int, length: int) -> bytes:
    """An unsigned number of `length` bytes; LocalError when it does not fit."""
    limit = (1 << 8 * length) - 1
    if not 0 <= number <= limit:
        raise LocalError(
            "a number does not fit its field", clause="PS3.8 9.3.1", value=number, limit=limit
        )
    return number.to_bytes(length, "big")


def decode_uid(value: memoryview) -> str:
    """A UID or name as text; padding, not allowed by PS3.8 Annex F but met, is dropped."""
    return str(value, "latin-1").rstrip("\0 ")


def encode_uid(uid: str) -> bytes:
    """The characters of a UID, unpadded (PS3.8 Annex F); LocalError when they are not ASCII."""
    return encode_text(uid, "a UID", "PS3.8 Annex F")


def encode_text(text: str, what: str, clause: str) -> bytes:
    """ISO 646 characters; LocalError for any other."""
    try:
        return text.encode("ascii")
    except UnicodeEncodeError:
        raise LocalError(
            f"{what} holds characters outside ISO 646", clause=clause, value=text
        ) from None
