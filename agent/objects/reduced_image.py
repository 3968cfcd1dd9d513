"""Frames made small enough for a list, as a person is to see them: icons and thumbnails.

A frame comes in strips and goes into the cells of a small grid: each cell is the mean of what lies
in it, the numbers of a palette as their colours. Samples become grey or colour as the object says:
palette, rescaling, window (PS3.3 C.7.6.3.1.5, C.11.1, C.11.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.codecs.codec import Strip
from agent.codecs.frame import FrameDescription
from agent.codecs.rows import grouped, strip_height
from agent.errors import LocalError
from agent.objects.full_chroma import full_chroma
from agent.objects.stored_image import StoredImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422")
_PALETTE = "PALETTE COLOR"
# Of red, green and blue in luminance (ITU-R BT.601).
_WEIGHTS = (0.299, 0.587, 0.114)

_RGB_OF_YBR = ((1, 0, 1.402), (1, -0.344136, -0.714136), (1, 1.772, 0))


class Palette(NamedTuple):
    """A palette: the stored value of its first colour, and 8 bits of each colour of red, green and
    blue, all of one length."""

    first: int
    red: bytes
    green: bytes
    blue: bytes


class Display(NamedTuple):
    """How the samples of an image are to be seen.

    `window` is centre and width, in what the rescaling makes of the samples; without it the darkest
    sample is black and the brightest white.
    """

    slope: float = 1.0
    intercept: float = 0.0
    window: tuple[float, float] | None = None
    palette: Palette | None = None
    aspect: tuple[int, int] = (1, 1)
    """The vertical and the horizontal size of a pixel."""


PLAIN = Display()


class Samples(NamedTuple):
    """The cells of a reduced frame: rows, columns and samples of a cell, as `frame` has them."""

    cells: NDArray[np.float64]
    frame: FrameDescription


def fitted(frame: FrameDescription, side: int, aspect: tuple[int, int] = (1, 1)) -> tuple[int, int]:
    """Rows and columns so that the longer side has `side` and pixels are square; at least one."""
    high, wide = frame.rows * aspect[0], frame.columns * aspect[1]
    longest = max(high, wide)
    return max(1, round(high * side / longest)), max(1, round(wide * side / longest))


def reduced(
    frame: FrameDescription,
    strips: Iterable[Strip],
    rows: int,
    columns: int,
    palette: Palette | None = None,
) -> Samples:
    """The frame in `rows` by `columns` cells; more than it has are repeated. With a palette it has
    become RGB.

    Memory: a strip, eight bytes for each of its samples, and the cells. Raises LocalError for
    samples that are neither 8, 16 nor 32 bits, for photometric interpretations without a rule, and
    for PALETTE COLOR without a palette.
    """
    import numpy as np

    if frame.subsampled:
        strips = full_chroma(strips)
        frame = _full(frame)
    known = _COLOUR if frame.samples_per_pixel == 3 else (*_GREY, _PALETTE)
    if (
        frame.bits_allocated not in (8, 16, 32)
        or frame.samples_per_pixel not in (1, 3)
        or frame.photometric_interpretation not in known
    ):
        raise LocalError(
            "No icon can be made of such pixels.", clause="PS3.3 C.7.6.1.1.6", value=frame
        )
    shown = frame
    table: NDArray[np.uint8] | None = None
    if frame.photometric_interpretation == _PALETTE:
        if palette is None:
            raise LocalError("The image has no palette.", clause="PS3.3 C.7.6.3.1.5")
        table = np.stack([np.frombuffer(each, np.uint8) for each in palette[1:]], axis=-1)
        shown = FrameDescription(frame.rows, frame.columns, 3, photometric_interpretation="RGB")
    high, wide = min(rows, frame.rows), min(columns, frame.columns)
    lefts = np.arange(wide) * frame.columns // wide
    row_of = np.arange(frame.rows) * high // frame.rows
    cells = np.zeros((high, wide, shown.samples_per_pixel))
    done = 0
    for strip in grouped(frame, strips, strip_height(frame)):
        values = _values(frame, strip)
        cell = row_of[done : done + len(values)]
        begins = np.flatnonzero(np.diff(cell, prepend=-1))
        if table is not None and palette is not None:
            numbers = values[:, :, 0].astype(np.int64) - palette.first
            values = table[np.clip(numbers, 0, len(table) - 1)]
        sums = np.add.reduceat(values, lefts, axis=1, dtype=np.float64)
        cells[cell[begins]] += np.add.reduceat(sums, begins, axis=0)
        done += len(values)
    counted = np.bincount(row_of)[:, None, None]
    cells /= counted * np.diff(lefts, append=frame.columns)[None, :, None]
    again = (np.arange(rows) * high // rows)[:, None], np.arange(columns) * wide // columns
    return Samples(cells[again], shown)


def _full(frame: FrameDescription) -> FrameDescription:
    """What `full_chroma` makes of a frame whose pixels share their chroma."""
    from dataclasses import replace

    return replace(frame, photometric_interpretation="YBR_FULL")


def _values(frame: FrameDescription, strip: memoryview) -> NDArray[Any]:
    """The samples of whole rows as numbers; what else the cells hold is masked."""
    import numpy as np

    raw = np.frombuffer(strip, f"<u{frame.sample_length}")
    raw = raw.reshape(-1, frame.columns, frame.samples_per_pixel)
    if frame.bits_stored < frame.bits_allocated:
        raw = raw & raw.dtype.type((1 << frame.bits_stored) - 1)
    if not frame.pixel_representation:
        return raw
    sign = 1 << frame.bits_stored - 1
    return (raw.astype(np.int64) ^ sign) - sign


def grey_of(samples: Samples, display: Display = PLAIN) -> NDArray[np.uint8]:
    """The cells as MONOCHROME2 of 8 bits; colours are their luminance."""
    import numpy as np

    cells, frame = samples
    if frame.photometric_interpretation not in _GREY:
        return _bytes(_rgb(samples) @ np.array(_WEIGHTS))
    values = cells[:, :, 0] * display.slope + display.intercept
    shown = _stretched(values) if display.window is None else _windowed(values, *display.window)
    if frame.photometric_interpretation == "MONOCHROME1":
        shown = 255 - shown
    return _bytes(shown)


def colour_of(samples: Samples, display: Display = PLAIN) -> NDArray[np.uint8]:
    """The cells as RGB of 8 bits; of a grey image as in `grey_of`, without colours: two axes."""
    if samples.frame.photometric_interpretation in _GREY:
        return grey_of(samples, display)
    return _bytes(_rgb(samples))


def _rgb(samples: Samples) -> NDArray[np.float64]:
    import numpy as np

    cells, frame = samples
    cells = cells * (255 / ((1 << frame.bits_stored) - 1))
    if frame.photometric_interpretation == "RGB":
        return cells
    # PS3.3 C.7.6.3.1.2
    made: NDArray[np.float64] = (cells - (0, 128, 128)) @ np.array(_RGB_OF_YBR).T
    return made


def _stretched(values: NDArray[np.float64]) -> NDArray[np.float64]:
    darkest, brightest = float(values.min()), float(values.max())
    return (values - darkest) * (255 / max(brightest - darkest, 1.0))


def _windowed(values: NDArray[np.float64], centre: float, width: float) -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.2.1; a window of 1 is a threshold."""
    import numpy as np

    if width <= 1:
        return np.where(values > centre - 0.5, 255.0, 0.0)
    return (values - (centre - 0.5)) * (255 / (width - 1)) + 127.5


def _bytes(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    import numpy as np

    return np.nan_to_num(values).round().clip(0, 255).astype(np.uint8)


def reduced_frame(
    image: StoredImage, number: int, side: int, display: Display, *, enlarged: bool = True
) -> Samples:
    """A frame of a stored image, counted from 0, its longer side `side` cells; fewer where it has
    fewer pixels and is not to be `enlarged`.

    Memory: what the codec holds, and that of `reduced`. Raises LocalError for an image without
    Pixel Data, one that cannot be decoded here, and what `reduced` refuses; FrameDamaged.
    """
    if image.pixel_data is None:
        raise LocalError("The object has no Pixel Data.", clause="PS3.3 C.7.6.3")
    frame = image.described()
    if not enlarged:
        side = min(side, max(frame.rows, frame.columns))
    rows, columns = fitted(frame, side, display.aspect)
    strips = image.rows_of(number).strips()
    return reduced(frame, strips, rows, columns, display.palette)
