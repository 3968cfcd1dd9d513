"""Frames that a device has compressed already, kept as they are: JPEG baseline (PS3.5 8.2.1).

A camera's motion JPEG is a JPEG stream a frame. What an object says of its pixels is read from
the first frame's markers (ITU-T T.81 B.2); nothing is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from agent.errors import LocalError
from agent.objects.pixels import PixelDescription
from hal.capture.motion_jpeg import whole_frame

_START_OF_IMAGE = b"\xff\xd8"
_BASELINE, _HUFFMAN_TABLES, _START_OF_SCAN, _ADOBE = 0xC0, 0xC4, 0xDA, 0xEE
# Other frame headers: extended, progressive, lossless, arithmetic.
_OTHER_FRAMES = frozenset(range(0xC1, 0xD0)) - {_HUFFMAN_TABLES, 0xC8, 0xCC}


class KeptFrames:
    """Compressed frames on their way into an object; stands where a `Packing` does."""

    def __init__(self, pixels: PixelDescription) -> None:
        self.pixels = pixels

    def strips(self, view: memoryview, stride: int) -> Iterator[memoryview]:
        """The frame whole, with the Huffman tables that cameras leave out; a compressed frame has
        no rows, so `stride` says nothing."""
        for piece in whole_frame(view):
            yield memoryview(piece)


def jpeg_pixels(frame: bytes | bytearray | memoryview) -> PixelDescription:
    """What a JPEG baseline frame holds: its size, and grey, RGB or YBR_FULL_422.

    PS3.5 8.2.1 calls every subsampling of chroma YBR_FULL_422. Raises LocalError for what is no
    JPEG baseline of 8 bits with one or three components, and for a stream without Huffman tables,
    which no JPEG decoder can read.
    """
    view = memoryview(frame).cast("B")
    header: memoryview | None = None
    adobe: memoryview | None = None
    tables = False
    for marker, segment in _segments(view):
        if marker == _BASELINE:
            header = segment
        elif marker in _OTHER_FRAMES:
            _refuse("The JPEG stream is not baseline.", marker)
        elif marker == _HUFFMAN_TABLES:
            tables = True
        elif marker == _ADOBE and bytes(segment[:5]) == b"Adobe":
            adobe = segment
    if header is None or len(header) < 6 or header[0] != 8 or header[5] not in (1, 3):
        _refuse("The JPEG stream has no frame of 8 bits with one or three components.", None)
    if not tables:
        _refuse("The JPEG stream has no Huffman tables.", None)
    rows, columns = header[1] << 8 | header[2], header[3] << 8 | header[4]
    if header[5] == 1:
        return PixelDescription(rows, columns, "MONOCHROME2", 1, 8, 8)
    return PixelDescription(rows, columns, _photometric_interpretation(header, adobe), 3, 8, 8)


def _photometric_interpretation(header: memoryview, adobe: memoryview | None) -> str:
    """Adobe's transform 0 is RGB; without the segment, so are components of these names."""
    names = bytes(header[6::3][:3])
    if (adobe is not None and len(adobe) >= 12 and adobe[11] == 0) or names == b"RGB":
        return "RGB"
    return "YBR_FULL_422"


def _segments(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Markers with their segments, up to the first scan."""
    if bytes(view[:2]) != _START_OF_IMAGE:
        _refuse("The frame is no JPEG stream.", bytes(view[:2]))
    position = 2
    while position + 4 <= len(view):
        if view[position] != 0xFF:
            _refuse("The JPEG stream has no marker where one must be.", position)
        marker = view[position + 1]
        if marker == 0xFF:
            position += 1  # fill byte
            continue
        if marker == _START_OF_SCAN:
            return
        length = view[position + 2] << 8 | view[position + 3]
        if length < 2 or position + 2 + length > len(view):
            break
        yield marker, view[position + 4 : position + 2 + length]
        position += 2 + length
    _refuse("The JPEG stream ends before its first scan.", position)


def _refuse(message: str, value: object) -> NoReturn:
    raise LocalError(message, clause="PS3.5 8.2.1", value=value)
