"""The streaming writer of data sets, in every transfer syntax that PS3.5 annex A defines.

`DataSetWriter` hands its bytes to a function as they come, so memory is one element, or what the
deflater holds. Group lengths are not written (PS3.5 7.2 has retired them); values are padded; the
order of tags and the nesting of items are checked.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from agent.dataset.element_encoding import (
    encode_element,
    encode_header,
    item_delimitation,
    item_header,
    sequence_delimitation,
)
from agent.dataset.rewriting import rewrite_head
from agent.dataset.tags import PIXEL_DATA, format_tag
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import UNDEFINED_LENGTH, encode_numbers
from agent.errors import LocalError

__all__ = [
    "DataSetWriter",
    "ElementWriter",
    "basic_offset_table",
    "encode_element",
    "extended_offset_table",
    "rewrite_head",
]


class ElementWriter(Protocol):
    """What a data set is told to, element by element; as `DataSetWriter` has it."""

    def element(self, tag: int, vr: str, value: bytes) -> None: ...
    def begin_value(self, tag: int, vr: str, length: int) -> None: ...
    def value(self, data: bytes) -> None: ...
    def end_value(self) -> None: ...
    def begin_sequence(self, tag: int) -> None: ...
    def begin_item(self) -> None: ...
    def end_item(self) -> None: ...
    def end_sequence(self) -> None: ...
    def begin_fragments(
        self, offsets: Sequence[int] = (), *, tag: int = PIXEL_DATA, vr: str = "OB"
    ) -> None: ...
    def begin_fragment(self, length: int) -> None: ...
    def fragment_data(self, data: bytes) -> None: ...
    def end_fragment(self) -> None: ...
    def end_fragments(self) -> None: ...
    def close(self) -> None: ...


class _Level:
    """An open item (or the data set itself), an open sequence, fragments, or a value."""

    __slots__ = ("kind", "last_tag", "padding", "remaining")

    def __init__(self, kind: str, remaining: int | None) -> None:
        self.kind = kind
        self.remaining = remaining
        self.last_tag = -1
        self.padding = b""


class DataSetWriter:
    """Writes one data set through `write`, from its first element to `close`.

    With a deflated transfer syntax everything passes through a deflater on the way (A.5). Raises
    LocalError when a call does not fit where the writer is: tags out of order, an item outside a
    sequence, more or fewer bytes than were announced.
    """

    def __init__(self, write: Callable[[bytes], object], transfer_syntax: TransferSyntax) -> None:
        self._write = write
        self._syntax = transfer_syntax
        self._little = transfer_syntax.little_endian
        self._deflater = (
            zlib.compressobj(wbits=-zlib.MAX_WBITS) if transfer_syntax.deflated else None
        )
        self._deflated_length = 0
        self._levels = [_Level("data set", None)]

    def element(self, tag: int, vr: str, value: bytes) -> None:
        """An element whose value is at hand, in the byte order of the transfer syntax."""
        self._next_tag(tag)
        self._emit(encode_element(tag, vr, value, self._syntax))

    def numbers(self, tag: int, vr: str, values: Iterable[float]) -> None:
        """An element of binary numbers, put into the byte order of the transfer syntax."""
        self.element(tag, vr, encode_numbers(vr, values, little_endian=self._little))

    def begin_value(self, tag: int, vr: str, length: int) -> None:
        """An element whose value of `length` bytes (even) follows in `value` and `end_value`."""
        self._next_tag(tag)
        self._emit(encode_header(tag, vr, length, self._syntax))
        self._levels.append(_Level("value", length))

    def value(self, data: bytes) -> None:
        """Some bytes of the value that `begin_value` announced."""
        level = self._expect("value")
        assert level.remaining is not None
        if len(data) > level.remaining:
            raise LocalError(
                "More bytes than the value was announced to have.",
                clause="PS3.5 7.1",
                value=len(data),
                limit=level.remaining,
            )
        level.remaining -= len(data)
        self._emit(data)

    def end_value(self) -> None:
        """The value is complete."""
        level = self._expect("value")
        if level.remaining:
            raise LocalError(
                "Fewer bytes than the value was announced to have.",
                clause="PS3.5 7.1",
                value=level.remaining,
            )
        self._levels.pop()

    def begin_sequence(self, tag: int, length: int = UNDEFINED_LENGTH) -> None:
        """A sequence; with a defined length, exactly so many bytes of items must follow."""
        self._next_tag(tag)
        self._emit(encode_header(tag, "SQ", length, self._syntax))
        self._levels.append(_Level("sequence", _defined(length)))

    def begin_item(self, length: int = UNDEFINED_LENGTH) -> None:
        """An item; with a defined length, exactly so many bytes of elements must follow."""
        self._expect("sequence")
        self._emit(item_header(length, self._little))
        self._levels.append(_Level("item", _defined(length)))

    def end_item(self) -> None:
        """The item is complete."""
        self._end("item", item_delimitation(self._little))

    def end_sequence(self) -> None:
        """The sequence is complete."""
        self._end("sequence", sequence_delimitation(self._little))

    def begin_fragments(
        self, offsets: Sequence[int] = (), *, tag: int = PIXEL_DATA, vr: str = "OB"
    ) -> None:
        """Encapsulated pixel data (A.4), with this Basic Offset Table, empty by default."""
        self._next_tag(tag)
        self._emit(encode_header(tag, vr, UNDEFINED_LENGTH, self._syntax))
        table = encode_numbers("UL", offsets, little_endian=self._little)
        self._emit(item_header(len(table), self._little) + table)
        self._levels.append(_Level("fragments", None))

    def fragment(self, data: bytes) -> None:
        """One fragment; an odd one gets a byte of padding."""
        self.begin_fragment(len(data))
        self.fragment_data(data)
        self.end_fragment()

    def begin_fragment(self, length: int) -> None:
        """A fragment of `length` bytes, which follow in `fragment_data` and `end_fragment`."""
        self._expect("fragments")
        self._emit(item_header(length + length % 2, self._little))
        level = _Level("fragment", length)
        level.padding = b"\0" * (length % 2)
        self._levels.append(level)

    def fragment_data(self, data: bytes) -> None:
        """Some bytes of the fragment that `begin_fragment` announced."""
        level = self._expect("fragment")
        assert level.remaining is not None
        if len(data) > level.remaining:
            raise LocalError(
                "More bytes than the fragment was announced to have.",
                clause="PS3.5 A.4",
                value=len(data),
                limit=level.remaining,
            )
        level.remaining -= len(data)
        self._emit(data)

    def end_fragment(self) -> None:
        """The fragment is complete."""
        level = self._expect("fragment")
        if level.remaining:
            raise LocalError(
                "Fewer bytes than the fragment was announced to have.",
                clause="PS3.5 A.4",
                value=level.remaining,
            )
        self._levels.pop()
        self._emit(level.padding)

    def end_fragments(self) -> None:
        """All fragments are written."""
        self._end("fragments", sequence_delimitation(self._little))

    def close(self) -> None:
        """The data set is complete; what the deflater holds is written, padded to even length."""
        self._expect("data set")
        if self._deflater is not None:
            tail = self._deflater.flush()
            self._deflated_length += len(tail)
            self._write(tail + b"\0" * (self._deflated_length % 2))
            self._deflater = None
        self._levels.clear()

    def _emit(self, data: bytes) -> None:
        if not data:
            return
        for level in self._levels:
            if level.remaining is not None and level.kind in ("sequence", "item"):
                level.remaining -= len(data)
                if level.remaining < 0:
                    raise LocalError(
                        f"More bytes than the {level.kind} was announced to have.",
                        clause="PS3.5 7.5",
                        value=-level.remaining,
                    )
        if self._deflater is not None:
            data = self._deflater.compress(data)
            self._deflated_length += len(data)
            if not data:
                return
        self._write(data)

    def _expect(self, kind: str) -> _Level:
        level = self._levels[-1] if self._levels else None
        if level is None or level.kind != kind:
            where = f"in the {level.kind}" if level is not None else "after the end"
            raise LocalError(
                f"The writer is {where}, not in the {kind}.", clause="PS3.5 7", value=kind
            )
        return level

    def _next_tag(self, tag: int) -> None:
        level = self._levels[-1] if self._levels else None
        if level is None or level.kind not in ("data set", "item"):
            where = f"in the {level.kind}" if level is not None else "after the end"
            raise LocalError(
                f"{format_tag(tag)} cannot be written {where}.", clause="PS3.5 7.1", value=tag
            )
        if tag <= level.last_tag:
            raise LocalError(
                f"{format_tag(tag)} cannot follow {format_tag(level.last_tag)}.",
                clause="PS3.5 7.1",
                value=tag,
                limit=level.last_tag,
            )
        level.last_tag = tag

    def _end(self, kind: str, delimiter: bytes) -> None:
        level = self._expect(kind)
        if level.remaining:
            raise LocalError(
                f"Fewer bytes than the {kind} was announced to have.",
                clause="PS3.5 7.5",
                value=level.remaining,
            )
        self._levels.pop()
        if level.remaining is None:
            self._emit(delimiter)


def _defined(length: int) -> int | None:
    return None if length == UNDEFINED_LENGTH else length


def basic_offset_table(frame_lengths: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """The Basic Offset Table (A.4) for frames, each given as the lengths of its fragments.

    Raises LocalError when an offset needs more than 32 bits: use an Extended Offset Table.
    """
    offsets, _ = extended_offset_table(frame_lengths)
    if offsets and offsets[-1] > 0xFFFFFFFF:
        raise LocalError(
            "The frames are too long for a Basic Offset Table.",
            clause="PS3.5 A.4",
            value=offsets[-1],
            limit=0xFFFFFFFF,
            way_out="Write an empty Basic Offset Table and an Extended Offset Table.",
        )
    return offsets


def extended_offset_table(
    frame_lengths: Iterable[Sequence[int]],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The values of Extended Offset Table and Extended Offset Table Lengths (PS3.3 C.7.6.3.1.8)."""
    offsets: list[int] = []
    lengths: list[int] = []
    position = 0
    for fragments in frame_lengths:
        offsets.append(position)
        lengths.append(sum(fragments))
        position += sum(8 + length + length % 2 for length in fragments)
    return tuple(offsets), tuple(lengths)
