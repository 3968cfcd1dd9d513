"""From the buffer of a capture device to the frames of an object.

Rows lose the padding of their stride, samples take the order that DICOM gives them (PS3.3
C.7.6.3.1.2), a limited range is stretched to the full one. What need not change is not copied;
what must is packed strip by strip, so memory is four strips of 64 KiB, whatever the frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.errors import LocalError
from agent.objects.iod import Iod
from agent.objects.iods import iod_of
from agent.objects.pixels import PixelDescription, colour, grey
from agent.objects.planar_packing import PlanarPacking
from agent.objects.single_bit import SingleBitPacking
from hal.capture.pixel_formats import PIXEL_FORMATS, PixelFormat

_STRIP = 65536

_Pack = Callable[[memoryview, memoryview], None]


class Packing:
    """Turns captured frames of one format and size into native frames of one kind of object."""

    def __init__(
        self, pixel_format: PixelFormat, width: int, pixels: PixelDescription, pack: _Pack | None
    ) -> None:
        self.pixels = pixels
        """How the packed frames are described."""
        self._row = pixel_format.row_length(width)
        self._packed_row = pixels.frame_length // pixels.rows
        self._pack = pack
        self._rows_of_strip = max(1, min(pixels.rows, _STRIP // max(self._row, self._packed_row)))
        self._source = bytearray(self._row * self._rows_of_strip if pack is not None else 0)
        self._target = bytearray(self._packed_row * self._rows_of_strip if pack is not None else 0)

    def strips(self, view: memoryview, stride: int) -> Iterator[memoryview]:
        """The frame in pieces, in order. Each is valid until the next is asked for, then released.

        Raises LocalError when the view is too short for the frame.
        """
        rows = self.pixels.rows
        if stride < self._row or len(view) < stride * (rows - 1) + self._row:
            raise LocalError("The buffer is shorter than a frame.", value=len(view), limit=stride)
        if self._pack is None:
            # Each piece is released when the next is asked for, so that none outlives the frame.
            if stride == self._row:
                with view[: self._row * rows] as piece:
                    yield piece
                return
            for row in range(rows):
                with view[row * stride : row * stride + self._row] as piece:
                    yield piece
            return
        with memoryview(self._source) as source, memoryview(self._target) as target:
            for first in range(0, rows, self._rows_of_strip):
                count = min(self._rows_of_strip, rows - first)
                if stride == self._row:
                    taken = view[first * stride : (first + count) * stride]
                else:
                    taken = source[: count * self._row]
                    for row in range(count):
                        start = (first + row) * stride
                        taken[row * self._row : (row + 1) * self._row] = view[
                            start : start + self._row
                        ]
                packed = target[: count * self._packed_row]
                self._pack(taken, packed)
                taken.release()
                yield packed
                packed.release()


def packing(
    pixel_format: str,
    width: int,
    height: int,
    sop_class_uid: str,
    *,
    full_range: bool = True,
    aspect_ratio: tuple[int, int] | None = None,
    origin: tuple[int, int] = (0, 0),
) -> Packing | PlanarPacking | SingleBitPacking:
    """How frames of this format become native frames of objects of this SOP class.

    YCbCr 4:2:2 stays YBR_FULL_422 where the IOD allows that in native form, else it becomes RGB
    (with numpy); so does 4:2:0. `full_range` False says that luma is 16 to 235 and chroma 16 to
    240, as most video is. Objects of one bit take grey of 8 bits, cut in its middle. `origin` is
    where a region of that size begins in frames of several planes, of which no other can cut it
    out. Raises LocalError when the IOD allows nothing that the format can become.
    """
    found = PIXEL_FORMATS.get(pixel_format)
    if found is None or found.compressed:
        raise LocalError(
            f"Frames in {pixel_format} cannot be packed.",
            value=pixel_format,
            way_out="Capture in GREY, Y10, Y12, Y16, RGB24, BGR24, YUYV, UYVY or NV12.",
        )
    if width % found.group_width:
        raise LocalError(
            f"{pixel_format} has whole groups of pixels in a row.",
            value=width,
            limit=found.group_width,
            way_out="Choose an even width.",
        )
    iod = iod_of(sop_class_uid)
    if found.bits_stored == 8 and found.colour == "grey" and _holds_single_bits(iod):
        return SingleBitPacking(height, width)
    if found.colour == "grey":
        choices = [grey(height, width, bits_stored=found.bits_stored)]
    elif found.colour == "rgb":
        choices = [colour(height, width)]
    else:
        choices = [colour(height, width, "YBR_FULL_422"), colour(height, width)]
    pixels = next(filter(_allowed_by(iod), choices), choices[-1])
    if aspect_ratio is not None and aspect_ratio[0] != aspect_ratio[1]:
        pixels = _with_aspect_ratio(pixels, aspect_ratio)
    iod.check(pixels, encapsulated=False)
    if found.planar:
        pack = _pack_of(PIXEL_FORMATS["YUYV"], pixels, full_range)
        assert pack is not None
        return PlanarPacking(pixels, pack, *origin)
    return Packing(found, width, pixels, _pack_of(found, pixels, full_range))


def _holds_single_bits(iod: Iod) -> bool:
    return all(rule.bits_allocated == (1,) for rule in iod.pixel_rules)


def _allowed_by(iod: Iod) -> Callable[[PixelDescription], bool]:
    return lambda pixels: any(rule.allows(pixels, encapsulated=False) for rule in iod.pixel_rules)


def _with_aspect_ratio(pixels: PixelDescription, aspect_ratio: tuple[int, int]) -> PixelDescription:
    from dataclasses import replace

    return replace(pixels, aspect_ratio=aspect_ratio)


def _pack_of(pixel_format: PixelFormat, pixels: PixelDescription, full_range: bool) -> _Pack | None:
    """The function that packs a strip, or None where the bytes stay as they are."""
    samples = pixel_format.samples
    if pixel_format.colour == "grey" or samples == ("R", "G", "B"):
        return None
    if pixel_format.colour == "rgb":
        order = tuple(samples.index(sample) for sample in "RGB")
        return lambda source, target: _reorder(source, target, order, 3)
    first = samples.index("Y")
    places = (first, first + 2, samples.index("Cb"), samples.index("Cr"))
    if pixels.photometric_interpretation == "RGB":
        return lambda source, target: _to_rgb(source, target, places, full_range)
    if full_range:
        return lambda source, target: _reorder(source, target, places, 4)
    return lambda source, target: _stretch(source, target, places)


def _reorder(source: memoryview, target: memoryview, places: tuple[int, ...], group: int) -> None:
    # Steps over bytes are four times as fast as those over a memoryview.
    given, made = bytes(source), bytearray(len(target))
    for to, place in enumerate(places):
        made[to::group] = given[place::group]
    target[:] = made


def _stretch(source: memoryview, target: memoryview, places: tuple[int, ...]) -> None:
    # Each place is two lumas, Cb and Cr: a table each, applied at the speed of bytes.translate.
    given, made = bytes(source), bytearray(len(target))
    for to, place in enumerate(places):
        table = _LUMA_TO_FULL if to < 2 else _CHROMA_TO_FULL
        made[to::4] = given[place::4].translate(table)
    target[:] = made


def _to_full(lowest: int, highest: int, neutral: int, scaled: int) -> bytes:
    span = highest - lowest
    return bytes(
        min(255, max(0, round((value - neutral) * 255 / span) + scaled)) for value in range(256)
    )


_LUMA_TO_FULL = _to_full(16, 235, 16, 0)
_CHROMA_TO_FULL = _to_full(16, 240, 128, 128)


def _to_rgb(
    source: memoryview, target: memoryview, places: tuple[int, ...], full_range: bool
) -> None:
    """The inverse of C.7.6.3.1.2's equations in units of 1/65536; two pixels share their chroma."""
    import numpy as np

    if not full_range:
        stretched = bytearray(len(source))
        with memoryview(stretched) as view:
            _stretch(source, view, places)
        quads = np.frombuffer(stretched, dtype=np.uint8).reshape(-1, 4).astype(np.int32)
    else:
        quads = np.frombuffer(source, dtype=np.uint8).reshape(-1, 4)[:, places].astype(np.int32)
    luma = quads[:, :2]
    blueness = quads[:, 2:3] - 128
    redness = quads[:, 3:4] - 128
    result = np.frombuffer(target, dtype=np.uint8).reshape(-1, 2, 3)
    result[:, :, 0] = np.clip(luma + (91881 * redness + 32768 >> 16), 0, 255)
    result[:, :, 1] = np.clip(luma - (22554 * blueness + 46802 * redness + 32768 >> 16), 0, 255)
    result[:, :, 2] = np.clip(luma + (116130 * blueness + 32768 >> 16), 0, 255)
