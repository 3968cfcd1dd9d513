"""Frames of which some parts are blacked out, and cells that hold nothing but their sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.codecs.codec import RowSource, Strip
from agent.codecs.frame import FrameDescription
from agent.errors import LocalError
from agent.objects.region import Rectangle


class BlankedRows:
    """The rows of a frame with black rectangles; those that lie outside of it count as they can.

    With `high_bit`, bits beside the sample are cleared: that is where overlays in pixel cells are
    (PS3.5 8.1.1, as retired). Memory: one strip. Raises LocalError for frames of single bits, whose
    rows share bytes.
    """

    def __init__(
        self,
        rows: RowSource,
        frame: FrameDescription,
        rectangles: Sequence[Rectangle],
        high_bit: int | None = None,
    ) -> None:
        if not frame.row_length:
            raise LocalError(
                "Frames of single bits are not blacked out here.",
                clause="PS3.5 8.1.1",
                value=frame.bits_allocated,
            )
        self._rows = rows
        self._frame = frame
        self._rectangles = tuple(filter(None, (_within(each, frame) for each in rectangles)))
        self._black = _black_pixel(frame)
        self._cell = b"" if high_bit is None else _cell_mask(frame, high_bit)

    @property
    def repeatable(self) -> bool:
        return self._rows.repeatable

    def strips(self) -> Iterator[Strip]:
        length = self._frame.row_length
        first = 0
        for strip in self._rows.strips():
            rows = len(strip) // length
            if self._cell:
                strip = self._only_samples(bytes(strip))
            hidden = [each for each in self._rectangles if _meets(each, first, first + rows)]
            if hidden:
                strip = bytearray(strip)
                for each in hidden:
                    self._cover(strip, each, first, rows)
            yield strip
            first += rows

    def _only_samples(self, strip: bytes) -> bytes:
        mask = int.from_bytes(self._cell * (len(strip) // len(self._cell)), "little")
        return (int.from_bytes(strip, "little") & mask).to_bytes(len(strip), "little")

    def _cover(self, strip: bytearray, hidden: Rectangle, first: int, rows: int) -> None:
        left, right = hidden.left, hidden.left + hidden.width
        pixels = 2 if self._frame.subsampled else 1
        # Two pixels that share their chroma are covered both.
        left, right = left - left % pixels, right + right % pixels
        right = min(right, self._frame.columns)
        pixel = len(self._black) // pixels
        black = self._black * ((right - left) // pixels)
        for row in range(max(hidden.top, first), min(hidden.top + hidden.height, first + rows)):
            start = (row - first) * self._frame.row_length + left * pixel
            strip[start : start + len(black)] = black


def _within(rectangle: Rectangle, frame: FrameDescription) -> Rectangle | None:
    """What of a rectangle lies in the frame."""
    right = min(rectangle.left + rectangle.width, frame.columns)
    bottom = min(rectangle.top + rectangle.height, frame.rows)
    left, top = max(0, rectangle.left), max(0, rectangle.top)
    if right <= left or bottom <= top:
        return None
    return Rectangle(left, top, right - left, bottom - top)


def _meets(rectangle: Rectangle, first: int, end: int) -> bool:
    return rectangle.top < end and rectangle.top + rectangle.height > first


def _black_pixel(frame: FrameDescription) -> bytes:
    """The bytes of a black pixel, of two where they share their chroma (PS3.3 C.7.6.3.1.2)."""
    bits, signed = frame.bits_stored, bool(frame.pixel_representation)
    lowest = 1 << (bits - 1) if signed else 0
    highest = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1
    length = frame.sample_length
    interpretation = frame.photometric_interpretation
    middle = (1 << (bits - 1)).to_bytes(length, "little")
    if interpretation == "MONOCHROME1":
        return highest.to_bytes(length, "little")
    if interpretation == "MONOCHROME2":
        if signed:
            # The sign goes through to the top of the cell.
            lowest = (1 << frame.bits_allocated) - (1 << (bits - 1))
        return lowest.to_bytes(length, "little")
    if frame.subsampled:
        return bytes(2 * length) + middle * 2
    if interpretation.startswith("YBR_"):
        return bytes(length) + middle * 2
    return bytes(length * frame.samples_per_pixel)


def _cell_mask(frame: FrameDescription, high_bit: int) -> bytes:
    """The bits of a cell that are its sample."""
    low_bit = high_bit + 1 - frame.bits_stored
    if low_bit < 0 or high_bit >= frame.bits_allocated:
        raise LocalError("High Bit does not fit Bits Stored.", clause="PS3.5 8.1.1", value=high_bit)
    mask = ((1 << frame.bits_stored) - 1) << low_bit
    return mask.to_bytes(frame.sample_length, "little")
