"""Where the rows of a frame come from, and how they are grouped into strips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.codecs.codec import Strip
from agent.codecs.frame import FrameDescription
from agent.dataset.byte_source import ByteSource
from agent.dataset.reader import read_exactly
from agent.errors import LocalError

STRIP_LENGTH = 1 << 16
"""Bytes of a strip, about: enough to make calls cheap, few enough to stay in the cache."""


def strip_height(frame: FrameDescription, multiple: int = 1) -> int:
    """Rows of a strip of about `STRIP_LENGTH` bytes: at least one, a multiple of `multiple`."""
    height = max(1, STRIP_LENGTH // max(1, frame.row_length))
    return max(multiple, height - height % multiple)


class PassingRows:
    """Rows that come once: from a device, a decoder, a network."""

    repeatable = False

    def __init__(self, strips: Iterable[Strip]) -> None:
        self._strips = iter(strips)

    def strips(self) -> Iterator[Strip]:
        return self._strips


class StoredRows:
    """The rows of a native frame in a file, readable again and again.

    `offset` is where the frame begins in `source`; `planes` says that the samples of each colour
    lie apart (planar configuration 1). Memory: one strip. Raises what the source raises, and
    PeerError when it ends early.
    """

    repeatable = True

    def __init__(
        self,
        frame: FrameDescription,
        source: ByteSource,
        offset: int = 0,
        *,
        planes: bool = False,
    ) -> None:
        self._frame = frame
        self._source = source
        self._offset = offset
        self._planes = planes and frame.samples_per_pixel > 1

    def strips(self) -> Iterator[Strip]:
        frame = self._frame
        if not frame.row_length:
            yield from self._bytes()
            return
        height = strip_height(frame)
        for row in range(0, frame.rows, height):
            rows = min(height, frame.rows - row)
            yield self._interleaved(row, rows) if self._planes else self._together(row, rows)

    def _bytes(self) -> Iterator[Strip]:
        for start in range(0, self._frame.length, STRIP_LENGTH):
            length = min(STRIP_LENGTH, self._frame.length - start)
            yield read_exactly(self._source, self._offset + start, length)

    def _together(self, row: int, rows: int) -> Strip:
        length = self._frame.row_length
        return read_exactly(self._source, self._offset + row * length, rows * length)

    def _interleaved(self, row: int, rows: int) -> Strip:
        frame = self._frame
        width = frame.sample_length
        samples = frame.samples_per_pixel
        line = frame.columns * width
        strip = bytearray(rows * frame.row_length)
        for number in range(samples):
            start = self._offset + (number * frame.rows + row) * line
            plane = read_exactly(self._source, start, rows * line)
            for byte in range(width):
                strip[number * width + byte :: samples * width] = plane[byte::width]
        return strip


def grouped(frame: FrameDescription, strips: Iterable[Strip], height: int) -> Iterator[memoryview]:
    """The same rows in strips of `height` rows, the last one perhaps lower.

    Copies only where a strip does not fit. Each is valid until the next is asked for. Raises
    LocalError when there are not `frame.rows` rows in all.
    """
    length = frame.row_length
    size = height * length
    left = frame.rows * length
    kept = bytearray()
    for strip in strips:
        view = memoryview(strip).cast("B")
        if len(view) > left - len(kept):
            raise LocalError("The frame has more rows than it should.", value=len(view), limit=left)
        if kept:
            missing = min(size, left) - len(kept)
            kept += view[:missing]
            view = view[missing:]
            if len(kept) < min(size, left):
                continue
            left -= len(kept)
            yield memoryview(kept)
            kept = bytearray()
        while view and len(view) >= min(size, left):
            part = view[:size]
            left -= len(part)
            view = view[size:]
            yield part
        kept += view
    if left:
        raise LocalError("The frame has fewer rows than it should.", value=left, limit=frame.rows)
