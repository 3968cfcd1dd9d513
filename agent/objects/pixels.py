"""What pixels are to DICOM: the Image Pixel attributes (PS3.3 C.7.6.3) and what an IOD allows."""

from __future__ import annotations

from dataclasses import dataclass

from agent.codecs.frame import FrameDescription
from agent.errors import LocalError

_SUBSAMPLED = ("YBR_FULL_422", "YBR_PARTIAL_422")
# Samples for each pixel where pixels share their chroma.
_SAMPLES_OF_SUBSAMPLED = {"YBR_FULL_422": 2, "YBR_PARTIAL_422": 2, "YBR_PARTIAL_420": 1.5}
LONGEST_NATIVE_PIXEL_DATA = 0xFFFFFFFE
"""Bytes that a native Pixel Data element can hold: its length has 32 bits and is even."""


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """The frames of one object; all have the same.

    Samples of a pixel lie together (planar configuration 0). `aspect_ratio` is the vertical and
    the horizontal size of a pixel, where it is not square (a PAL grabber).
    """

    rows: int
    columns: int
    photometric_interpretation: str
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    pixel_representation: int = 0
    aspect_ratio: tuple[int, int] | None = None
    lossy: str = "00"
    """Lossy Image Compression: 01 when the pixels have ever lost information to compression."""
    compression_method: str | None = None
    """How they lost it (PS3.3 C.7.6.1.1.5.1): ISO_10918_1 is JPEG."""
    compression_ratio: float | None = None
    """None of compressed frames: what is measured while the object is written."""

    @property
    def high_bit(self) -> int:
        return self.bits_stored - 1

    @property
    def planar_configuration(self) -> int | None:
        return 0 if self.samples_per_pixel > 1 else None

    @property
    def frame_length(self) -> int:
        """Bytes of a native frame, as PS3.5 8.1.1 and C.7.6.3.1.2 (two chroma for two luma)."""
        samples = _SAMPLES_OF_SUBSAMPLED.get(
            self.photometric_interpretation, self.samples_per_pixel
        )
        return (int(self.rows * self.columns * samples) * self.bits_allocated + 7) // 8

    @property
    def frame(self) -> FrameDescription:
        """A frame as codecs know it."""
        return FrameDescription(
            self.rows,
            self.columns,
            self.samples_per_pixel,
            self.bits_allocated,
            self.bits_stored,
            self.pixel_representation,
            self.photometric_interpretation,
        )

    def check(self) -> None:
        """Raises LocalError for what no image can be, whatever its IOD."""
        wrong = None
        if not (1 <= self.rows <= 65535 and 1 <= self.columns <= 65535):
            wrong = "Rows and Columns are from 1 to 65535"
        elif not 1 <= self.bits_stored <= self.bits_allocated:
            wrong = "Bits Stored is from 1 to Bits Allocated"
        elif self.bits_allocated not in (1, 8, 16, 32, 64):
            wrong = "Bits Allocated is 1 or a multiple of 8"
        elif self.photometric_interpretation in _SUBSAMPLED and self.columns % 2:
            wrong = "Columns is even where two pixels share their chroma"
        elif (self.samples_per_pixel > 1) != (
            self.photometric_interpretation not in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
        ):
            wrong = "Samples per Pixel fits the Photometric Interpretation"
        elif self.frame_length > LONGEST_NATIVE_PIXEL_DATA:
            wrong = "a frame has at most 4 GiB"
        if wrong is not None:
            raise LocalError(
                f"The description of the pixels is wrong: {wrong}.",
                clause="PS3.3 C.7.6.3",
                value=self,
            )


def grey(rows: int, columns: int, *, bits_stored: int = 8) -> PixelDescription:
    """MONOCHROME2 of 8 bit, or of 9 to 16 bit in 16."""
    return PixelDescription(
        rows, columns, "MONOCHROME2", 1, 8 if bits_stored <= 8 else 16, bits_stored
    )


def colour(rows: int, columns: int, photometric_interpretation: str = "RGB") -> PixelDescription:
    """Three samples of 8 bit: RGB, YBR_FULL or YBR_FULL_422."""
    return PixelDescription(rows, columns, photometric_interpretation, 3, 8, 8)


@dataclass(frozen=True, slots=True)
class PixelRule:
    """Pixels that an IOD allows: one row of its constraints.

    `native` and `encapsulated` say in which transfer syntaxes the photometric interpretation is
    allowed.
    """

    photometric_interpretation: str
    bits_allocated: tuple[int, ...]
    bits_stored: tuple[int, int]
    native: bool = True
    encapsulated: bool = True

    def allows(self, pixels: PixelDescription, *, encapsulated: bool) -> bool:
        lowest, highest = self.bits_stored
        return (
            pixels.photometric_interpretation == self.photometric_interpretation
            and pixels.bits_allocated in self.bits_allocated
            and lowest <= pixels.bits_stored <= highest
            and (self.encapsulated if encapsulated else self.native)
        )
