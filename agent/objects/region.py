"""What of a frame goes into an object: a region of interest, with burned-in text masked.

Stands before a `Packing` (region) and behind it (masks); strip by strip, so memory is one strip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from agent.errors import LocalError
from agent.objects.pixels import PixelDescription
from hal.capture.pixel_formats import PIXEL_FORMATS


class Rectangle(NamedTuple):
    """In pixels of the whole frame."""

    left: int
    top: int
    width: int
    height: int


class _Packing(Protocol):
    @property
    def pixels(self) -> PixelDescription: ...
    def strips(self, view: memoryview, stride: int) -> Iterator[memoryview]: ...


class RegionPacking:
    """A packing of a region, with some rectangles of it blacked out.

    `packing` is one for frames of the region's size; of a format with several planes it cuts the
    region out itself (its `origin`). Raises LocalError for a region or mask that
    does not lie in the frame, or whose left side is within a group of pixels.
    """

    def __init__(
        self,
        packing: _Packing,
        pixel_format: str,
        frame: tuple[int, int],
        region: Rectangle,
        masks: Sequence[Rectangle] = (),
    ) -> None:
        found = PIXEL_FORMATS[pixel_format]
        for each in (region, *masks):
            inside = each.left + each.width <= frame[0] and each.top + each.height <= frame[1]
            if min(each) < 0 or not each.width or not each.height or not inside:
                raise LocalError(
                    "A region or mask does not lie in the frame.", value=tuple(each), limit=frame
                )
        if region.left % found.group_width:
            raise LocalError(
                f"A region of {pixel_format} begins with a whole group of pixels.",
                value=region.left,
                limit=found.group_width,
            )
        self.pixels = packing.pixels
        self._packing = packing
        self._region = region
        self._row = packing.pixels.frame_length // packing.pixels.rows
        self._pixel = self._row // packing.pixels.columns
        self._masks = [
            Rectangle(mask.left - region.left, mask.top - region.top, mask.width, mask.height)
            for mask in masks
        ]
        self._cuts = not found.planar
        self._offset = found.row_length(region.left) if region.left else 0

    def strips(self, view: memoryview, stride: int) -> Iterator[memoryview]:
        """The region in pieces, in order; each is valid until the next is asked for."""
        first = 0
        start = self._region.top * stride + self._offset if self._cuts else 0
        with view[start:] as part:
            for strip in self._packing.strips(part, stride):
                rows = len(strip) // self._row
                hidden = [each for each in self._masks if _meets(each, first, first + rows)]
                if not hidden:
                    yield strip
                else:
                    covered = bytearray(strip)
                    for mask in hidden:
                        self._cover(covered, mask, first, rows)
                    with memoryview(covered) as piece:
                        yield piece
                first += rows

    def _cover(self, covered: bytearray, mask: Rectangle, first: int, rows: int) -> None:
        left = max(0, mask.left)
        right = max(left, min(self.pixels.columns, mask.left + mask.width))
        if self.pixels.photometric_interpretation == "YBR_FULL_422":
            # Two pixels share their chroma: a mask covers whole pairs.
            left, right = left - left % 2, min(self.pixels.columns, right + right % 2)
            black = bytes((0, 0, 128, 128)) * ((right - left) // 2)
        else:
            black = bytes((right - left) * self._pixel)
        if self.pixels.photometric_interpretation == "MONOCHROME1":
            black = b"\xff" * len(black)
        for row in range(max(mask.top, first), min(mask.top + mask.height, first + rows)):
            start = (row - first) * self._row + left * self._pixel
            covered[start : start + len(black)] = black


def _meets(mask: Rectangle, first: int, end: int) -> bool:
    return mask.top < end and mask.top + mask.height > first
