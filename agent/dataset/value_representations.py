"""Value representations (PS3.5 6.2) and the numbers that they hold."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from agent.errors import LocalError
from agent.quoting import quoted

UNDEFINED_LENGTH = 0xFFFFFFFF


class ValueRepresentation(NamedTuple):
    """One row of PS3.5 Table 6.2-1.

    `long` says that the length field has 32 bits (7.1.2); `padding` makes odd values even;
    `word` is the number of bytes that change places between the byte orders (7.3); `character_set`
    says that (0008,0005) governs the text; `format` is the `struct` code of one number, or "".
    """

    name: str
    long: bool
    padding: bytes
    word: int
    character_set: bool
    text: bool
    format: str


def _row(
    name: str, long: bool = False, padding: bytes = b"\0", word: int = 1, format: str = ""
) -> ValueRepresentation:
    return ValueRepresentation(name, long, padding, word, False, False, format)


def _text(name: str, long: bool = False, character_set: bool = False) -> ValueRepresentation:
    padding = b"\0" if name == "UI" else b" "
    return ValueRepresentation(name, long, padding, 1, character_set, True, "")


VALUE_REPRESENTATIONS: dict[str, ValueRepresentation] = {
    row.name: row
    for row in (
        _text("AE"),
        _text("AS"),
        _row("AT", word=2, format="H"),
        _text("CS"),
        _text("DA"),
        _text("DS"),
        _text("DT"),
        _row("FD", word=8, format="d"),
        _row("FL", word=4, format="f"),
        _text("IS"),
        _text("LO", character_set=True),
        _text("LT", character_set=True),
        _row("OB", long=True),
        _row("OD", long=True, word=8, format="d"),
        _row("OF", long=True, word=4, format="f"),
        _row("OL", long=True, word=4, format="I"),
        _row("OV", long=True, word=8, format="Q"),
        _row("OW", long=True, word=2, format="H"),
        _text("PN", character_set=True),
        _text("SH", character_set=True),
        _row("SL", word=4, format="i"),
        _row("SQ", long=True),
        _row("SS", word=2, format="h"),
        _text("ST", character_set=True),
        _row("SV", long=True, word=8, format="q"),
        _text("TM"),
        _text("UC", long=True, character_set=True),
        _text("UI"),
        _row("UL", word=4, format="I"),
        _row("UN", long=True),
        _text("UR", long=True),
        _row("US", word=2, format="H"),
        _text("UT", long=True, character_set=True),
        _row("UV", long=True, word=8, format="Q"),
    )
}

LONGEST = {
    "AE": 16,
    "AS": 4,
    "CS": 16,
    "DA": 8,
    "DS": 16,
    "DT": 26,
    "IS": 12,
    "LO": 64,
    "LT": 10240,
    "PN": 64,
    "SH": 16,
    "ST": 1024,
    "TM": 14,
    "UI": 64,
}
"""VR to the characters of one value (PS3.5 Table 6.2-1); of PN those of a component group."""

SHORT_LENGTH = frozenset(row.name for row in VALUE_REPRESENTATIONS.values() if not row.long)
"""The VRs whose length field has 16 bits in explicit VR; every other, known or not, has 32."""


def pad(vr: str, value: bytes) -> bytes:
    """The value, made even with the padding of its VR (PS3.5 6.2, 7.1.1)."""
    if len(value) % 2 == 0:
        return value
    row = VALUE_REPRESENTATIONS.get(vr)
    return value + (row.padding if row is not None else b"\0")


def encode_numbers(vr: str, numbers: Iterable[float], *, little_endian: bool = True) -> bytes:
    """Numbers as the bytes of a binary VR; of AT, whole tags such as 0x00080018.

    Raises LocalError for a number that does not fit, and for a VR that holds no numbers.
    """
    row = VALUE_REPRESENTATIONS.get(vr)
    if row is None or not row.format:
        raise LocalError(f"{vr} does not hold binary numbers.", clause="PS3.5 6.2", value=vr)
    values: list[float] = []
    for number in numbers:
        values.extend((int(number) >> 16, int(number) & 0xFFFF) if vr == "AT" else (number,))
    try:
        return struct.pack(f"{'<' if little_endian else '>'}{len(values)}{row.format}", *values)
    except (struct.error, OverflowError) as error:
        raise LocalError(
            f"A value does not fit into {vr}: {quoted(error)}.",
            clause="PS3.5 6.2",
            value=values[:8],
        ) from None


def decode_numbers(vr: str, value: bytes, *, little_endian: bool = True) -> tuple[float, ...]:
    """The numbers in a value of a binary VR; of AT, whole tags. A rest too short is left out.

    Memory: about 40 bytes for each number, so bulk data do not belong here. Raises LocalError for
    a VR that holds no numbers.
    """
    row = VALUE_REPRESENTATIONS.get(vr)
    if row is None or not row.format:
        raise LocalError(f"{vr} does not hold binary numbers.", clause="PS3.5 6.2", value=vr)
    count = len(value) // row.word
    if vr == "AT":
        count -= count % 2
    order = "<" if little_endian else ">"
    values = struct.unpack_from(f"{order}{count}{row.format}", value)
    if vr == "AT":
        return tuple(high << 16 | low for high, low in zip(values[::2], values[1::2], strict=True))
    return values


def swap(vr: str, value: bytes) -> bytes:
    """The value in the other byte order (PS3.5 7.3). A rest shorter than a word stays as it is."""
    row = VALUE_REPRESENTATIONS.get(vr)
    word = row.word if row is not None else 1
    if word == 1:
        return value
    whole = len(value) - len(value) % word
    swapped = bytearray(value)
    for place in range(word):
        swapped[place:whole:word] = value[word - 1 - place : whole : word]
    return bytes(swapped)
