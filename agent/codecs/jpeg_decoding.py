"""Sequential JPEG streams to frames (ITU-T T.81 F.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import NoReturn

from agent.codecs import jpeg_huffman, kernel
from agent.codecs.codec import Decoded, Strip
from agent.codecs.damage import FrameDamaged
from agent.codecs.frame import FrameDescription
from agent.codecs.jpeg_markers import SOF0, SOF1, SOF3, JpegHeader, Scan, next_scan, read_header
from agent.codecs.jpeg_planes import AS_IS, FROM_YBR, MOST_BLOCKS, Layout
from agent.codecs.rows import strip_height
from agent.codecs.window import Window
from agent.dataset.byte_source import ByteSource

_UNIT = 1 << 13
"""More than an MCU takes at most: ten blocks of 512 bytes, and what the reader looks ahead."""

_SOF2 = 0xC2
_DAMAGED, _SHORT = -2, -3  # kernels.h
_RGB_NAMES = b"RGB"
_TYPICAL = {
    (0, 0): jpeg_huffman.LUMINANCE_DC,
    (0, 1): jpeg_huffman.CHROMINANCE_DC,
    (1, 0): jpeg_huffman.LUMINANCE_AC,
    (1, 1): jpeg_huffman.CHROMINANCE_AC,
}
"""Motion JPEG of cameras has no tables of its own, and means these (T.81 K.3)."""


def decode_frame(frame: FrameDescription, source: ByteSource) -> Decoded:
    """Decompress a frame; raises FrameDamaged where the header is not that of `frame`."""
    header, scan = read_header(source)
    _check_process(header)
    _check_attributes(header, frame)
    native, colour = _native(header, frame)
    layout = Layout(native, header.precision, header.components, colour)
    scans = [
        _ScanReader(source, layout, found, tables) for tables, found in _scans(source, header, scan)
    ]
    return Decoded(native, _strips(layout, scans))


def _refuse(message: str, position: int, clause: str) -> NoReturn:
    raise FrameDamaged(message, position, clause=clause)


def _check_process(header: JpegHeader) -> None:
    if header.process in (SOF0, SOF1):
        if header.precision not in (8, 12) or (header.process == SOF0 and header.precision != 8):
            _refuse(
                f"The JPEG stream has samples of {header.precision} bits.",
                header.position,
                "ITU-T T.81 B.2.2",
            )
        return
    kinds = {_SOF2: "progressive", SOF3: "lossless"}
    kind = kinds.get(header.process, f"of a process (SOF{header.process - SOF0}) that is retired")
    _refuse(f"The JPEG stream is {kind}, not sequential.", header.position, "PS3.5 8.2.1")


def _check_attributes(header: JpegHeader, frame: FrameDescription) -> None:
    said = (header.rows, header.columns, len(header.components))
    wanted = (frame.rows, frame.columns, frame.samples_per_pixel)
    for name, has, should in zip(("rows", "columns", "components"), said, wanted, strict=True):
        if has != should:
            _refuse(
                f"The JPEG stream has {has} {name}, the object {should}.",
                header.position,
                "PS3.5 8.2.1",
            )
    if frame.bits_allocated not in (8, 16) or frame.bits_allocated < header.precision:
        _refuse(
            f"The JPEG stream has samples of {header.precision} bits, "
            f"the object cells of {frame.bits_allocated}.",
            header.position,
            "PS3.5 8.2.1",
        )


def _native(header: JpegHeader, frame: FrameDescription) -> tuple[FrameDescription, int]:
    """What comes out, and how it comes of the components.

    Streams tell of their colours in three ways or not at all: Adobe's segment, JFIF, components
    of the names R, G and B. What the object says counts last, as it is wrong most often.
    """
    if len(header.components) != 3:
        return frame, AS_IS
    names = bytes(each.identifier for each in header.components)
    if header.adobe_transform is not None:
        rgb = header.adobe_transform == 0
    elif header.jfif or names == _RGB_NAMES:
        rgb = names == _RGB_NAMES
    else:
        rgb = frame.photometric_interpretation == "RGB"
    if rgb:
        return replace(frame, photometric_interpretation="RGB"), AS_IS
    if frame.photometric_interpretation == "YBR_FULL":
        return frame, AS_IS
    if header.precision != 8 or frame.bits_allocated != 8:
        _refuse("The JPEG stream has colour of 12 bits.", header.position, "PS3.5 8.2.1")
    return replace(frame, photometric_interpretation="RGB"), FROM_YBR


def _scans(source: ByteSource, header: JpegHeader, scan: Scan) -> Iterator[tuple[Scan, JpegHeader]]:
    """The scans until all components have come, each with the tables that hold for it."""
    missing = set(range(len(header.components)))
    while True:
        if not missing.issuperset(scan.places):
            _refuse("A component comes in two scans.", scan.position, "ITU-T T.81 B.2.3")
        yield scan, header
        missing.difference_update(scan.places)
        if not missing:
            return
        following = next_scan(source, header, scan.position)
        if following is None:
            _refuse("A component comes in no scan.", scan.position, "ITU-T T.81 B.2.3")
        header, scan = following


class _ScanReader:
    """A scan on its way into the planes, in windows of 64 KiB.

    Scans of an image are read side by side, so that no coefficients need to be kept.
    """

    def __init__(self, source: ByteSource, layout: Layout, header: JpegHeader, scan: Scan) -> None:
        self._layout = layout
        self._scan = scan
        self._window = Window(source, scan.position, _UNIT)
        self._state = bytearray(kernel.jpeg_state_lengths()[0])
        chosen = [header.components[each.index] for each in scan.components]
        blocks = sum(each.horizontal_sampling * each.vertical_sampling for each in chosen)
        if len(chosen) > 1 and blocks > MOST_BLOCKS:
            _refuse(f"An MCU has {blocks} blocks.", scan.position, "ITU-T T.81 B.2.3")
        numbers = [each.quantisation_table for each in header.components]
        kernel.jpeg_begin_decoder(
            self._state,
            layout.scan_parameters(scan.components, numbers, header.restart_interval),
        )
        self._set_tables(header, {each.quantisation_table for each in chosen})

    def _set_tables(self, header: JpegHeader, quantisation: set[int]) -> None:
        for number in quantisation:
            table = header.quantisation_tables.get(number)
            if table is None:
                _refuse(
                    f"The quantisation table {number} is missing.",
                    self._window.position,
                    "ITU-T T.81 B.2.4.1",
                )
            kernel.jpeg_decoder_quantisation(self._state, number, struct.pack("=64H", *table))
        wanted = {(0, each.dc_table) for each in self._scan.components}
        wanted |= {(1, each.ac_table) for each in self._scan.components}
        for key in wanted:
            huffman = header.huffman_tables.get(key) or _TYPICAL.get(key)
            if huffman is None:
                _refuse(
                    f"The Huffman table {key[1]} is missing.",
                    self._window.position,
                    "ITU-T T.81 B.2.4.2",
                )
            kernel.jpeg_decoder_huffman(self._state, *key, huffman.specification)

    def fill(self, row_of_mcus: int, planes: bytearray) -> None:
        """Decode what the scan has of a row of MCUs."""
        for block_row in range(self._layout.block_rows(self._scan.components, row_of_mcus)):
            while True:
                self._window.fill()
                result, consumed = kernel.jpeg_decode_blocks(
                    self._state, self._window.data, self._window.last, block_row, planes
                )
                self._window.consume(consumed)
                if result > 0:
                    break
                if result < 0:
                    self._complain(result, row_of_mcus)

    def _complain(self, result: int, row_of_mcus: int) -> NoReturn:
        what = "ends" if result == _SHORT else "is damaged"
        height = self._layout.mcu_height
        first = row_of_mcus * height + 1
        last = min(self._layout.frame.rows, first + height - 1)
        _refuse(
            f"The JPEG scan {what} in the rows {first} to {last} of {self._layout.frame.rows}.",
            self._window.position,
            "ITU-T T.81 F.2.2",
        )


def _strips(layout: Layout, scans: list[_ScanReader]) -> Iterator[Strip]:
    frame = layout.frame
    length = frame.row_length
    height = strip_height(frame, layout.mcu_height)
    strip = memoryview(bytearray((height + layout.mcu_height) * length))
    planes = bytearray(layout.length)
    scratch = bytearray(layout.scratch_length)
    first = held = 0
    for number in range(layout.rows_of_mcus):
        try:
            for scan in scans:
                scan.fill(number, planes)
        except FrameDamaged:
            if held:
                yield strip[: held * length]
            raise
        end = frame.rows
        if number + 1 < layout.rows_of_mcus:
            end = (number + 1) * layout.mcu_height - layout.delay
        count = end - first - held
        kernel.jpeg_join(
            layout.parameters, planes, number, first + held, count, scratch, strip[held * length :]
        )
        if layout.delay:
            kernel.jpeg_carry(layout.parameters, planes)
        held += count
        if held >= height or end == frame.rows:
            yield strip[: held * length]
            first += held
            held = 0
