"""What a V4L2 device is and can do: inputs, formats, sizes, rates, standards, timings."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hal.capture import v4l2_kernel as kernel
from hal.capture.base import CaptureDescription, CaptureInput, CaptureMode, FrameRate
from hal.capture.pixel_formats import PIXEL_FORMATS

_MOST = 256
_USUAL_SIZES = ((320, 240), (640, 480), (720, 576), (1280, 720), (1920, 1080))
_FOURCCS = {kernel.fourcc(row.fourcc): row.name for row in PIXEL_FORMATS.values()}


class InputState(NamedTuple):
    """An input as the kernel tells of it now."""

    number: int
    name: str
    status: int
    capabilities: int
    standards: int

    @property
    def has_signal(self) -> bool:
        return not self.status & kernel.IN_STATUS_NO_SIGNAL


class Timings(NamedTuple):
    """DV timings: the size of the picture, and frames a second as a fraction."""

    width: int
    height: int
    interlaced: bool
    rate: FrameRate
    raw: bytes


class VideoDevice(NamedTuple):
    """A device that captures video; `problem` says why it could not be looked into."""

    path: str
    description: CaptureDescription | None
    problem: str


def _nodes() -> list[str]:
    found = (each for each in Path("/dev").glob("video*") if each.name[5:].isdigit())
    return [str(path) for path in sorted(found, key=lambda each: int(each.name[5:]))]


def video_devices() -> list[str]:
    """Paths of the devices that capture video, in the order of their numbers."""
    return [each.path for each in survey(describing=False) if not each.problem]


def survey(*, describing: bool = True) -> list[VideoDevice]:
    """The devices that capture video, and those that may and could not be opened."""
    found = []
    for path in _nodes():
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            found.append(VideoDevice(path, None, error.strerror or str(error)))
            continue
        try:
            if captures(descriptor):
                description = describe(descriptor, path) if describing else None
                found.append(VideoDevice(path, description, ""))
        except OSError as error:
            found.append(VideoDevice(path, None, error.strerror or str(error)))
        finally:
            os.close(descriptor)
    return found


def captures(descriptor: int) -> bool:
    """Whether it captures video into mapped buffers."""
    try:
        row = kernel.CAPABILITY.unpack(
            kernel.call(descriptor, kernel.QUERYCAP, bytes(kernel.CAPABILITY.size))
        )
    except OSError:
        return False
    has = row[5] if row[4] & kernel.CAP_DEVICE_CAPS else row[4]
    return bool(has & kernel.CAP_VIDEO_CAPTURE and has & kernel.CAP_STREAMING)


def describe(descriptor: int, path: str) -> CaptureDescription:
    """All of it, for the input that is chosen. Raises OSError."""
    row = kernel.CAPABILITY.unpack(
        kernel.call(descriptor, kernel.QUERYCAP, bytes(kernel.CAPABILITY.size))
    )
    return CaptureDescription(
        driver=f"v4l2 ({kernel.text(row[0])})",
        name=kernel.text(row[1]),
        address=path,
        inputs=tuple(CaptureInput(each.number, each.name) for each in inputs(descriptor)),
        modes=tuple(_modes(descriptor)),
    )


def inputs(descriptor: int) -> list[InputState]:
    """The inputs with their present state."""
    found = []
    for number in range(_MOST):
        state = input_state(descriptor, number)
        if state is None:
            break
        found.append(state)
    return found


def input_state(descriptor: int, number: int) -> InputState | None:
    """One input, or None. Raises OSError for a device that is gone."""
    data = kernel.INPUT.pack(number, b"", 0, 0, 0, 0, 0, 0)
    try:
        row = kernel.INPUT.unpack(kernel.call(descriptor, kernel.ENUMINPUT, data))
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):
            return None
        raise
    return InputState(row[0], kernel.text(row[1]), row[6], row[7], row[5])


def _modes(descriptor: int) -> Iterator[CaptureMode]:
    for pixel_format, code in formats(descriptor):
        for width, height in _sizes(descriptor, code):
            yield CaptureMode(pixel_format, width, height, _rates(descriptor, code, width, height))


def formats(descriptor: int) -> Iterator[tuple[str, int]]:
    """The pixel formats that we know, by name and code."""
    for index in range(_MOST):
        data = kernel.FMTDESC.pack(index, kernel.VIDEO_CAPTURE, 0, b"", 0, 0)
        try:
            row = kernel.FMTDESC.unpack(kernel.call(descriptor, kernel.ENUM_FMT, data))
        except OSError:
            return
        name = _FOURCCS.get(row[4])
        if name is not None:
            yield name, row[4]


def _sizes(descriptor: int, code: int) -> Iterator[tuple[int, int]]:
    for index in range(_MOST):
        data = kernel.FRAMESIZE.pack(index, code, 0, *[0] * 6)
        try:
            row = kernel.FRAMESIZE.unpack(kernel.call(descriptor, kernel.ENUM_FRAMESIZES, data))
        except OSError:
            break
        if row[2] == kernel.FRAME_DISCRETE:
            yield row[3], row[4]
            continue
        # Stepwise: the usual sizes that fit, and the largest.
        low_width, high_width, step_width, low_height, high_height, step_height = row[3:9]
        for width, height in (*_USUAL_SIZES, (high_width, high_height)):
            fits = low_width <= width <= high_width and low_height <= height <= high_height
            whole = not (width - low_width) % max(1, step_width)
            if fits and whole and not (height - low_height) % max(1, step_height):
                yield width, height
        return
    else:
        return
    if index == 0:
        # A driver without the call: what it is set to is what it can.
        form = current_format(descriptor)
        if form is not None:
            yield form.width, form.height


def current_format(descriptor: int) -> kernel.PixFormat | None:
    """What the device is set to; None where it does not say."""
    empty = kernel.pack_format(kernel.PixFormat(0, 0, 0, 0, 0, 0, 0))
    try:
        return kernel.unpack_format(kernel.call(descriptor, kernel.G_FMT, empty))
    except OSError:
        return None


def _rates(descriptor: int, code: int, width: int, height: int) -> tuple[FrameRate, ...]:
    found: list[FrameRate] = []
    for index in range(_MOST):
        data = kernel.FRAMEINTERVAL.pack(index, code, width, height, 0, *[0] * 6)
        try:
            raw = kernel.call(descriptor, kernel.ENUM_FRAMEINTERVALS, data)
        except OSError:
            break
        row = kernel.FRAMEINTERVAL.unpack(raw)
        if row[4] == kernel.FRAME_DISCRETE:
            found.append(_reduced(row[6], row[5]))
            continue
        # The bounds of the steps; the shortest interval is the highest rate.
        found += [_reduced(row[6], row[5]), _reduced(row[8], row[7])]
        break
    return tuple(found) or _rate_of_signal(descriptor)


def _rate_of_signal(descriptor: int) -> tuple[FrameRate, ...]:
    """What a device without rates of its own delivers: that of its timings, or of its standard."""
    timings = current_timings(descriptor)
    if timings is not None:
        return (timings.rate,)
    try:
        raw = kernel.call(descriptor, kernel.G_STD, bytes(kernel.STANDARD_ID.size))
    except OSError:
        return ()
    (standard,) = kernel.STANDARD_ID.unpack(raw)
    return (FrameRate(30000, 1001) if standard & kernel.STANDARDS["NTSC"] else FrameRate(25),)


def query_timings(descriptor: int) -> Timings | None:
    """The timings of the signal that is there; None without one. Raises OSError (ENODEV)."""
    return _timings(descriptor, kernel.QUERY_DV_TIMINGS)


def current_timings(descriptor: int) -> Timings | None:
    """The timings that the device is set to."""
    return _timings(descriptor, kernel.G_DV_TIMINGS)


def _timings(descriptor: int, number: int) -> Timings | None:
    try:
        raw = kernel.call(descriptor, number, bytes(kernel.DV_TIMINGS.size))
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise
        return None
    row = kernel.DV_TIMINGS.unpack(raw)
    if row[0] != kernel.DV_BT_656_1120 or not row[1]:
        return None
    width, height, interlaced, _, clock = row[1:6]
    horizontal = width + sum(row[6:9])
    vertical = height + sum(row[9:12]) + (sum(row[12:15]) if interlaced else 0)
    total = horizontal * vertical
    return Timings(width, height, bool(interlaced), _reduced(clock, total), raw)


def _reduced(numerator: int, denominator: int) -> FrameRate:
    """A rate in its usual form: 60000/1001 and not 251750/4200."""
    if numerator <= 0 or denominator <= 0:
        return FrameRate(0)
    rate = numerator / denominator
    for usual in (FrameRate(round(rate)), FrameRate(round(rate * 1.001) * 1000, 1001)):
        if usual.numerator and abs(rate * usual.period - 1) < 2e-5:
            return usual
    divisor = math.gcd(numerator, denominator)
    return FrameRate(numerator // divisor, denominator // divisor)


def detected_standard(descriptor: int) -> int:
    """The analogue standards that the signal may be of; 0 without one."""
    try:
        raw = kernel.call(descriptor, kernel.QUERYSTD, bytes(kernel.STANDARD_ID.size))
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise
        return 0
    return int(kernel.STANDARD_ID.unpack(raw)[0])
