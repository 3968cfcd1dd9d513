"""Graphics over an image: beside its pixels as an overlay (PS3.3 C.9.2), or burnt into them."""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import LocalError
from agent.objects.element import Element
from agent.objects.output import Bytes
from agent.objects.pixels import PixelDescription
from agent.objects.single_bit import pack_bits


@dataclass(frozen=True, slots=True)
class Overlay:
    """A picture of one bit: a byte for each pixel, row by row, 0 where nothing is drawn.

    `kind` is G for graphics and R for a region of interest; `origin` is the row and column of the
    image, from 1 on, over which its first pixel lies.
    """

    rows: int
    columns: int
    drawn: bytes
    kind: str = "G"
    description: str = ""
    origin: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        """Raises LocalError where the bytes are not as many as the pixels."""
        if len(self.drawn) != self.rows * self.columns:
            raise LocalError(
                "An overlay has a byte for each of its pixels.",
                clause="PS3.3 C.9.2",
                value=len(self.drawn),
                limit=self.rows * self.columns,
            )

    def elements(self, number: int = 0) -> dict[int, Element]:
        """The overlay of this number, 0 to 15, for what an image says beyond its tables."""
        if not 0 <= number <= 15:
            raise LocalError("An image has 16 overlays.", clause="PS3.5 7.6", value=number)
        group = 0x60000000 + (number << 17)
        packed = pack_bits(self.drawn)
        made = {
            group + 0x0010: Element("US", self.rows),
            group + 0x0011: Element("US", self.columns),
            group + 0x0040: Element("CS", self.kind),
            group + 0x0050: Element("SS", self.origin),
            group + 0x0100: Element("US", 1),
            group + 0x0102: Element("US", 0),
            group + 0x3000: Element("OW", packed + b"\0" * (len(packed) % 2)),
        }
        if self.description:
            made[group + 0x0022] = Element("LO", self.description)
        return made


def burn_in(frame: Bytes, pixels: PixelDescription, overlay: Overlay) -> bytes:
    """The native frame with the graphics in its pixels, as bright as these can be.

    Memory: the frame once more, and the overlay. What lies outside of the frame is left out.
    Raises LocalError for samples of other than 8 or 16 bits. Signed ones are as bright as their
    sign allows.
    """
    import numpy as np

    if pixels.bits_allocated not in (8, 16):
        raise LocalError(
            "Nothing can be drawn into such pixels.", clause="PS3.3 C.7.6.3", value=pixels
        )
    values = np.frombuffer(frame, dtype=np.uint8 if pixels.bits_allocated == 8 else "<u2").copy()
    image = values.reshape(pixels.rows, pixels.columns, -1)
    bits = pixels.bits_stored - pixels.pixel_representation
    brightest = 0 if pixels.photometric_interpretation == "MONOCHROME1" else (1 << bits) - 1
    drawn = np.frombuffer(overlay.drawn, dtype=np.uint8).reshape(overlay.rows, overlay.columns)
    rows, columns = np.nonzero(drawn)
    rows, columns = rows + overlay.origin[0] - 1, columns + overlay.origin[1] - 1
    inside = (rows >= 0) & (rows < pixels.rows) & (columns >= 0) & (columns < pixels.columns)
    image[rows[inside], columns[inside]] = brightest
    return values.tobytes()
