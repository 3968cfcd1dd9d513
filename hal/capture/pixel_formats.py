"""Pixel formats that capture devices deliver, as one table.

The names are those of the Linux kernel's V4L2 documentation; `fourcc` is its code. What a format
means is said completely by its row: a driver, a converter or an object builder that knows the
columns needs no case of its own for a format that is added later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """One row: how a frame lies in a buffer.

    `bits_per_pixel` is the mean over the frame (16 for 4:2:2 at 8 bit); 0 means compressed, the
    length then differs from frame to frame. `bits_stored` of each sample's `bits_allocated` are
    used, the low ones. `colour` is `grey`, `rgb` or `ycbcr`. `samples` says the order in which
    samples follow each other within one group of `group_width` pixels in a row. `planar` formats
    have their chroma behind the luma plane.
    """

    name: str
    fourcc: str
    colour: str
    bits_allocated: int
    bits_stored: int
    bits_per_pixel: int
    samples: tuple[str, ...]
    group_width: int = 1
    planar: bool = False
    meaning: str = ""

    @property
    def compressed(self) -> bool:
        return self.bits_per_pixel == 0

    def row_length(self, width: int) -> int:
        """Bytes that the pixels of one row take, without the padding that a stride adds.

        For planar formats this is the row of the luma plane. Raises ValueError for a width that
        is not whole groups, and for compressed formats.
        """
        if self.compressed:
            raise ValueError(f"{self.name} is compressed: its rows have no length")
        if width < 1 or width % self.group_width:
            raise ValueError(f"{self.name} needs a width in steps of {self.group_width}: {width}")
        if self.planar:
            return width * self.bits_allocated // 8
        return width * self.bits_per_pixel // 8

    def frame_length(self, width: int, height: int, stride: int | None = None) -> int:
        """Bytes of a whole frame whose rows (of the first plane) are `stride` bytes apart.

        Raises ValueError as `row_length`, for a stride that is too short, and for an odd height
        where two rows share their chroma.
        """
        row = self.row_length(width)
        if stride is None:
            stride = row
        if stride < row:
            raise ValueError(f"a stride of {stride} is less than a row of {row} bytes")
        if self.planar:
            if height % 2:
                raise ValueError(f"{self.name} needs an even height: {height}")
            return stride * height * self.bits_per_pixel // self.bits_allocated
        return stride * height


_ROWS = (
    PixelFormat("GREY", "GREY", "grey", 8, 8, 8, ("Y",), meaning="8 bit grey"),
    PixelFormat(
        "Y10", "Y10 ", "grey", 16, 10, 16, ("Y",), meaning="10 bit grey in 16, little endian"
    ),
    PixelFormat(
        "Y12", "Y12 ", "grey", 16, 12, 16, ("Y",), meaning="12 bit grey in 16, little endian"
    ),
    PixelFormat("Y16", "Y16 ", "grey", 16, 16, 16, ("Y",), meaning="16 bit grey, little endian"),
    PixelFormat("RGB24", "RGB3", "rgb", 8, 8, 24, ("R", "G", "B"), meaning="8 bit red first"),
    PixelFormat("BGR24", "BGR3", "rgb", 8, 8, 24, ("B", "G", "R"), meaning="8 bit blue first"),
    PixelFormat(
        "YUYV",
        "YUYV",
        "ycbcr",
        8,
        8,
        16,
        ("Y", "Cb", "Y", "Cr"),
        group_width=2,
        meaning="YCbCr 4:2:2, luma first",
    ),
    PixelFormat(
        "UYVY",
        "UYVY",
        "ycbcr",
        8,
        8,
        16,
        ("Cb", "Y", "Cr", "Y"),
        group_width=2,
        meaning="YCbCr 4:2:2, chroma first",
    ),
    PixelFormat(
        "NV12",
        "NV12",
        "ycbcr",
        8,
        8,
        12,
        ("Y", "Cb", "Cr"),
        group_width=2,
        planar=True,
        meaning="YCbCr 4:2:0, a plane of luma, then Cb and Cr interleaved",
    ),
    PixelFormat(
        "MJPEG", "MJPG", "ycbcr", 8, 8, 0, ("Y", "Cb", "Cr"), meaning="one JPEG stream a frame"
    ),
)

PIXEL_FORMATS: Mapping[str, PixelFormat] = MappingProxyType({row.name: row for row in _ROWS})
