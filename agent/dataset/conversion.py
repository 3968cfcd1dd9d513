"""Conversion between transfer syntaxes (PS3.5 annex A), as a stream.

Implicit and explicit VR, both byte orders, deflated or not: each into each, with no pixel's value
touched. Encapsulated pixel data are another's business (`PixelDataConversion`). What the target
cannot say is said as the standard has it: attributes that no dictionary
knows become UN (PS3.5 6.2.2), values too long for the short form of their VR too, sequences and
items get undefined lengths, group lengths go (they are retired, and would be wrong). Memory: a
piece of 64 KiB and what the reader holds; bulk data are copied piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple, Protocol, TypeVar, cast

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource, decoded
from agent.dataset.element_encoding import LONGEST_SHORT_VALUE
from agent.dataset.reader import (
    Element,
    Event,
    FragmentsEnd,
    FragmentStart,
    ItemEnd,
    ItemStart,
    SequenceEnd,
    SequenceStart,
    elements,
    read_exactly,
)
from agent.dataset.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    encoding_of,
)
from agent.dataset.value_representations import (
    SHORT_LENGTH,
    UNDEFINED_LENGTH,
    VALUE_REPRESENTATIONS,
    decode_numbers,
    swap,
)
from agent.dataset.writer import DataSetWriter, ElementWriter
from agent.errors import LocalError

NATIVE = frozenset(
    (
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    )
)
"""The transfer syntaxes that are converted into each other."""

_PIECE = 65536

_BITS_ALLOCATED = 0x0028_0100
_PIXEL_REPRESENTATION = 0x0028_0103
_WAVEFORM_BITS_ALLOCATED = 0x5400_1004
_DECIDING = frozenset((_BITS_ALLOCATED, _PIXEL_REPRESENTATION, _WAVEFORM_BITS_ALLOCATED))

# PS3.6: "US or SS", by Pixel Representation. Palette descriptors are not here: their first and
# third value are always unsigned (PS3.3 C.7.6.3.1.5).
_SIGNED_LIKE_THE_PIXELS = frozenset(
    (
        0x0018_9810,
        0x0022_1452,
        0x0028_0071,
        *range(0x0028_0104, 0x0028_010A),
        0x0028_0110,
        0x0028_0111,
        0x0028_0120,
        0x0028_0121,
        0x0028_3002,
        0x0040_9211,
        0x0040_9216,
        0x0060_3004,
        0x0060_3006,
    )
)
# PS3.5 A.2: OB or OW, by Waveform Bits Allocated.
_WIDE_LIKE_THE_WAVEFORM = frozenset((0x5400_0110, 0x5400_0112, 0x5400_100A, 0x5400_1010))


E = TypeVar("E")


def skip_over(event: Element | SequenceStart, events: Iterator[E]) -> None:
    """Take the events of what `event` begins, up to its end; of a plain element there are none."""
    if isinstance(event, SequenceStart):
        ends: type[SequenceEnd | FragmentsEnd] = SequenceEnd
    elif event.length == UNDEFINED_LENGTH:
        ends = FragmentsEnd
    else:
        return
    for following in events:
        if isinstance(following, ends) and following.depth == event.depth:
            return


def can_convert(source_syntax: str, target_syntax: str) -> bool:
    """Whether `convert` goes from one to the other, given as UIDs."""
    return source_syntax in NATIVE and target_syntax in NATIVE


def convert(
    source: ByteSource,
    source_syntax: str,
    target_syntax: str,
    write: Callable[[bytes], object],
    *,
    value_representation: Callable[[int], str] = tags.dictionary_value_representation,
) -> None:
    """Read a data set in one native transfer syntax, and write it in another.

    `value_representation` is asked for the VR of attributes in implicit VR, and says UN for those
    that it does not know. Raises LocalError when one of the syntaxes is not native or the data set
    holds encapsulated pixel data; PeerError, with the position, where the bytes break PS3.5; what
    `source` and `write` raise. What was written before an error is no data set.
    """
    if not can_convert(source_syntax, target_syntax):
        raise LocalError(
            "Only native transfer syntaxes are converted into each other.",
            clause="PS3.5 A",
            value=(source_syntax, target_syntax),
            limit=tuple(sorted(NATIVE)),
        )
    rewrite(
        source,
        source_syntax,
        target_syntax,
        write,
        value_representation=value_representation,
    )


class PixelDataConversion(Protocol):
    """Writes the top-level Pixel Data of a data set that goes into another transfer syntax."""

    def __call__(self, element: Element, writer: DataSetWriter) -> None:
        """Write the whole element, `element` being what the source has."""
        ...


Changes = Mapping[int, tuple[str, bytes] | None]
"""Top-level attributes to set, as VR and little endian value, or to leave out."""


class Replacement(NamedTuple):
    """An element with a value of its own among the events of a source; the value is little endian,
    without padding."""

    tag: int
    vr: str
    value: bytes


Through = Callable[[ByteSource, Iterator[Event]], Iterator[Event | Replacement]]
"""Lets the events of a data set pass, without those that go, with others that come instead. It gets
the bytes that positions in events refer to. Order and nesting of what it gives must be right."""


def rewrite(
    source: ByteSource,
    source_syntax: str,
    target_syntax: str,
    write: Callable[[bytes], object],
    *,
    changes: Changes | None = None,
    additions: Changes | None = None,
    pixel_data: PixelDataConversion | None = None,
    through: Through | None = None,
    value_representation: Callable[[int], str] = tags.dictionary_value_representation,
) -> None:
    """As `convert`, between any two transfer syntaxes, with attributes changed on the way.

    `changes` are made whatever the source has, `additions` only where it has no such attribute.
    Everything passes `through` first. Without `pixel_data`, the pixel data are copied, which needs
    two native syntaxes, or twice the same.
    """
    writer = DataSetWriter(write, encoding_of(target_syntax))
    conversion = _conversion(source, source_syntax, target_syntax, writer)
    conversion.changes = dict(changes or {})
    conversion.additions = dict(additions or {})
    if pixel_data is not None:
        conversion.pixel_data = partial(pixel_data, writer=writer)
    conversion.run(value_representation, through)


def present(
    source: ByteSource,
    source_syntax: str,
    target_syntax: str,
    writer: ElementWriter,
    through: Through,
) -> None:
    """As `rewrite`, into a writer with a form of its own; the values are those of the target."""
    conversion = _conversion(source, source_syntax, target_syntax, writer)
    conversion.run(tags.dictionary_value_representation, through)


def _conversion(
    source: ByteSource, source_syntax: str, target_syntax: str, writer: ElementWriter
) -> _Conversion:
    syntax = encoding_of(source_syntax)
    plain = syntax._replace(deflated=False)
    return _Conversion(decoded(source, syntax), plain, encoding_of(target_syntax), writer)


class _Surroundings:
    """What the attributes of a data set or item, and of those around it, decide about VRs."""

    __slots__ = ("bits_allocated", "signed", "waveform_bits")

    def __init__(self, outer: _Surroundings | None = None) -> None:
        self.bits_allocated: int = outer.bits_allocated if outer is not None else 16
        self.signed: bool = outer.signed if outer is not None else False
        self.waveform_bits: int = outer.waveform_bits if outer is not None else 16


class _Conversion:
    def __init__(
        self,
        source: ByteSource,
        source_syntax: TransferSyntax,
        target_syntax: TransferSyntax,
        writer: ElementWriter,
    ) -> None:
        self._source = source
        self._syntax = source_syntax
        self._target = target_syntax
        self._writer = writer
        self._around = [_Surroundings()]
        self.changes: dict[int, tuple[str, bytes] | None] = {}
        self.additions: dict[int, tuple[str, bytes] | None] = {}
        self.pixel_data: Callable[[Element], None] | None = None
        self._pending: list[int] = []
        self._kept: Element | None = None

    def run(
        self, value_representation: Callable[[int], str], through: Through | None = None
    ) -> None:
        self._pending = sorted({*self.changes, *self.additions}, reverse=True)
        events: Iterator[Event | Replacement] = elements(
            self._source,
            self._syntax,
            through_bulk=True,
            value_representation=value_representation,
        )
        if through is not None:
            events = through(self._source, cast(Iterator[Event], events))
        for event in self._changed(events):
            self._copy_event(event)
        self._writer.close()

    def _copy_event(self, event: Event | Replacement) -> None:
        writer = self._writer
        if isinstance(event, Element):
            self._element(event)
        elif isinstance(event, Replacement):
            tag, vr, value = event
            writer.element(tag, vr, value if self._target.little_endian else swap(vr, value))
        elif self._kept is not None and isinstance(event, FragmentStart):
            self._fragment(event, self._kept)
        elif self._kept is not None and isinstance(event, FragmentsEnd):
            self._kept = None
            writer.end_fragments()
        elif isinstance(event, SequenceStart):
            writer.begin_sequence(event.tag)
        elif isinstance(event, ItemStart):
            writer.begin_item()
            self._around.append(_Surroundings(self._around[-1]))
        elif isinstance(event, ItemEnd):
            writer.end_item()
            self._around.pop()
        elif isinstance(event, SequenceEnd):
            writer.end_sequence()

    def _changed(self, events: Iterator[Event | Replacement]) -> Iterator[Event | Replacement]:
        """The events without those of top-level attributes that are changed, which are written
        where they belong."""
        for event in events:
            if isinstance(event, Element | SequenceStart | Replacement) and self._is_top(event):
                self._set_before(event.tag)
                if event.tag in self.changes:
                    self._skip(event, events)
                    continue
            yield event
        self._set_before(0x1_0000_0000)

    def _is_top(self, event: Element | SequenceStart | Replacement) -> bool:
        return len(self._around) == 1 if isinstance(event, Replacement) else not event.depth

    def _set_before(self, tag: int) -> None:
        """Write the new attributes up to this tag, which the source has."""
        while self._pending and self._pending[-1] <= tag:
            number = self._pending.pop()
            if number == tag and number not in self.changes:
                continue
            change = self.changes.get(number, self.additions.get(number))
            if change is not None:
                vr, value = change
                value = value if self._target.little_endian else swap(vr, value)
                self._writer.element(number, vr, value)

    def _skip(
        self, event: Element | SequenceStart | Replacement, events: Iterator[Event | Replacement]
    ) -> None:
        if isinstance(event, SequenceStart | Element):
            skip_over(event, events)

    def _element(self, element: Element) -> None:
        tag = element.tag
        if tag & 0xFFFF == 0:
            return
        if tag == tags.PIXEL_DATA and not element.depth and self.pixel_data is not None:
            self.pixel_data(element)
            return
        if element.length == UNDEFINED_LENGTH:
            if self._syntax.uid != self._target.uid:
                raise LocalError(
                    "Encapsulated pixel data belong to no native transfer syntax.",
                    clause="PS3.5 A.4",
                )
            self._kept = element
            return
        if tag in _DECIDING and element.length >= 2:
            self._note(element)
        vr = element.vr if self._syntax.explicit_vr else self._chosen(tag, element.vr)
        self._copy(element, vr)

    def _fragment(self, fragment: FragmentStart, element: Element) -> None:
        """Copy a fragment as it is; the first of them is the Basic Offset Table (A.4)."""
        length = fragment.length
        if not fragment.number:
            table = read_exactly(self._source, fragment.value_offset, length)
            little = self._syntax.little_endian
            offsets = decode_numbers("UL", table[: length // 4 * 4], little_endian=little)
            self._writer.begin_fragments(
                [int(each) for each in offsets], tag=element.tag, vr=element.vr
            )
            return
        self._writer.begin_fragment(length)
        for start in range(0, length, _PIECE):
            self._writer.fragment_data(
                read_exactly(
                    self._source, fragment.value_offset + start, min(_PIECE, length - start)
                )
            )
        self._writer.end_fragment()

    def _note(self, element: Element) -> None:
        value = read_exactly(self._source, element.value_offset, 2)
        number = int.from_bytes(value, "little" if element.little_endian else "big")
        around = self._around[-1]
        if element.tag == _BITS_ALLOCATED:
            around.bits_allocated = number
        elif element.tag == _PIXEL_REPRESENTATION:
            around.signed = number == 1
        else:
            around.waveform_bits = number

    def _chosen(self, tag: int, vr: str) -> str:
        """The VR where the dictionary has two, or the form that implicit VR implies (A.1)."""
        around = self._around[-1]
        if tag == tags.PIXEL_DATA:
            # A.2 a: OW above eight bits. Below, both are allowed: of OB no byte order matters.
            return "OW" if around.bits_allocated > 8 else "OB"
        if tag in _SIGNED_LIKE_THE_PIXELS:
            return "SS" if around.signed else "US"
        if tag in _WIDE_LIKE_THE_WAVEFORM:
            return "OW" if around.waveform_bits > 8 else "OB"
        return vr

    def _copy(self, element: Element, vr: str) -> None:
        length = element.length
        padded = length + length % 2
        is_known = vr in VALUE_REPRESENTATIONS
        is_too_long = vr in SHORT_LENGTH and padded > LONGEST_SHORT_VALUE
        # One of the future, or too long for the short form of its VR (PS3.5 6.2.2).
        written = "UN" if not is_known or (is_too_long and self._target.explicit_vr) else vr
        # PS3.5 6.2.2: what is UN is in little endian, whatever the transfer syntax.
        turned = element.little_endian != (self._target.little_endian or written == "UN")
        writer = self._writer
        writer.begin_value(element.tag, written, padded)
        position, end = element.value_offset, element.value_offset + length
        while position < end:
            piece = read_exactly(self._source, position, min(_PIECE, end - position))
            position += len(piece)
            writer.value(swap(vr, piece) if turned else piece)
        if length % 2:
            row = VALUE_REPRESENTATIONS.get(vr)
            writer.value(row.padding if row is not None else b"\0")
        writer.end_value()
