"""Pixels of one bit: packed from the least significant bit on, frames without a gap between them.

PS3.5 8.1.1 and D.2: a frame whose pixels do not fill its last byte shares it with the next frame.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.errors import LocalError
from agent.objects.output import Bytes
from agent.objects.pixels import PixelDescription


def pack_bits(pixels: Bytes, threshold: int = 1) -> bytes:
    """One byte a pixel to one bit a pixel: 1 where the pixel is at least `threshold`.

    Memory: the pixels once as numpy sees them, and an eighth of them.
    """
    import numpy as np

    values = np.frombuffer(pixels, dtype=np.uint8)
    return np.packbits(values >= threshold, bitorder="little").tobytes()


class SingleBitPacking:
    """Turns captured grey frames of 8 bits into frames of one bit; stands where a `Packing` does.

    Eight rows at a time, so that each piece is whole bytes: memory is these, and an eighth of them.
    """

    def __init__(self, rows: int, columns: int, threshold: int = 128) -> None:
        self.pixels = PixelDescription(rows, columns, "MONOCHROME2", 1, 1, 1)
        self._threshold = threshold

    def strips(self, view: memoryview, stride: int) -> Iterator[memoryview]:
        """The frame in pieces, in order. Raises LocalError when the view is too short for it."""
        rows, columns = self.pixels.rows, self.pixels.columns
        if stride < columns or len(view) < stride * (rows - 1) + columns:
            raise LocalError("The buffer is shorter than a frame.", value=len(view), limit=stride)
        for first in range(0, rows, 8):
            taken = bytearray()
            for row in range(first, min(first + 8, rows)):
                taken += view[row * stride : row * stride + columns]
            yield memoryview(pack_bits(taken, self._threshold))


class BitStream:
    """Joins frames that each start at a byte to one stream without gaps. Holds seven bits."""

    def __init__(self, pixels_of_frame: int) -> None:
        self._pixels_of_frame = pixels_of_frame
        self._left = 0
        self._carried = 0
        self._carried_bits = 0

    def begin_frame(self) -> None:
        """The next byte is the first of a frame."""
        self._left = self._pixels_of_frame

    def join(self, data: Bytes) -> bytes:
        """The whole bytes of the stream that these of the frame complete."""
        bits = min(8 * len(data), self._left)
        self._left -= bits
        value = int.from_bytes(data, "little") & (1 << bits) - 1
        value = self._carried | value << self._carried_bits
        bits += self._carried_bits
        whole, self._carried_bits = divmod(bits, 8)
        self._carried = value >> 8 * whole
        return (value & (1 << 8 * whole) - 1).to_bytes(whole, "little")

    def rest(self) -> bytes:
        """The last byte of the stream, where one is begun."""
        return bytes([self._carried]) if self._carried_bits else b""
