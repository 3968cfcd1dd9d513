"""The icon of an image: small enough for a list (PS3.3 C.7.6.1.1.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import LocalError
from agent.objects.element import Element
from agent.objects.output import Bytes
from agent.objects.pixels import PixelDescription
from agent.objects.reduced_image import fitted, grey_of, reduced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ICON_IMAGE_SEQUENCE = 0x00880200
_LARGEST_SIDE = 64


def icon_elements(
    frame: Bytes, pixels: PixelDescription, *, side: int = _LARGEST_SIDE
) -> dict[int, Element]:
    """Icon Image Sequence of a native frame, for what an image says beyond its tables.

    Neither side is longer than `side`; 8 bits of grey, of a grey frame the darkest 0 and the
    brightest 255. Memory: an icon, and a strip of the frame, which is looked at where it is. Raises
    LocalError for samples of other than 8 or 16 bits, for signed ones, and for colours that are not
    RGB.
    """
    plain = pixels.samples_per_pixel == 1 or pixels.photometric_interpretation == "RGB"
    if not plain or pixels.bits_allocated not in (8, 16) or pixels.pixel_representation:
        raise LocalError(
            "No icon can be made of such pixels.", clause="PS3.3 C.7.6.1.1.6", value=pixels
        )
    described = pixels.frame
    rows, columns = described.rows, described.columns
    if max(rows, columns) > side:
        rows, columns = fitted(described, side)
    grey = grey_of(reduced(described, (frame,), rows, columns))
    interpretation = "MONOCHROME2"
    if pixels.photometric_interpretation == "MONOCHROME1":
        # As the image itself is: what shows the one shows the other.
        grey, interpretation = 255 - grey, "MONOCHROME1"
    item = icon_item(grey, interpretation)
    if pixels.aspect_ratio is not None:
        item[0x00280034] = Element("IS", pixels.aspect_ratio)
    return {ICON_IMAGE_SEQUENCE: Element("SQ", (item,))}


def icon_item(grey: NDArray[np.uint8], interpretation: str = "MONOCHROME2") -> dict[int, Element]:
    """The one item of an Icon Image Sequence, of 8 bits of grey."""
    rows, columns = grey.shape
    return {
        0x00280002: Element("US", 1),
        0x00280004: Element("CS", interpretation),
        0x00280010: Element("US", rows),
        0x00280011: Element("US", columns),
        0x00280100: Element("US", 8),
        0x00280101: Element("US", 8),
        0x00280102: Element("US", 7),
        0x00280103: Element("US", 0),
        0x7FE00010: Element("OB", grey.tobytes()),
    }


def framed(grey: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The same in the middle of a black square, for those who want icons of one size."""
    import numpy as np

    rows, columns = grey.shape
    top, left = (side - rows) // 2, (side - columns) // 2
    square = np.zeros((side, side), np.uint8)
    square[top : top + rows, left : left + columns] = grey
    return square
