"""Frames to sequential JPEG streams (ITU-T T.81 F.1)."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

from agent.codecs import jpeg_huffman, jpeg_quantisation, jpeg_segments, kernel
from agent.codecs.codec import Encoded, EncodeSettings, RowSource, Strip
from agent.codecs.frame import FrameDescription
from agent.codecs.jpeg_huffman import HuffmanTable
from agent.codecs.jpeg_markers import SOF0, SOF1, Component, ScanComponent
from agent.codecs.jpeg_planes import AS_IS, FROM_YBR, PAIRS, Layout
from agent.codecs.rows import grouped, strip_height
from agent.errors import LocalError

_OUT = 1 << 17
_BLOCK_ROW = 8
_RGB_NAMES = b"RGB"
_TYPICAL = {
    (0, 0): jpeg_huffman.LUMINANCE_DC,
    (1, 0): jpeg_huffman.LUMINANCE_AC,
    (0, 1): jpeg_huffman.CHROMINANCE_DC,
    (1, 1): jpeg_huffman.CHROMINANCE_AC,
}


def encode_frame(
    frame: FrameDescription, rows: RowSource, settings: EncodeSettings, *, extended: bool
) -> Encoded:
    """Compress a frame that `jpeg.refusal` has nothing against; `extended` says SOF1."""
    target = frame
    if frame.photometric_interpretation == "RGB":
        target = replace(frame, photometric_interpretation=settings.colour)
    plan = _Plan(frame, target.photometric_interpretation, settings.quality, extended)
    optimised = settings.optimised and rows.repeatable
    return Encoded(target, _pieces(plan, rows, optimised))


class _Plan:
    """What the headers of a frame say, and the state of its coding."""

    def __init__(
        self, frame: FrameDescription, interpretation: str, quality: int, extended: bool
    ) -> None:
        self.frame = frame
        self.interpretation = interpretation
        self.process = SOF1 if extended else SOF0
        self.precision = 8 if frame.bits_allocated == 8 else 12
        grey = frame.samples_per_pixel == 1
        # Without a transform all three components are alike.
        alike = grey or interpretation == "RGB"
        chroma = 0 if alike else 1
        h = 2 if interpretation == "YBR_FULL_422" else 1
        names = _RGB_NAMES if interpretation == "RGB" else bytes((1, 2, 3))
        self.components = [Component(names[0], h, 1, 0)]
        if not grey:
            self.components += [Component(name, 1, 1, chroma) for name in names[1:]]
        self.scan = [
            ScanComponent(index, each.quantisation_table, each.quantisation_table)
            for index, each in enumerate(self.components)
        ]
        tables = (jpeg_quantisation.LUMINANCE, jpeg_quantisation.CHROMINANCE)
        self.quantisation: dict[int, Sequence[int]] = {
            number: jpeg_quantisation.scaled(tables[number], quality)
            for number in range(1 + chroma)
        }
        colour = AS_IS
        if frame.subsampled:
            colour = PAIRS
        elif interpretation != frame.photometric_interpretation:
            colour = FROM_YBR
        self.layout = Layout(frame, self.precision, self.components, colour)
        self.planes = bytearray(self.layout.length)

    def state(self, tables: dict[tuple[int, int], HuffmanTable]) -> bytearray:
        state = bytearray(kernel.jpeg_state_lengths()[1])
        numbers = [each.quantisation_table for each in self.components]
        kernel.jpeg_begin_encoder(state, self.layout.scan_parameters(self.scan, numbers, 0))
        for number, table in self.quantisation.items():
            kernel.jpeg_encoder_quantisation(state, number, struct.pack("=64H", *table))
        for (table_class, number), huffman in tables.items():
            kernel.jpeg_encoder_huffman(state, table_class, number, huffman.specification)
        return state

    def strips(self, rows: RowSource) -> Iterator[memoryview]:
        return grouped(self.frame, rows.strips(), strip_height(self.frame, _BLOCK_ROW))

    def rows_of_blocks(self, strip: Strip) -> Iterator[bytearray]:
        """The planes, filled with eight rows after eight."""
        size = _BLOCK_ROW * self.frame.row_length
        view = memoryview(strip)
        for start in range(0, len(view), size):
            kernel.jpeg_separate(self.layout.parameters, view[start : start + size], self.planes)
            yield self.planes

    def head(self, tables: dict[tuple[int, int], HuffmanTable]) -> bytes:
        rgb = self.interpretation == "RGB"
        return b"".join(
            (
                jpeg_segments.START_OF_IMAGE,
                jpeg_segments.adobe(0) if rgb else jpeg_segments.jfif(),
                jpeg_segments.quantisation_tables(self.quantisation),
                jpeg_segments.frame_header(
                    self.process,
                    self.precision,
                    self.frame.rows,
                    self.frame.columns,
                    self.components,
                ),
                jpeg_segments.huffman_tables(tables),
                jpeg_segments.scan_header(
                    self.components, self.scan, spectral_start=0, spectral_end=63
                ),
            )
        )


def _pieces(plan: _Plan, rows: RowSource, optimised: bool) -> Iterator[bytes]:
    if optimised:
        counts = array("Q", bytes(8 * 256 * 8))
        state = plan.state({})
        for strip in plan.strips(rows):
            for planes in plan.rows_of_blocks(strip):
                kernel.jpeg_count_blocks(state, planes, memoryview(counts).cast("B"))
            yield b""
        tables = _optimal(counts, len(plan.quantisation))
    else:
        typical = _TYPICAL if plan.precision == 8 else _full()
        tables = {key: table for key, table in typical.items() if key[1] in plan.quantisation}
    yield plan.head(tables)
    yield from _scan(plan, rows, plan.state(tables))
    yield jpeg_segments.END_OF_IMAGE


def _optimal(counts: array[int], number: int) -> dict[tuple[int, int], HuffmanTable]:
    return {
        (table_class, table): jpeg_huffman.optimal(
            counts[(table_class * 4 + table) * 256 :][:256].tolist()
        )
        for table in range(number)
        for table_class in range(2)
    }


def _scan(plan: _Plan, rows: RowSource, state: bytearray) -> Iterator[bytes]:
    out = bytearray(_OUT)
    view = memoryview(out)
    filled = 0
    try:
        for strip in plan.strips(rows):
            for planes in plan.rows_of_blocks(strip):
                done = 0
                while not done:
                    done, written = kernel.jpeg_encode_blocks(state, planes, view[filled:])
                    filled += written
                    if not done:
                        yield bytes(view[:filled])
                        filled = 0
            yield bytes(view[:filled])
            filled = 0
    except ValueError:
        # A symbol that did not occur when the statistics were taken has no code.
        raise LocalError(
            "The frame's rows changed while it was compressed.", clause="ITU-T T.81 K.2"
        ) from None
    written = kernel.jpeg_finish(state, view)
    yield bytes(view[:written])


@cache
def _full() -> dict[tuple[int, int], HuffmanTable]:
    """Tables in which all symbols of 12 bit frames have codes (T.81 F.1.2.1, F.1.2.2), the ones of
    small coefficients after few zeros short; the standard has no typical ones."""
    dc = [0] * 256
    for size in range(16):
        dc[size] = 1 << (20 - abs(size - 5))
    ac = [0] * 256
    for size in range(1, 15):
        for zeros in range(16):
            ac[zeros << 4 | size] = max(1, (1 << 24) >> (abs(2 * size - 3) + zeros * (1 + size)))
    ac[0x00] = 1 << 21
    ac[0xF0] = 1 << 10
    return {(0, 0): jpeg_huffman.optimal(dc), (1, 0): jpeg_huffman.optimal(ac)}
