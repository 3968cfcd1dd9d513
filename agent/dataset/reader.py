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
    walk = _Walk(
        Window(decoded(source, transfer_syntax), limits.byte_budget),
        transfer_syntax,
        limits.depth,
        value_representation,
    )
    while (event := walk.next()) is not None:
        yield event
        bulk = type(event) is Element and event.tag in tags.BULK and not event.depth
        if bulk and not through_bulk:
            return


class _Walk:
    """Where the reader is: a position, and the frames that are open there."""

    def __init__(
        self,
        window: Window,
        syntax: TransferSyntax,
        deepest: int,
        value_representation: Callable[[int], str],
    ) -> None:
        self._window = window
        self._deepest = deepest
        self._value_representation = value_representation
        self._frame = _Frame(_DATA_SET, 0, None, syntax.explicit_vr, syntax.little_endian)
        self._stack = [self._frame]
        self._depth = 0
        self._position = 0

    def next(self) -> Event | None:
        """The next event, or None after the last."""
        frame = self._frame
        if frame.end is not None and self._position >= frame.end:
            if self._position > frame.end:
                refuse("The content is longer than what holds it", self._position, frame.end)
            return self._close()
        if frame.kind == _SEQUENCE:
            return self._item()
        if frame.kind == _FRAGMENTS:
            return self._fragment()
        return self._element()

    def _open(self, frame: _Frame) -> None:
        outer = self._frame.end
        if frame.end is not None and outer is not None and frame.end > outer:
            refuse("A value is longer than what holds it", frame.end, outer)
        self._stack.append(frame)
        self._frame = frame

    def _close(self) -> Event:
        """The end of the innermost frame, at the position."""
        frame = self._stack.pop()
        self._frame = self._stack[-1]
        if frame.kind == _ITEM:
            self._depth -= 1
            return ItemEnd(self._depth, self._position)
        if frame.kind == _FRAGMENTS:
            return FragmentsEnd(self._depth, self._position)
        return SequenceEnd(frame.tag, self._depth, self._position)

    def _item_header(self) -> int | None:
        """The length of the item that begins here, or None at a Sequence Delimitation Item."""
        frame = self._frame
        tag, length = read_item_header(self._window, self._position, frame.little)
        self._position += 8
        if tag == tags.SEQUENCE_DELIMITATION and frame.end is None:
            return None
        if tag != tags.ITEM:
            refuse("A sequence holds something else than items", tags.format_tag(tag), None)
        frame.number += 1
        return length

    def _item(self) -> Event:
        start, frame = self._position, self._frame
        length = self._item_header()
        if length is None:
            return self._close()
        event = ItemStart(frame.number, self._position, length, self._depth, start)
        end = None if length == UNDEFINED_LENGTH else self._position + length
        self._open(_Frame(_ITEM, 0, end, frame.explicit, frame.little))
        self._depth += 1
        return event

    def _fragment(self) -> Event:
        length = self._item_header()
        if length is None:
            return self._close()
        if length == UNDEFINED_LENGTH:
            refuse("A fragment has no defined length", self._position, None)
        event = FragmentStart(self._frame.number - 1, self._position, length, self._depth)
        self._position += length
        return event

    def _element(self) -> Event | None:
        start, frame = self._position, self._frame
        header = read_element_header(self._window, start, frame.explicit, frame.little)
        if header is None:
            if frame.kind == _DATA_SET:
                return None
            refuse("The data set ends within an item", start, None)
        tag, vr, length, self._position = header
        if tag >> 16 == 0xFFFE:
            if tag == tags.ITEM_DELIMITATION and frame.kind == _ITEM and frame.end is None:
                return self._close()
            refuse(f"{tags.format_tag(tag)} stands where it cannot", start, None)
        if not vr:
            vr = self._value_representation(tag)
        # Undefined length without SQ is UN (PS3.5 6.2.2 note 2), or a VR lost on the way.
        if vr == "SQ" or (length == UNDEFINED_LENGTH and not _encapsulates(tag, vr)):
            return self._sequence(tag, vr, length, start)
        event = Element(tag, vr, self._position, length, self._depth, start, frame.little)
        if length == UNDEFINED_LENGTH:
            self._open(_Frame(_FRAGMENTS, tag, None, frame.explicit, frame.little))
        else:
            self._position += length
        return event

    def _sequence(self, tag: int, vr: str, length: int, start: int) -> Event:
        if self._depth >= self._deepest:
            refuse("The sequences are nested too deeply", self._depth + 1, self._deepest)
        frame = self._frame
        event = SequenceStart(tag, vr, self._position, length, self._depth, start)
        end = None if length == UNDEFINED_LENGTH else self._position + length
        unknown = vr == "UN" and frame.explicit
        explicit, little = frame.explicit and not unknown, frame.little or unknown
        self._open(_Frame(_SEQUENCE, tag, end, explicit, little))
        return event


def _encapsulates(tag: int, vr: str) -> bool:
    return vr in ("OB", "OW") or (tag == tags.PIXEL_DATA and vr != "SQ")


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
