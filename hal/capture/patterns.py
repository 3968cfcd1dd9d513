"""What the simulator shows: moving test patterns, made frame by frame with numpy.

A pattern is a function of the frame's number alone (and of size and seed, fixed when it is made):
the same number gives the same pixels on every machine. Each frame carries its number in its upper
left corner, as cells of black and white that survive lossy compression, so that a test can prove
from the pixels alone that no frame was lost, doubled or put out of order.

numpy is imported by this module, and this module only when a simulator is configured.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hal.capture.pixel_formats import PIXEL_FORMATS, PixelFormat

Grey = NDArray[np.uint16]
"""Rows x columns, the full range 0 to 65535 whatever the format."""
Colour = NDArray[np.uint8]
"""Rows x columns x 3: red, green, blue."""

_BITS = 40  # 32 of the number, 8 that check it
_MARK = 0x5A
_BAND = 32


class Pattern(ABC):
    """Frames of one size. Memory: a few planes of that size, at 16 bit a pixel."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        self.width = width
        self.height = height
        self.seed = seed

    @abstractmethod
    def grey(self, number: int) -> Grey:
        """A plane that is the caller's."""

    @abstractmethod
    def colour(self, number: int) -> Colour:
        """An image that is the caller's."""

    def grey_bands(self, number: int) -> Iterator[tuple[slice, Grey]]:
        """The plane, some rows at a time."""
        plane = self.grey(number)
        for rows in self._bands():
            yield rows, plane[rows]

    def colour_bands(self, number: int) -> Iterator[tuple[slice, Colour]]:
        """The image, some rows at a time."""
        image = self.colour(number)
        for rows in self._bands():
            yield rows, image[rows]

    def _bands(self) -> Iterator[slice]:
        """What numpy makes in between is as small as a band; its rows are whole pairs."""
        for first in range(0, self.height, _BAND):
            yield slice(first, min(self.height, first + _BAND))

    def _grey_as_colour(self, number: int) -> Colour:
        plane = (self.grey(number) >> 8).astype(np.uint8)
        return np.repeat(plane[:, :, np.newaxis], 3, axis=2)


class Bars(Pattern):
    """The eight bars of television, moving to the left by two columns a frame."""

    _COLOURS = (
        (255, 255, 255),
        (255, 255, 0),
        (0, 255, 255),
        (0, 255, 0),
        (255, 0, 255),
        (255, 0, 0),
        (0, 0, 255),
        (0, 0, 0),
    )

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        index = np.arange(2 * width) % width * len(self._COLOURS) // width
        self._row = np.array(self._COLOURS, dtype=np.uint8)[index]
        luma = self._row @ np.array([77, 150, 29], dtype=np.uint32)
        self._grey_row = (luma.astype(np.uint32) * 65535 // (255 * 256)).astype(np.uint16)

    def grey(self, number: int) -> Grey:
        shift = 2 * number % self.width
        row = self._grey_row[shift : shift + self.width]
        return np.repeat(row[np.newaxis, :], self.height, axis=0)

    def colour(self, number: int) -> Colour:
        shift = 2 * number % self.width
        row = self._row[shift : shift + self.width]
        return np.repeat(row[np.newaxis, :, :], self.height, axis=0)


class Ramp(Pattern):
    """A diagonal ramp over the whole range: every value of a 16 bit format occurs in time."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        across = np.arange(width, dtype=np.uint32)[np.newaxis, :]
        down = np.arange(height, dtype=np.uint32)[:, np.newaxis]
        self._base: Grey = ((across * 65535 // max(1, width - 1)) + down * 97).astype(np.uint16)

    def grey(self, number: int) -> Grey:
        return self._base + np.uint16(number * 263 % 65536)

    def colour(self, number: int) -> Colour:
        plane = self.grey(number)
        red = (plane >> 8).astype(np.uint8)
        return np.stack((red, red[::-1], np.uint8(255) - red), axis=2)


class Counter(Pattern):
    """The frame's number in large digits, for a person, on a grey that changes with it."""

    # Three columns by five rows a digit, the upper row in the highest three bits.
    _DIGITS = (0x7B6F, 0x2C97, 0x73E7, 0x73CF, 0x5BC9, 0x79CF, 0x79EF, 0x7249, 0x7BEF, 0x7BCF)

    def grey(self, number: int) -> Grey:
        level = 8192 + number * 1021 % 16384
        plane = np.full((self.height, self.width), level, dtype=np.uint16)
        text = f"{number:06d}"
        scale = max(1, min(self.width // (4 * len(text) + 2), self.height // 9))
        top = (self.height - 5 * scale) // 2
        left = (self.width - (4 * len(text) - 1) * scale) // 2
        for place, digit in enumerate(text):
            pattern = self._DIGITS[int(digit)]
            for cell in range(15):
                if pattern >> (14 - cell) & 1:
                    y = top + cell // 3 * scale
                    x = left + (4 * place + cell % 3) * scale
                    plane[y : y + scale, x : x + scale] = 0xFFFF
        return plane

    def colour(self, number: int) -> Colour:
        return self._grey_as_colour(number)


def _exponential(count: int, seed: int) -> NDArray[np.float64]:
    """Random numbers, as the power of fully developed speckle is distributed.

    A hash of their places: `numpy.random` takes megabytes that nothing else here needs.
    """
    mixed = np.arange(count, dtype=np.uint32) + np.uint32(seed * 0x9E3779B9 & 0xFFFFFFFF)
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13), (0x27D4EB2F, 16)):
        mixed ^= mixed >> np.uint32(shift)
        mixed *= np.uint32(factor)
    mixed ^= mixed >> np.uint32(15)
    uniform = (mixed.astype(np.float64) + 0.5) / 2.0**32
    return np.asarray(-np.log(uniform), dtype=np.float64)


class Ultrasound(Pattern):
    """A sector scan of a beating chamber in speckle, with colour flow where colour is asked for.

    Made as a scanner makes it: an image of beams by depth, then scan-converted to the sector.
    The heart beats once in `_BEAT` frames; after that the loop repeats but for the number.
    """

    _BEAMS = 128
    _DEPTHS = 320
    _BEAT = 32
    _HALF_ANGLE = 0.70

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__(width, height, seed)
        lengths = _exponential(self._DEPTHS * 2 * self._BEAMS, seed)
        scatter = lengths.reshape(self._DEPTHS * 2, self._BEAMS)
        # Neighbouring echoes interfere: speckle is wider than a sample, more so across beams.
        scatter = scatter + np.roll(scatter, 1, axis=1) + 0.5 * np.roll(scatter, 1, axis=0)
        self._speckle = np.sqrt(scatter / scatter.max()).astype(np.float32)
        self._depth = np.linspace(0, 1, self._DEPTHS, dtype=np.float32)[:, np.newaxis]
        self._angle = np.linspace(-1, 1, self._BEAMS, dtype=np.float32)[np.newaxis, :]
        self._beam_of_pixel = self._sector()

    def _sector(self) -> NDArray[np.uint16]:
        """For each pixel the sample of the beam image; outside the sector the one after the last.

        The apex lies in the middle of the upper edge, below the cells of the frame's number.
        """
        found = np.empty((self.height, self.width), dtype=np.uint16)
        for rows in self._bands():
            found[rows] = self._sector_of(rows)
        return found

    def _sector_of(self, rows: slice) -> NDArray[np.int32]:
        lines = np.arange(rows.start, rows.stop, dtype=np.float32)
        y = lines[:, np.newaxis] - np.float32(0.04 * self.height)
        x = np.arange(self.width, dtype=np.float32)[np.newaxis, :] - np.float32(self.width / 2)
        radius = np.hypot(x, y)
        angle = np.arctan2(x, y)
        depth = (radius / (0.94 * self.height) * self._DEPTHS).astype(np.int32)
        beam = ((angle / self._HALF_ANGLE + 1) / 2 * self._BEAMS).astype(np.int32)
        outside = (depth >= self._DEPTHS) | (np.abs(angle) >= self._HALF_ANGLE) | (depth < 8)
        index = depth * self._BEAMS + np.clip(beam, 0, self._BEAMS - 1)
        return np.where(outside, self._DEPTHS * self._BEAMS, index).astype(np.int32)

    def _beams(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        phase = 2 * np.pi * (number % self._BEAT) / self._BEAT
        shift = int(12 * (1 + np.sin(phase)))
        tissue = self._speckle[shift : shift + self._DEPTHS]
        opening = 0.16 + 0.05 * np.sin(phase)
        from_centre = np.hypot((self._depth - 0.55) * 1.6, self._angle * 0.8)
        wall = np.exp(-(((from_centre - opening - 0.03) / 0.02) ** 2)) * 0.55
        inside = from_centre < opening
        level = tissue * (0.95 - 0.45 * self._depth) + wall
        level = np.where(inside, tissue * 0.08, level)
        flow = np.where(inside & (tissue > 0.1), np.sin(phase) * (1 - from_centre / 0.25), 0)
        return np.clip(level, 0, 1).astype(np.float32), flow.astype(np.float32)

    def grey(self, number: int) -> Grey:
        return np.concatenate([band for _, band in self.grey_bands(number)])

    def colour(self, number: int) -> Colour:
        return np.concatenate([band for _, band in self.colour_bands(number)])

    def grey_bands(self, number: int) -> Iterator[tuple[slice, Grey]]:
        level, _ = self._beams(number)
        samples = np.append((level * 65535).astype(np.uint16).ravel(), np.uint16(0))
        for rows in self._bands():
            yield rows, samples.take(self._beam_of_pixel[rows])

    def colour_bands(self, number: int) -> Iterator[tuple[slice, Colour]]:
        level, flow = self._beams(number)
        samples = np.zeros((self._DEPTHS * self._BEAMS + 1, 3), dtype=np.uint8)
        samples[:-1] = (level * 255).astype(np.uint8).reshape(-1, 1)
        speed = flow.ravel()
        towards, away = speed > 0.15, speed < -0.15
        samples[:-1][towards] = (230, 40, 20)
        samples[:-1][away] = (20, 60, 230)
        for rows in self._bands():
            yield rows, samples.take(self._beam_of_pixel[rows], axis=0)


PATTERNS: dict[str, Callable[[int, int, int], Pattern]] = {
    "bars": Bars,
    "ramp": Ramp,
    "counter": Counter,
    "ultrasound": Ultrasound,
}


def _cell(width: int) -> int:
    # Eight pixels where they fit: the block of JPEG, so that a cell survives it.
    return 8 if width >= 8 * _BITS else 2


def _code(number: int) -> int:
    low = number & 0xFFFFFFFF
    check = _MARK ^ (low & 255) ^ (low >> 8 & 255) ^ (low >> 16 & 255) ^ (low >> 24)
    return low << 8 | check


def _burn(plane: NDArray[np.generic], number: int, white: int) -> None:
    cell = _cell(plane.shape[1])
    code = _code(number)
    for place in range(_BITS):
        value = white if code >> (_BITS - 1 - place) & 1 else 0
        plane[:cell, place * cell : (place + 1) * cell] = value


def render(
    pattern: Pattern, number: int, pixel_format: str, buffer: memoryview, stride: int
) -> None:
    """Write frame `number` into the buffer in that format, rows `stride` bytes apart.

    Bytes of the buffer beyond each row are left alone. Raises ValueError for a format that the
    patterns cannot make (compressed ones).
    """
    row = PIXEL_FORMATS[pixel_format]
    whole = np.frombuffer(buffer, dtype=np.uint8)
    rows, behind = whole[: stride * pattern.height], whole[stride * pattern.height :]
    length = row.row_length(pattern.width)
    target = rows.reshape(pattern.height, stride)[:, :length]
    if row.colour == "grey":
        for part, plane in pattern.grey_bands(number):
            if not part.start:
                _burn(plane, number, 0xFFFF)
            plane >>= np.uint16(16 - row.bits_stored)
            if row.bits_allocated == 8:
                target[part] = plane
            else:
                target[part] = plane.astype("<u2", copy=False).view(np.uint8)
        return
    chroma = behind.reshape(-1, stride)[:, :length]
    for part, image in pattern.colour_bands(number):
        if not part.start:
            _burn(image, number, 255)
        if row.planar:
            _pack_420(image, target[part], chroma[part.start // 2 : part.stop // 2])
        else:
            _pack_interleaved(image, target[part], row)


def _pack_interleaved(image: Colour, target: NDArray[np.uint8], row: PixelFormat) -> None:
    if row.colour == "rgb":
        if row.samples != ("R", "G", "B"):
            image = image[:, :, ::-1]
        target[:] = image.reshape(len(image), -1)
    elif row.samples in (("Y", "Cb", "Y", "Cr"), ("Cb", "Y", "Cr", "Y")):
        _pack_422(image, target, luma_first=row.samples[0] == "Y")
    else:
        raise ValueError(f"the patterns cannot be made as {row.name}")


# The full range equations of PS3.3 C.7.6.3.1.2 (those of JFIF), in units of 1/65536.


def _luma(wide: NDArray[np.int32]) -> NDArray[np.int32]:
    red, green, blue = wide[:, :, 0], wide[:, :, 1], wide[:, :, 2]
    return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


def _chroma(sums: NDArray[np.int32], shift: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Cb and Cr of sums of 2**shift pixels each."""
    red, green, blue = sums[:, :, 0], sums[:, :, 1], sums[:, :, 2]
    half = (128 << 16 + shift) + (32768 << shift) - 1
    blueness = (-11059 * red - 21709 * green + 32768 * blue + half) >> 16 + shift
    redness = (32768 * red - 27439 * green - 5329 * blue + half) >> 16 + shift
    return np.clip(blueness, 0, 255), np.clip(redness, 0, 255)


def _pack_422(image: Colour, target: NDArray[np.uint8], *, luma_first: bool) -> None:
    wide = image.astype(np.int32)
    luma = _luma(wide)
    blueness, redness = _chroma(wide[:, 0::2] + wide[:, 1::2], 1)
    first = 0 if luma_first else 1
    target[:, first::4] = luma[:, 0::2]
    target[:, first + 2 :: 4] = luma[:, 1::2]
    target[:, 1 - first :: 4] = blueness
    target[:, 3 - first :: 4] = redness


def _pack_420(image: Colour, target: NDArray[np.uint8], behind: NDArray[np.uint8]) -> None:
    wide = image.astype(np.int32)
    target[:] = _luma(wide)
    pairs = wide[:, 0::2] + wide[:, 1::2]
    blueness, redness = _chroma(pairs[0::2] + pairs[1::2], 2)
    behind[:, 0::2] = blueness
    behind[:, 1::2] = redness


def read_frame_number(
    view: memoryview | bytes, pixel_format: str, width: int, stride: int
) -> int | None:
    """The number that a frame of the simulator carries; None when it carries none.

    Works on any uncompressed format and survives lossy compression in between. The number is
    modulo 2**32.
    """
    row = PIXEL_FORMATS[pixel_format]
    cell = _cell(width)
    line = memoryview(view)[stride * (cell // 2) :]
    step = row.bits_per_pixel // 8
    sample = row.samples.index("Y") if "Y" in row.samples else 1
    if row.bits_allocated == 16:
        step, sample = 2, 1
    highest = 1 << (row.bits_stored - 1 - (8 if row.bits_allocated == 16 else 0))
    code = 0
    for place in range(_BITS):
        middle = place * cell + cell // 2
        code = code << 1 | (line[middle * step + sample] >= highest)
    number = code >> 8
    return number if _code(number) == code else None
