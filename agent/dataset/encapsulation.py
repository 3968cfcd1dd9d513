"""Encapsulated pixel data: which fragments make which frame (PS3.5 A.4).

A frame is read in place, as a `ByteSource` over its fragments. Memory: 16 bytes a fragment, of
which there are at most a million.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource
from agent.dataset.element_header import read_item_header
from agent.dataset.reader import read_exactly
from agent.dataset.window import Window, refuse

if TYPE_CHECKING:
    from agent.dataset.writer import DataSetWriter

_PIECE = 1 << 16

MOST_FRAGMENTS = 1 << 20
"""Fragments of one object: more are refused."""

_LONGEST_OFFSET_TABLE = 4 * MOST_FRAGMENTS
_ITEM_HEADERS = 8 * (MOST_FRAGMENTS + 2)
_END_OF_IMAGE = b"\xff\xd9"
_TAIL = 16


class FragmentBytes:
    """The bytes of some fragments, one after another: a frame's stream, or a part of it."""

    def __init__(self, source: ByteSource, fragments: Iterable[tuple[int, int]]) -> None:
        self._source = source
        self._offsets: list[int] = []
        self._starts = [0]
        for offset, length in fragments:
            self._offsets.append(offset)
            self._starts.append(self._starts[-1] + length)

    @property
    def length(self) -> int:
        """Bytes in all, the padding of each fragment included."""
        return self._starts[-1]

    def read(self, position: int, length: int) -> bytes:
        """At most `length` bytes from `position` on, up to the end of the fragment they lie in."""
        if not 0 <= position < self.length:
            return b""
        number = bisect_right(self._starts, position) - 1
        within = position - self._starts[number]
        length = min(length, self._starts[number + 1] - position)
        return self._source.read(self._offsets[number] + within, length)

    def write_to(self, writer: DataSetWriter) -> None:
        """Write them as one fragment (PS3.5 A.4). Memory: 64 KiB."""
        writer.begin_fragment(self.length)
        position = 0
        while piece := self.read(position, _PIECE):
            writer.fragment_data(piece)
            position += len(piece)
        writer.end_fragment()


class EncapsulatedFrames:
    """The frames of an encapsulated Pixel Data element.

    `position` is where the first item, the Basic Offset Table, begins in `source`. `frames` is
    Number of Frames; `extended` the values of Extended Offset Table and its Lengths, where the
    object has them. Frames are told apart by the first of these that fits the fragments: the
    tables, one fragment each, ends of JPEG streams at the ends of fragments. Raises PeerError
    with status C000H where the bytes are no encapsulated pixel data, or hold more fragments than
    `MOST_FRAGMENTS`; `frame` does where the frames cannot be told apart.
    """

    def __init__(
        self,
        source: ByteSource,
        position: int,
        frames: int = 1,
        *,
        extended: tuple[bytes, bytes] | None = None,
    ) -> None:
        self._source = source
        self.frames = frames
        self._offsets = array("Q")
        self._lengths = array("Q")
        table = self._walk(position)
        self._firsts = self._grouped(table, extended)

    @property
    def fragments(self) -> int:
        """How many fragments there are, the Basic Offset Table aside."""
        return len(self._offsets)

    @property
    def length(self) -> int:
        """Bytes of all fragments, the Basic Offset Table aside."""
        return sum(self._lengths)

    def frame(self, number: int) -> FragmentBytes:
        """The stream of a frame, counted from 0."""
        if self._firsts is None:
            refuse(
                f"{self.frames} frames cannot be told apart in {self.fragments} fragments",
                self.fragments,
                self.frames,
            )
        if not 0 <= number < self.frames:
            refuse("The object has no such frame", number + 1, self.frames)
        return self.some(self._firsts[number], self._firsts[number + 1])

    def some(self, first: int, end: int) -> FragmentBytes:
        """The bytes of the fragments from `first` on, before `end`, counted from 0."""
        return FragmentBytes(
            self._source, zip(self._offsets[first:end], self._lengths[first:end], strict=True)
        )

    def _walk(self, position: int) -> bytes:
        """Note where each fragment is; the value of the Basic Offset Table."""
        window = Window(self._source, _ITEM_HEADERS * 33, 8192)
        table: tuple[int, int] | None = None
        while True:
            tag, length = read_item_header(window, position, True)
            position += 8
            if tag == tags.SEQUENCE_DELIMITATION:
                break
            if tag != tags.ITEM or length == 0xFFFFFFFF:
                refuse("Encapsulated pixel data hold something else than fragments", position, None)
            if table is None:
                table = position, length
            elif len(self._offsets) == MOST_FRAGMENTS:
                refuse("The pixel data have too many fragments", position, MOST_FRAGMENTS)
            else:
                self._offsets.append(position)
                self._lengths.append(length)
            position += length
        self.end = position
        """The position after the Sequence Delimitation Item."""
        if table is None:
            refuse("Encapsulated pixel data have no Basic Offset Table", position, None)
        if table[1] > _LONGEST_OFFSET_TABLE:
            refuse("The Basic Offset Table is too long", table[1], _LONGEST_OFFSET_TABLE)
        return read_exactly(self._source, *table) if table[1] else b""

    def _grouped(self, table: bytes, extended: tuple[bytes, bytes] | None) -> array[int] | None:
        """The first fragment of each frame, and the number of fragments at the end."""
        count = self.fragments
        if self.frames == 1:
            return array("Q", (0, count))
        if extended is not None:
            firsts = self._by_table(_numbers("Q", extended[0]))
            if firsts is not None:
                return firsts
        firsts = self._by_table(_numbers("I", table))
        if firsts is not None:
            return firsts
        if count == self.frames:
            return array("Q", range(count + 1))
        return self._by_ends()

    def _by_table(self, offsets: array[int]) -> array[int] | None:
        """Where each offset is that of a fragment's item (A.4), in order; else None."""
        if len(offsets) != self.frames or not offsets or offsets[0] != 0 or not self.fragments:
            return None
        if any(after <= before for before, after in pairwise(offsets)):
            return None
        base = self._offsets[0]
        firsts = array("Q")
        fragment = 0
        for offset in offsets:
            while fragment < self.fragments and self._offsets[fragment] - base < offset:
                fragment += 1
            if fragment == self.fragments or self._offsets[fragment] - base != offset:
                return None
            firsts.append(fragment)
        firsts.append(self.fragments)
        return firsts

    def _by_ends(self) -> array[int] | None:
        """A JPEG or JPEG-LS stream ends with FFD9, and zeros after it."""
        firsts = array("Q", (0,))
        for number, (offset, length) in enumerate(zip(self._offsets, self._lengths, strict=True)):
            size = min(length, _TAIL)
            tail = read_exactly(self._source, offset + length - size, size) if size else b""
            if tail.rstrip(b"\0").endswith(_END_OF_IMAGE):
                firsts.append(number + 1)
        complete = len(firsts) == self.frames + 1 and firsts[-1] == self.fragments
        return firsts if complete else None


def _numbers(kind: str, value: bytes) -> array[int]:
    """The little endian numbers of an offset table; none where its length is wrong."""
    numbers = array("I" if kind == "I" else "Q")
    if len(value) % numbers.itemsize == 0:
        numbers.frombytes(value)
    return numbers
