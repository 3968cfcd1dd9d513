"""What one frame is to a codec: the attributes of PS3.3 C.7.6.3 that decide how its bytes lie."""

from __future__ import annotations

from dataclasses import dataclass

_SUBSAMPLED = frozenset(("YBR_FULL_422", "YBR_PARTIAL_422"))


@dataclass(frozen=True, slots=True)
class FrameDescription:
    """A frame in native form: little endian, samples of a pixel together (planar configuration 0).

    A row of 8, 16 or 32 bit samples has `row_length` bytes. Rows of single bits share bytes
    (PS3.5 8.1.1), so such a frame is only bytes, which few codecs take. `bits_stored` low bits of
    each cell are the sample.
    """

    rows: int
    columns: int
    samples_per_pixel: int = 1
    bits_allocated: int = 8
    bits_stored: int = 8
    pixel_representation: int = 0
    photometric_interpretation: str = "MONOCHROME2"

    @property
    def sample_length(self) -> int:
        """Bytes of a sample; 0 of a single bit."""
        return self.bits_allocated // 8

    @property
    def subsampled(self) -> bool:
        """Whether two pixels share their chroma: Y Y Cb Cr (PS3.3 C.7.6.3.1.2)."""
        return self.photometric_interpretation in _SUBSAMPLED

    @property
    def samples_per_row(self) -> int:
        """Samples of a native row."""
        return self.columns * (2 if self.subsampled else self.samples_per_pixel)

    @property
    def row_length(self) -> int:
        """Bytes of a native row; 0 where rows do not begin at bytes."""
        return self.samples_per_row * self.sample_length

    @property
    def length(self) -> int:
        """Bytes of the native frame, without padding."""
        return (self.rows * self.samples_per_row * self.bits_allocated + 7) // 8
