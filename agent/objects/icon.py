"""The icon of an image: small enough for a list (PS3.3 C.7.6.1.1.6)."""

from __future__ import annotations

from agent.errors import LocalError
from agent.objects.element import Element
from agent.objects.output import Bytes
from agent.objects.pixels import PixelDescription

ICON_IMAGE_SEQUENCE = 0x00880200
_LARGEST_SIDE = 64
# Of red, green and blue in luminance (ITU-R BT.601).
_WEIGHTS = (0.299, 0.587, 0.114)


def icon_elements(
    frame: Bytes, pixels: PixelDescription, *, side: int = _LARGEST_SIDE
) -> dict[int, Element]:
    """Icon Image Sequence of a native frame, for what an image says beyond its tables.

    Every n-th row and column, so that neither side is longer than `side`; 8 bits of grey, the
    darkest 0 and the brightest 255. Memory: an icon; the frame is looked at where it is. Raises
    LocalError for samples of other than 8 or 16 bits, for signed ones, and for colours that are
    not RGB.
    """
    import numpy as np

    plain = pixels.samples_per_pixel == 1 or pixels.photometric_interpretation == "RGB"
    if not plain or pixels.bits_allocated not in (8, 16) or pixels.pixel_representation:
        raise LocalError(
            "No icon can be made of such pixels.", clause="PS3.3 C.7.6.1.1.6", value=pixels
        )
    step = -(-max(pixels.rows, pixels.columns) // side)
    values = np.frombuffer(frame, dtype=np.uint8 if pixels.bits_allocated == 8 else "<u2")
    picked = values.reshape(pixels.rows, pixels.columns, -1)[::step, ::step].astype(np.float32)
    icon = picked @ np.array(_WEIGHTS, np.float32) if picked.shape[2] == 3 else picked[:, :, 0]
    darkest, brightest = float(icon.min()), float(icon.max())
    icon = (icon - darkest) * (255 / max(brightest - darkest, 1.0))
    rows, columns = icon.shape
    grey = pixels.photometric_interpretation
    item = {
        0x00280002: Element("US", 1),
        0x00280004: Element("CS", grey if grey == "MONOCHROME1" else "MONOCHROME2"),
        0x00280010: Element("US", rows),
        0x00280011: Element("US", columns),
        0x00280100: Element("US", 8),
        0x00280101: Element("US", 8),
        0x00280102: Element("US", 7),
        0x00280103: Element("US", 0),
        0x7FE00010: Element("OB", icon.round().astype(np.uint8).tobytes()),
    }
    if pixels.aspect_ratio is not None:
        item[0x00280034] = Element("IS", pixels.aspect_ratio)
    return {ICON_IMAGE_SEQUENCE: Element("SQ", (item,))}
