"""Digital signatures that a change of the data set breaks go with it (PS3.15 A.2, rule 3).

A signature says in Data Elements Signed what it is over (PS3.3 C.12.1.1.3.1.1). Who changes
top-level attributes on the way reads the data set through `without_broken_signatures`: what was
over one of them is not there any more, and all else is as it was, byte for byte.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource
from agent.dataset.element_encoding import encode_header, sequence_delimitation
from agent.dataset.element_header import read_element_header
from agent.dataset.head import skip_sequence
from agent.dataset.reader import (
    Element,
    ItemEnd,
    ItemStart,
    ReaderLimits,
    elements,
    read_exactly,
    read_value,
)
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import UNDEFINED_LENGTH, decode_numbers
from agent.dataset.window import Window
from agent.errors import LocalError, PeerError

_OF_SIGNATURES = (tags.MAC_PARAMETERS_SEQUENCE, tags.DIGITAL_SIGNATURES_SEQUENCE)
_BUDGET = 256 << 20
_MAC_ID_NUMBER = 0x0400_0005
_DATA_ELEMENTS_SIGNED = 0x0400_0020
_LONGEST = 4 << 20
"""Bytes of signatures that stay beside one that goes; with more of them, all go."""
_LIMITS = ReaderLimits(value_length=1 << 20)


@dataclass(slots=True)
class _Item:
    """Where an item begins and ends, and what it says."""

    start: int
    end: int = 0
    number: bytes = b""
    signed: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Sequence:
    """Where one of the two sequences begins and ends, and its items."""

    start: int
    end: int = 0
    items: list[_Item] = field(default_factory=list)


def without_broken_signatures(
    source: ByteSource, syntax: TransferSyntax, changed: Collection[int]
) -> ByteSource:
    """The data set without those signatures of its top level that are over one of these tags.

    `source` itself where there are none. It is walked through, its values are passed over; it must
    not be deflated. Memory: a block of 64 KiB, and the signatures that stay.
    """
    if syntax.deflated:
        raise LocalError("A deflated data set is inflated before its signatures are looked at.")
    if not changed:
        return source
    try:
        found = dict(_sequences(source, syntax))
    except PeerError:
        # What cannot be parsed has no signature that anybody could verify.
        return source
    signatures = found.get(tags.DIGITAL_SIGNATURES_SEQUENCE)
    parameters = found.get(tags.MAC_PARAMETERS_SEQUENCE)
    if signatures is None or parameters is None:
        return source
    broken = {each.number for each in parameters.items if not each.signed.isdisjoint(changed)}
    kept = [each for each in signatures.items if each.number not in broken]
    if len(kept) == len(signatures.items):
        return source
    numbers = {each.number for each in kept}
    used = [each for each in parameters.items if each.number in numbers]
    if sum(each.end - each.start for each in (*kept, *used)) > _LONGEST:
        kept, used = [], []
    edits = [
        (parameters, _encoded(source, syntax, tags.MAC_PARAMETERS_SEQUENCE, used)),
        (signatures, _encoded(source, syntax, tags.DIGITAL_SIGNATURES_SEQUENCE, kept)),
    ]
    return _Spliced(source, [(each.start, each.end, data) for each, data in edits])


def pieces(source: ByteSource, position: int) -> Iterator[bytes | tuple[int, int | None]]:
    """What such a source holds from `position` on: bytes, or where they stand in the source that
    it was made of, from and to (None: to its end)."""
    if isinstance(source, _Spliced):
        yield from source.pieces(position)
    else:
        yield position, None


def _sequences(source: ByteSource, syntax: TransferSyntax) -> Iterator[tuple[int, _Sequence]]:
    """The two sequences of the top level, where they are; other values are skipped as wholes."""
    window = Window(source, _BUDGET)
    position = 0
    while True:
        header = read_element_header(window, position, syntax.explicit_vr, syntax.little_endian)
        if header is None:
            return
        tag, vr, length, end = header
        if length == UNDEFINED_LENGTH:
            unknown = syntax.explicit_vr and vr == "UN"
            explicit, little = syntax.explicit_vr, syntax.little_endian
            end = skip_sequence(window, end, explicit and not unknown, little or unknown)
        else:
            end += length
        if tag in _OF_SIGNATURES:
            yield tag, _sequence(source, syntax, position, end)
        position = end


def _sequence(source: ByteSource, syntax: TransferSyntax, start: int, end: int) -> _Sequence:
    made = _Sequence(start, end)
    part = _Part(source, start, end)
    for event in elements(part, syntax):
        if isinstance(event, ItemStart) and not event.depth:
            made.items.append(_Item(start + event.offset))
        elif isinstance(event, ItemEnd) and not event.depth:
            made.items[-1].end = start + event.offset
        elif isinstance(event, Element) and event.depth == 1:
            if event.tag == _MAC_ID_NUMBER:
                made.items[-1].number = read_value(part, event, limits=_LIMITS)
            elif event.tag == _DATA_ELEMENTS_SIGNED:
                value = read_value(part, event, limits=_LIMITS)
                numbers = decode_numbers("AT", value, little_endian=event.little_endian)
                made.items[-1].signed = frozenset(int(each) for each in numbers)
    return made


def _encoded(source: ByteSource, syntax: TransferSyntax, tag: int, items: list[_Item]) -> bytes:
    """The sequence with these of its items, as they stand; nothing where there are none."""
    if not items:
        return b""
    return b"".join(
        (
            encode_header(tag, "SQ", UNDEFINED_LENGTH, syntax),
            *(read_exactly(source, each.start, each.end - each.start) for each in items),
            sequence_delimitation(syntax.little_endian),
        )
    )


class _Part:
    """A part of a source."""

    def __init__(self, source: ByteSource, start: int, end: int) -> None:
        self._source, self._start, self._end = source, start, end

    def read(self, position: int, length: int) -> bytes:
        at = self._start + position
        return self._source.read(at, max(0, min(length, self._end - at)))


class _Spliced:
    """A source with other bytes in some places."""

    def __init__(self, source: ByteSource, edits: list[tuple[int, int, bytes]]) -> None:
        """`edits` are places in `source`, from and to, with what is there instead."""
        self._source = source
        self._starts: list[int] = []
        self._parts: list[bytes | int] = []
        """What begins there: bytes, or a place in `source`."""
        position = at = 0
        for start, end, data in sorted(edits):
            for length, part in ((start - at, at), (len(data), data)):
                if length:
                    self._starts.append(position)
                    self._parts.append(part)
                    position += length
            at = end
        self._starts.append(position)
        self._parts.append(at)

    def read(self, position: int, length: int) -> bytes:
        index = bisect_right(self._starts, position) - 1
        part, inside = self._parts[index], position - self._starts[index]
        if index + 1 < len(self._starts):
            length = min(length, self._starts[index + 1] - position)
        if isinstance(part, bytes):
            return part[inside : inside + length]
        return self._source.read(part + inside, length)

    def pieces(self, position: int) -> Iterator[bytes | tuple[int, int | None]]:
        ends: list[int | None] = [*self._starts[1:], None]
        for start, end, part in zip(self._starts, ends, self._parts, strict=True):
            if end is not None and end <= position:
                continue
            inside = max(0, position - start)
            if isinstance(part, bytes):
                yield part[inside:]
            else:
                yield part + inside, None if end is None else part + end - start
