"""The streaming reader of data sets (PS3.5 section 7 and annex A): events, iterative, bounded.

`elements` walks through a data set and says what stands where. Values are never read on the way:
an event has the value's position and length, and `read_value` fetches it if it is wanted. So the
memory in use is one block of the source, whatever the object holds, and bulk data cost nothing.
What `scan_head` does faster for a few top-level values, this does for everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource, decoded
from agent.dataset.element_header import read_element_header, read_item_header
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.dataset.window import Window, refuse


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """What a data set may ask of the reader.

    `depth`: sequences within each other. `byte_budget`: bytes that are looked at (what is skipped
    by its length is free). `value_length`: bytes that `read_value` will hold.
    """

    depth: int = 64
    byte_budget: int = 256 << 20
    value_length: int = 16 << 20


DEFAULT_LIMITS = ReaderLimits()


class Element(NamedTuple):
    """An element that holds a value: `length` bytes from `value_offset` on.

    In implicit VR, `vr` is what the dictionary in use knows, or UN. Encapsulated pixel data have
    UNDEFINED_LENGTH and are followed by their fragments. `little_endian` is the byte order of the
    value: that of the transfer syntax, save within a UN of undefined length.
    """

    tag: int
    vr: str
    value_offset: int
    length: int
    depth: int
    offset: int
    little_endian: bool


class SequenceStart(NamedTuple):
    """A sequence begins; its items follow, then `SequenceEnd`. `vr` is SQ, or UN (CP-246)."""

    tag: int
    vr: str
    value_offset: int
    length: int
    depth: int
    offset: int


class ItemStart(NamedTuple):
    """An item begins; its elements follow, one deeper, then `ItemEnd`. `number` counts from 1."""

    number: int
    value_offset: int
    length: int
    depth: int
    offset: int


class ItemEnd(NamedTuple):
    """The item is over; `offset` is the position after it."""

    depth: int
    offset: int


class SequenceEnd(NamedTuple):
    """The sequence is over; `offset` is the position after it."""

    tag: int
    depth: int
    offset: int


class FragmentStart(NamedTuple):
    """A fragment of encapsulated pixel data (A.4); number 0 is the Basic Offset Table."""

    number: int
    value_offset: int
    length: int
    depth: int


class FragmentsEnd(NamedTuple):
    """The last fragment is over; `offset` is the position after the Sequence Delimitation Item."""

    depth: int
    offset: int


Event = Element | SequenceStart | ItemStart | ItemEnd | SequenceEnd | FragmentStart | FragmentsEnd


class _Frame:
    """An open sequence, an open item, or the fragments of pixel data."""

    __slots__ = ("end", "explicit", "kind", "little", "number", "tag")

    def __init__(self, kind: int, tag: int, end: int | None, explicit: bool, little: bool) -> None:
        self.kind = kind
        self.tag = tag
        self.end = end
        self.explicit = explicit
        self.little = little
        self.number = 0


_DATA_SET, _SEQUENCE, _ITEM, _FRAGMENTS = range(4)


def elements(
    source: ByteSource,
    transfer_syntax: TransferSyntax,
    *,
    limits: ReaderLimits = DEFAULT_LIMITS,
    through_bulk: bool = False,
    value_representation: Callable[[int], str] = tags.known_value_representation,
) -> Iterator[Event]:
    """The events of a data set, in the order of its bytes.

    Stops with the event of the top-level pixel data, whose value it does not look at, unless
    `through_bulk`: then it goes on over fragments and trailing elements to the end.
    `value_representation` is asked in implicit VR; with the default, a sequence of defined length
    that `agent.dataset.tags` does not name comes as one UN element.

    For a deflated syntax, positions are those of the inflated data set: give `read_value` the
    source of `agent.dataset.byte_source.decoded`, and give that one here too.

    Raises PeerError with status C000H where the bytes break PS3.5 section 7 or a limit, after the
    events of all that came before, and what the source raises. Memory: one block of 8 KiB, or 64
    KiB where the data set is deflated, and about 100 bytes for each open sequence.
    """
    window = Window(decoded(source, transfer_syntax), limits.byte_budget)
    frame = _Frame(_DATA_SET, 0, None, transfer_syntax.explicit_vr, transfer_syntax.little_endian)
    stack = [frame]
    depth = 0
    position = 0
    while True:
        # What a defined length closes.
        while frame.end is not None and position >= frame.end:
            if position > frame.end:
                refuse("The content is longer than what holds it", position, frame.end)
            stack.pop()
            if frame.kind == _ITEM:
                depth -= 1
                yield ItemEnd(depth, position)
            else:
                yield SequenceEnd(frame.tag, depth, position)
            frame = stack[-1]

        if frame.kind != _DATA_SET and frame.kind != _ITEM:
            tag, length = read_item_header(window, position, frame.little)
            start = position
            position += 8
            if tag == tags.SEQUENCE_DELIMITATION and frame.end is None:
                stack.pop()
                if frame.kind == _FRAGMENTS:
                    yield FragmentsEnd(depth, position)
                else:
                    yield SequenceEnd(frame.tag, depth, position)
                frame = stack[-1]
                continue
            if tag != tags.ITEM:
                refuse("A sequence holds something else than items", tags.format_tag(tag), None)
            frame.number += 1
            if frame.kind == _FRAGMENTS:
                if length == UNDEFINED_LENGTH:
                    refuse("A fragment has no defined length", start, None)
                yield FragmentStart(frame.number - 1, position, length, depth)
                position += length
                continue
            yield ItemStart(frame.number, position, length, depth, start)
            end = None if length == UNDEFINED_LENGTH else position + length
            if end is not None:
                _check_within(frame, end)
            frame = _Frame(_ITEM, 0, end, frame.explicit, frame.little)
            stack.append(frame)
            depth += 1
            continue

        header = read_element_header(window, position, frame.explicit, frame.little)
        if header is None:
            if frame.kind == _DATA_SET:
                return
            refuse("The data set ends within an item", position, None)
        tag, vr, length, value_offset = header
        if tag >> 16 == 0xFFFE:
            if tag == tags.ITEM_DELIMITATION and frame.kind == _ITEM and frame.end is None:
                position += 8
                stack.pop()
                depth -= 1
                yield ItemEnd(depth, position)
                frame = stack[-1]
                continue
            refuse(f"{tags.format_tag(tag)} stands where it cannot", position, None)
        if not vr:
            vr = value_representation(tag)
        start = position
        position = value_offset
        if vr == "SQ" or (length == UNDEFINED_LENGTH and not _encapsulates(tag, vr)):
            # Undefined length without SQ is UN (PS3.5 6.2.2 note 2), or a VR lost on the way.
            yield SequenceStart(tag, vr, value_offset, length, depth, start)
            if len(stack) > 2 * limits.depth:
                refuse("The sequences are nested too deeply", depth + 1, limits.depth)
            end = None if length == UNDEFINED_LENGTH else position + length
            if end is not None:
                _check_within(frame, end)
            unknown = vr == "UN" and frame.explicit
            frame = _Frame(
                _SEQUENCE,
                tag,
                end,
                frame.explicit and not unknown,
                frame.little or unknown,
            )
            stack.append(frame)
            continue
        yield Element(tag, vr, value_offset, length, depth, start, frame.little)
        if tag in tags.BULK and depth == 0 and not through_bulk:
            return
        if length == UNDEFINED_LENGTH:
            frame = _Frame(_FRAGMENTS, tag, None, frame.explicit, frame.little)
            stack.append(frame)
            continue
        position += length
        _check_within(frame, position)


def _encapsulates(tag: int, vr: str) -> bool:
    return vr in ("OB", "OW") or (tag == tags.PIXEL_DATA and vr != "SQ")


def _check_within(frame: _Frame, end: int) -> None:
    if frame.end is not None and end > frame.end:
        refuse("A value is longer than what holds it", end, frame.end)


def read_value(
    source: ByteSource, element: Element | FragmentStart, *, limits: ReaderLimits = DEFAULT_LIMITS
) -> bytes:
    """The value of an element or fragment as bytes, in the byte order of the data set.

    Raises PeerError when it is longer than `limits.value_length` or the source ends within it.
    """
    if element.length > limits.value_length:
        refuse("A value is too long to be read whole", element.length, limits.value_length)
    return read_exactly(source, element.value_offset, element.length)


def read_exactly(source: ByteSource, position: int, length: int) -> bytes:
    """`length` bytes from `position` on. Raises PeerError when there are not so many."""
    pieces: list[bytes] = []
    missing = length
    while missing:
        piece = source.read(position + length - missing, missing)
        if not piece:
            refuse("The data set ends within a value", position, None)
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
