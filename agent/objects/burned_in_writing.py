"""Writing that was burned into an image, found by what it looks like.

Characters are drawn in one colour on a ground that is even: many steep steps from pixel to pixel,
and between them none at all. Cells of eight by eight pixels that have both, several of them side by
side, are taken for writing, whatever the language. What is found too much costs a black bar; what
stands on a restless ground, or is a single character, can be missed: a mask for the device cannot
miss (PS3.15 E.3.1, notes 2 and 3). numpy does the counting.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.codecs.frame import FrameDescription
from agent.codecs.rows import grouped
from agent.objects.region import Rectangle
from agent.objects.stored_image import StoredImage

CELL = 8
"""Pixels of a cell, either way."""
STEEP = 0.2
"""Part of the whole range from black to white that makes a step."""
EVEN = 0.02
"""Part of the range below which two neighbours count as the same."""
FEWEST_STEPS = 5
FEWEST_EVEN = 22
"""Of the 64 pixels of a cell."""
SHORTEST = 2
"""Cells side by side."""


def writing_in(image: StoredImage) -> tuple[Rectangle, ...]:
    """Where there may be writing in any of the frames, with a margin of a cell.

    Decodes all frames, twice where samples have more than eight bits. Memory: eight rows, and a
    byte for each cell. Raises FrameDamaged where a frame is, LocalError where nothing here decodes
    it.
    """
    import numpy

    frame = image.described()
    if not frame.row_length:
        return ()
    cells = numpy.zeros(
        ((frame.rows + CELL - 1) // CELL, (frame.columns + CELL - 1) // CELL), dtype=bool
    )
    for number in range(image.frames):
        low, high = _range(image, number, frame)
        if high <= low:
            continue
        for row, luma in enumerate(_lumas(image, number, frame)):
            cells[row] |= _looks_written(luma, _least_step(frame, high - low))
    return tuple(_bars(cells, frame))


def _range(image: StoredImage, number: int, frame: FrameDescription) -> tuple[float, float]:
    """The darkest and the brightest sample of a frame."""
    if frame.bits_allocated == 8:
        return 0.0, 255.0
    found = [(float(luma.min()), float(luma.max())) for luma in _lumas(image, number, frame)]
    return min(low for low, _ in found), max(high for _, high in found)


def _lumas(image: StoredImage, number: int, frame: FrameDescription) -> Iterator[Any]:
    """The brightness of a frame in bands of eight rows."""
    import numpy

    sign = "i" if frame.pixel_representation else "u"
    kind = numpy.dtype(f"<{sign}{frame.sample_length}")
    for band in grouped(frame, image.rows_of(number).strips(), CELL):
        samples = numpy.frombuffer(band, kind)
        rows = len(band) // frame.row_length
        if frame.subsampled:
            luma = samples.reshape(rows, -1, 4)[:, :, :2].reshape(rows, -1)
        else:
            pixels = samples.reshape(rows, frame.columns, frame.samples_per_pixel)
            is_luma = frame.photometric_interpretation.startswith("YBR")
            luma = pixels[:, :, 0] if is_luma else pixels.max(axis=2)
        yield luma.astype(numpy.float32)


def _least_step(frame: FrameDescription, whole: float) -> float:
    """What is steep. Entries of a palette lie side by side in whatever order: there, any other
    entry is another colour."""
    return 1.0 if frame.photometric_interpretation == "PALETTE COLOR" else STEEP * whole


def _looks_written(luma: Any, steep_from: float) -> Any:
    """Of each cell of a band, whether it has many steep steps on an even ground."""
    import numpy

    width = (luma.shape[1] + CELL - 1) // CELL
    across = numpy.abs(numpy.diff(luma, axis=1, append=luma[:, -1:]))
    counts = []
    for wanted in (
        across >= steep_from,
        across < EVEN / STEEP * steep_from,
    ):
        padded = numpy.zeros((luma.shape[0], width * CELL), dtype=numpy.uint8)
        padded[:, : wanted.shape[1]] = wanted
        counts.append(padded.reshape(luma.shape[0], width, CELL).sum(axis=(0, 2)))
    steep, even = counts
    return (steep >= FEWEST_STEPS) & (even >= FEWEST_EVEN)


def _bars(cells: Any, frame: FrameDescription) -> Iterator[Rectangle]:
    """Rectangles over runs of cells; a gap of one cell is the space between two words."""
    for row, line in enumerate(cells.tolist()):
        start = end = -1
        for column, written in enumerate([*line, False, False]):
            if written:
                start, end = (column if start < 0 else start), column
            elif start >= 0 and column - end > 1:
                if end - start + 1 >= SHORTEST:
                    yield _bar(row, start, end)
                start = -1


def _bar(row: int, start: int, end: int) -> Rectangle:
    left, top = max(0, start - 1) * CELL, max(0, row - 1) * CELL
    return Rectangle(left, top, (end + 2) * CELL - left, (row + 2) * CELL - top)
