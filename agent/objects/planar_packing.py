"""From frames whose chroma lies in a plane of its own (NV12) to frames of an object.

Two rows share a row of chroma (4:2:0). Native pixel data have no such form (PS3.3 C.7.6.3.1.2), so
each of the two rows takes the chroma of both: 4:2:2 loses nothing of it, RGB is made from that.
Strip by strip; memory is two strips of 64 KiB, whatever the frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.errors import LocalError
from agent.objects.pixels import PixelDescription

_STRIP = 65536


class PlanarPacking:
    """Turns captured frames of 4:2:0, or a region of them, into native frames of an object.

    `pack` is given rows of Y Cb Y Cr (YUYV) and fills rows as `pixels` says. `left` and `top` are
    where the region begins in the frame; `left` is even. As chroma lies behind the luma of the
    whole frame, a region is cut out here and not before.
    """

    def __init__(
        self,
        pixels: PixelDescription,
        pack: Callable[[memoryview, memoryview], None],
        left: int = 0,
        top: int = 0,
    ) -> None:
        self.pixels = pixels
        """How the packed frames are described."""
        self._pack = pack
        self._left = left
        self._top = top
        self._row = 2 * pixels.columns
        self._packed_row = pixels.frame_length // pixels.rows
        self._rows_of_strip = max(1, min(pixels.rows, _STRIP // max(self._row, self._packed_row)))
        self._source = bytearray(self._row * self._rows_of_strip)
        self._target = bytearray(self._packed_row * self._rows_of_strip)

    def strips(self, view: memoryview, stride: int) -> Iterator[memoryview]:
        """The frame in pieces, in order. Each is valid until the next is asked for, then released.

        `view` is a whole frame: luma `stride` bytes a row, then half as many rows of chroma. Raises
        LocalError when it is too short for the region.
        """
        rows = self.pixels.rows
        frame_rows = len(view) // stride * 2 // 3 if stride else 0
        if stride < self._left + self.pixels.columns or frame_rows < self._top + rows:
            raise LocalError("The buffer is shorter than a frame.", value=len(view), limit=stride)
        chroma = stride * frame_rows
        with memoryview(self._source) as source, memoryview(self._target) as target:
            for first in range(0, rows, self._rows_of_strip):
                count = min(self._rows_of_strip, rows - first)
                for row in range(count):
                    line = self._top + first + row
                    self._gather(
                        row * self._row,
                        view,
                        line * stride + self._left,
                        chroma + line // 2 * stride + self._left,
                    )
                packed = target[: count * self._packed_row]
                taken = source[: count * self._row]
                self._pack(taken, packed)
                taken.release()
                yield packed
                packed.release()

    def _gather(self, at: int, view: memoryview, luma: int, chroma: int) -> None:
        """One row of Y Cb Y Cr. A function, so that nothing looks into the frame after it."""
        # Steps over a bytearray are ten times as fast as those over a memoryview.
        columns = self.pixels.columns
        end = at + self._row
        self._source[at:end:2] = view[luma : luma + columns]
        self._source[at + 1 : end : 2] = view[chroma : chroma + columns]
