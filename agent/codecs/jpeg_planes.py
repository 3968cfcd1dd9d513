"""How the components of a JPEG frame lie in memory (ITU-T T.81 A.1, A.2), as kernels are told.

The planes are 16 bit samples of one row of MCUs, each with the last row of the one before in
front. Memory: 2 bytes for each sample of a row of MCUs, 0.3 MiB for 4096 columns in 4:2:0.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from agent.codecs.frame import FrameDescription
from agent.codecs.jpeg_markers import Component, ScanComponent

# jpeg_planes.h
AS_IS, FROM_YBR, PAIRS = range(3)
_COMPONENTS = 4
MOST_BLOCKS = 10
"""Blocks of an MCU (T.81 B.2.3)."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A component: its sampling factors, the samples before its first row, those of a row."""

    h: int
    v: int
    offset: int
    stride: int


class Layout:
    """The planes of a frame.

    `colour` says how native samples come of components: `AS_IS`, `FROM_YBR`, `PAIRS`.
    `rows_of_mcus` are `mcu_height` rows each but for the last. A frame of one component has
    sampling factors of 1, whatever its header says (T.81 A.2.2).
    """

    def __init__(
        self,
        frame: FrameDescription,
        precision: int,
        components: Sequence[Component],
        colour: int,
    ) -> None:
        factors = [(each.horizontal_sampling, each.vertical_sampling) for each in components]
        if len(factors) == 1:
            factors = [(1, 1)]
        self.frame = frame
        self.precision = precision
        self.h = max(h for h, _ in factors)
        self.v = max(v for _, v in factors)
        self.mcu_height = 8 * self.v
        self.mcus = _whole(frame.columns, 8 * self.h)
        self.rows_of_mcus = _whole(frame.rows, self.mcu_height)
        self.planes: list[Plane] = []
        offset = 0
        for h, v in factors:
            stride = self.mcus * 8 * h
            self.planes.append(Plane(h, v, offset + stride, stride))
            offset += stride * (8 * v + 1)
        self.length = offset * 2
        """Bytes of all planes."""
        self.scratch_length = (frame.columns + 8) * (len(factors) + 1) * 2
        self.delay = int(any(plane.v * 2 == self.v for plane in self.planes))
        """Rows that wait for the next row of MCUs, because chroma is interpolated between both."""
        self.parameters = self._parameters(colour)

    def _parameters(self, colour: int) -> bytes:
        words = [
            self.frame.columns,
            self.frame.rows,
            len(self.planes),
            self.precision,
            self.frame.sample_length,
            # What loses may come out above Bits Stored; two's complement has no such top.
            0xFFFF if self.frame.pixel_representation else (1 << self.frame.bits_stored) - 1,
            colour,
            self.h,
            self.v,
        ]
        for plane in self.planes:
            words += (plane.h, plane.v, plane.offset, plane.stride)
        return _words(words, 9 + 4 * _COMPONENTS)

    def scan_parameters(
        self, scan: Sequence[ScanComponent], quantisation: Sequence[int], restart_interval: int
    ) -> bytes:
        """What a kernel is told of a scan; `quantisation` are the table numbers of the frame's
        components."""
        single = len(scan) == 1
        words = [self.precision, self.mcus, restart_interval, len(scan)]
        for each in scan:
            plane = self.planes[each.index]
            if single:
                # The MCU is a block then, and those of padding are left out (A.2.2).
                words[1] = _whole(_whole(self.frame.columns * plane.h, self.h), 8)
            words += (1, 1) if single else (plane.h, plane.v)
            words += (plane.offset, plane.stride, each.dc_table, each.ac_table)
            words.append(quantisation[each.index])
        return _words(words, 4 + 7 * _COMPONENTS)

    def block_rows(self, scan: Sequence[ScanComponent], row_of_mcus: int) -> int:
        """How many rows of MCUs a scan has within one of the frame's."""
        if len(scan) > 1:
            return 1
        v = self.planes[scan[0].index].v
        samples = _whole(self.frame.rows * v, self.v)
        return min(v, max(0, _whole(samples, 8) - row_of_mcus * v))


def _whole(length: int, unit: int) -> int:
    """Units of which the last may be a part."""
    return -(-length // unit)


def _words(words: Sequence[int], count: int) -> bytes:
    return struct.pack(f"={count}I", *words, *[0] * (count - len(words)))
