"""The fast path: a few top-level values from the head of a data set, in one pass.

Every object that is received or found in the spool goes through `scan_head` once, so it is written
for speed: about half a microsecond for each element, no object made for those nobody wants.
Anything else reads with `agent.dataset.reader`.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.dataset.byte_source import ByteSource, decoded
from agent.dataset.element_header import LONG, SHORT, UNPACKERS, odd_header
from agent.dataset.tags import BULK, format_tag, known_value_representation
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.dataset.window import Window, refuse

LONGEST_HEAD = 16 << 20
"""Bytes of a data set that are looked at; what is skipped by its length is not counted.

Of empty elements, the worst there is, so many take a second.
"""
LONGEST_VALUE = 256 << 10
"""Bytes of one wanted value."""
DEEPEST_NESTING = 64
"""Sequences of undefined length within each other."""

_FIRST_BULK = min(BULK)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD


@dataclass(frozen=True, slots=True)
class Head:
    """What `scan_head` found.

    `values` holds the raw bytes of the wanted elements that are there, padding included; `vrs`
    their VRs (in implicit VR, as far as `agent.dataset.tags` knows them). `end_offset` is the
    position after the last element that was read or skipped, `pixel_data_offset` that of the
    element with the pixel data, when the scan came so far.
    """

    values: dict[int, bytes]
    vrs: dict[int, str]
    end_offset: int
    pixel_data_offset: int | None


def scan_head(
    source: ByteSource,
    transfer_syntax: TransferSyntax,
    wanted: frozenset[int],
    *,
    limit: int = 65536,
    budget: int = LONGEST_HEAD,
) -> Head:
    """Read the wanted top-level elements; stop at the pixel data or after the greatest of them.

    `limit` is how many bytes are read at a time: memory is that much and the wanted values.
    `budget` is how many are parsed in all.
    Sequences and long values are skipped by their lengths without being read. A sequence that is
    wanted is given as bytes when its length is defined, otherwise not at all. Raises PeerError
    with the C-STORE status C000H when the bytes are no data set in this transfer syntax (PS3.5
    section 7), and what the source raises.
    """
    window = Window(decoded(source, transfer_syntax), budget, limit)
    explicit, little = transfer_syntax.explicit_vr, transfer_syntax.little_endian
    explicit_header, implicit_header, long_length = UNPACKERS[little]
    short, long = SHORT, LONG
    last = max(wanted, default=0)
    values: dict[int, bytes] = {}
    vrs: dict[int, str] = {}
    pixel_data_offset: int | None = None
    block, start, position, end = b"", 0, 0, 0
    vr = b""
    while True:
        # Room for the longest header, or as much as there is.
        if end - position < 12:
            block = window.fill(start + position, 12)
            start, position, end = window.start, 0, len(block)
            if end < 8:
                # Fewer bytes than an element are padding of some transport: not our business.
                break
        if explicit:
            group, element, vr, length = explicit_header(block, position)
            if vr in short:
                value = position + 8
            elif vr in long and end - position >= 12:
                length = long_length(block, position + 8)[0]
                value = position + 12
            else:
                size, length = odd_header(block[position : position + 12], UNPACKERS[little])
                value = position + size
        else:
            group, element, length = implicit_header(block, position)
            value = position + 8
        tag = group << 16 | element
        if tag > last or (tag >= _FIRST_BULK and tag in BULK):
            pixel_data_offset = start + position if tag in BULK else None
            break
        if length != UNDEFINED_LENGTH and tag not in wanted:
            position = value + length
            continue
        if length == UNDEFINED_LENGTH:
            after = _after_value(window, start + value, vr, explicit, little)
        else:
            stated = vr in short or vr in long
            vrs[tag] = vr.decode() if stated else known_value_representation(tag)
            position = value + length
            if position <= end and length <= LONGEST_VALUE:
                values[tag] = block[value:position]
                continue
            values[tag] = _wanted_value(window, tag, start + value, length)
            after = start + position
        block, start = window.block, window.start
        position, end = after - start, len(block)
    return Head(values, vrs, start + position, pixel_data_offset)


def _after_value(window: Window, position: int, vr: bytes, explicit: bool, little: bool) -> int:
    """The position after a value of undefined length."""
    unknown = explicit and vr == b"UN"
    return skip_sequence(window, position, explicit and not unknown, little or unknown)


def _wanted_value(window: Window, tag: int, position: int, length: int) -> bytes:
    if length > LONGEST_VALUE:
        refuse(f"The value of {format_tag(tag)} is too long", length, LONGEST_VALUE)
    value = window.peek(position, length)
    if len(value) < length:
        refuse(f"The data set ends within {format_tag(tag)}", len(value), length)
    return value


def skip_sequence(window: Window, position: int, explicit: bool, little: bool) -> int:
    """The position after a value of undefined length that starts at `position`.

    Items of defined length are skipped whole, fragments of pixel data too; others are walked
    through, without recursion. The value of a UN is in Implicit VR Little Endian (PS3.5 6.2.2
    note 2), which the caller says for this one. Raises PeerError where the nesting is wrong or
    deeper than `DEEPEST_NESTING`.
    """
    # One entry for each open sequence: its encoding. `inside` says whether an item of the
    # innermost one is open; of all the others one is.
    stack = [(explicit, little)]
    inside = False
    while stack:
        explicit, little = stack[-1]
        unpackers = UNPACKERS[little]
        head = window.peek(position, 12)
        if len(head) < 8:
            refuse("The data set ends within a sequence", position, None)
        group, element, length = unpackers[1](head)
        if group == 0xFFFE:
            position += 8
            if element == _ITEM and not inside:
                if length == UNDEFINED_LENGTH:
                    inside = True
                else:
                    position += length
            elif element == _ITEM_END and inside:
                inside = False
            elif element == _SEQUENCE_END and not inside:
                stack.pop()
                inside = True
            else:
                refuse(
                    f"{format_tag(group << 16 | element)} stands where it cannot", position, None
                )
            continue
        if not inside:
            refuse("A sequence holds something else than items", group << 16 | element, None)
        size, vr = 8, b""
        if explicit:
            vr = head[4:6]
            if vr in SHORT:
                length = unpackers[0](head)[3]
            elif vr in LONG and len(head) == 12:
                size, length = 12, unpackers[2](head, 8)[0]
            else:
                size, length = odd_header(head, unpackers)
        position += size
        if length != UNDEFINED_LENGTH:
            position += length
            continue
        if len(stack) >= DEEPEST_NESTING:
            refuse("The sequences are nested too deeply", len(stack) + 1, DEEPEST_NESTING)
        unknown = vr == b"UN"
        stack.append((explicit and not unknown, little or unknown))
        inside = False
    return position
