"""Scans that are decoded row by row: those of JPEG lossless and of JPEG-LS.

The components of a frame may come in scans of their own (non-interleaved), which are read side by
side, each with a window of its own, so that no plane is ever held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from agent.codecs.codec import Strip
from agent.codecs.damage import FrameDamaged
from agent.codecs.frame import FrameDescription
from agent.codecs.jpeg_markers import JpegHeader
from agent.codecs.rows import strip_height
from agent.codecs.window import Window
from agent.dataset.byte_source import ByteSource

_DAMAGED = -2


class RowKernel(Protocol):
    """A kernel that decodes whole rows: what stopped it (0: nothing), bytes used, rows written."""

    def __call__(
        self, state: bytearray, data: bytearray, last: bool, out: memoryview
    ) -> tuple[int, int, int]: ...


class RowScan:
    """One scan on its way into the native rows, of which it writes its components."""

    def __init__(
        self, kernel: RowKernel, state: bytearray, window: Window, row_length: int
    ) -> None:
        self._kernel = kernel
        self._state = state
        self._window = window
        self._row_length = row_length

    @property
    def position(self) -> int:
        """How far the stream is read."""
        return self._window.position

    def fill(self, strip: memoryview) -> tuple[int, int]:
        """Write this scan's samples of a strip: how many rows, and what stopped it (0: nothing)."""
        done = result = 0
        while done < len(strip) and not result:
            self._window.fill()
            result, consumed, rows = self._kernel(
                self._state, self._window.data, self._window.last, strip[done:]
            )
            self._window.consume(consumed)
            done += rows * self._row_length
        return done // self._row_length, result


class ScanHeader(Protocol):
    """A scan header: places of its components in the frame header, and its first coded byte."""

    @property
    def places(self) -> tuple[int, ...]: ...

    @property
    def position(self) -> int: ...


_Header = TypeVar("_Header")
_Scan = TypeVar("_Scan", bound=ScanHeader)


def scans_of(
    source: ByteSource,
    first: tuple[_Header, _Scan],
    next_scan: Callable[[ByteSource, _Header, int], tuple[_Header, _Scan] | None],
    count: int,
    clause: str,
) -> list[tuple[_Header, _Scan]]:
    """The scans that hold `count` components, each once, with the header as it is for each.

    `next_scan` is that of the stream's markers. Raises FrameDamaged where a component comes twice,
    or not at all.
    """
    header, scan = first
    found = [first]
    seen = set(scan.places)
    while len(seen) < count:
        following = next_scan(source, header, scan.position)
        if following is None:
            raise FrameDamaged(
                f"The JPEG stream has {len(seen)} of {count} components.",
                scan.position,
                clause=clause,
            )
        header, scan = following
        if not seen.isdisjoint(scan.places):
            raise FrameDamaged(
                "The JPEG stream has a component twice.", scan.position, clause=clause
            )
        seen.update(scan.places)
        found.append(following)
    return found


def strips_of(
    frame: FrameDescription, scans: Sequence[RowScan], stream: str, clause: str
) -> Iterator[Strip]:
    """The rows that all scans have, then FrameDamaged where one of them is or ends too early."""
    height = strip_height(frame)
    strip = memoryview(bytearray(height * frame.row_length))
    for row in range(0, frame.rows, height):
        part = strip[: min(height, frame.rows - row) * frame.row_length]
        found = [(*each.fill(part), each.position) for each in scans]
        rows, result, position = min(found)
        if rows:
            yield part[: rows * frame.row_length]
        if result:
            what = "is damaged" if result == _DAMAGED else "ends"
            raise FrameDamaged(
                f"The {stream} stream {what} in row {row + rows + 1} of {frame.rows}.",
                position,
                clause=clause,
            )


def check_frame(frame: FrameDescription, header: JpegHeader, clause: str) -> None:
    """Hold a frame header against the object. Raises FrameDamaged where they differ, or where the
    components differ in size, which DICOM does not allow of these streams."""
    told = (header.rows, header.columns, len(header.components))
    wanted = (frame.rows, frame.columns, frame.samples_per_pixel)
    samplings = {(each.horizontal_sampling, each.vertical_sampling) for each in header.components}
    problem = ""
    if told != wanted:
        problem = (
            f"The JPEG stream has {told[0]} rows, {told[1]} columns and {told[2]} components where "
            f"the object has {wanted[0]}, {wanted[1]} and {wanted[2]}."
        )
    elif frame.bits_allocated not in (8, 16) or header.precision > frame.bits_allocated:
        problem = (
            f"The JPEG stream has samples of {header.precision} bits, "
            f"the object cells of {frame.bits_allocated}."
        )
    elif len(samplings) > 1:
        problem = "The components of the JPEG stream differ in size, which DICOM does not allow."
    if problem:
        raise FrameDamaged(problem, header.position, clause=clause)


def sign_bit(frame: FrameDescription, precision: int) -> int:
    """Two's complement in fewer bits than a cell: what is above the sign repeats it; else 0."""
    sign = frame.pixel_representation and precision < frame.bits_allocated
    return precision - 1 if sign else 0
