"""JPEG-LS streams that our encoder does not write, but others do: made from scans of the kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.codecs import jpeg_segments
from agent.codecs.jpeg_ls_markers import SOF55, Presets, preset_segment, scan_header
from agent.codecs.jpeg_markers import Component
from agent.codecs.rows import strip_height
from tests.codecs.frames import description

NONE, LINE, SAMPLE = range(3)


def coded_scan(
    image: NDArray[np.generic],
    precision: int,
    interleave: int,
    near: int = 0,
    presets: Presets | None = None,
) -> bytes:
    """The coded bytes of a scan of all samples of `image`: rows, columns, samples."""
    from agent.codecs import kernel

    rows, columns, samples = image.shape
    parameters = (
        columns,
        samples,
        interleave,
        image.dtype.itemsize,
        near,
        *(presets or Presets()).complete(precision, near),
    )
    state = bytearray(kernel.jpeg_ls_state_length(parameters))
    kernel.jpeg_ls_encoder_begin(state, parameters, 0)
    out = bytearray(rows * (columns * samples * 10 + 64))
    written = kernel.jpeg_ls_encode(state, image.tobytes(), out)
    assert written >= 0
    coded = bytes(out[:written])
    written = kernel.jpeg_ls_finish(state, out)
    return coded + bytes(out[:written])


def stream(
    image: NDArray[np.generic],
    precision: int,
    interleave: int,
    *,
    near: int = 0,
    presets: Presets | None = None,
    restart_rows: int = 0,
    before: bytes = b"",
) -> bytes:
    """A whole stream; `before` are segments that come first."""
    rows, columns, samples = image.shape
    components = tuple(Component(7 + each, 1, 1, 0) for each in range(samples))
    made = jpeg_segments.START_OF_IMAGE + before
    made += jpeg_segments.frame_header(SOF55, precision, rows, columns, components)
    if presets:
        made += preset_segment(presets)
    if restart_rows:
        made += jpeg_segments.restart_interval(restart_rows)
    scans = [[each] for each in range(samples)] if interleave == NONE else [list(range(samples))]
    for scan in scans:
        made += scan_header(tuple(components[each] for each in scan), near, interleave)
        for number, row in enumerate(range(0, rows, restart_rows or rows)):
            made += jpeg_segments.restart(number - 1) if number else b""
            part = np.ascontiguousarray(image[row : row + (restart_rows or rows), :, scan])
            made += coded_scan(part, precision, interleave, near, presets)
    return made + jpeg_segments.END_OF_IMAGE


def tall_enough(bits_stored: int, samples: int) -> int:
    """Rows of 64 columns that make more than two strips."""
    return 2 * strip_height(description(1, 64, samples=samples, bits_stored=bits_stored)) + 3
