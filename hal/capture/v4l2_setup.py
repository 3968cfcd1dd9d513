"""Setting a V4L2 device up: input, standard or timings, controls, format, rate.

Whatever the device would change about a wish refuses it: a stream is never silently another one.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import replace

from hal.capture import v4l2_controls
from hal.capture import v4l2_enumeration as enumeration
from hal.capture import v4l2_kernel as kernel
from hal.capture.base import CaptureFormat, FormatRefused, FrameRate
from hal.capture.pixel_formats import PixelFormat


class Setup:
    """The steps, in the order in which the kernel wants them."""

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self._path = path

    def choose_input(self, number: int, standard_name: str) -> enumeration.Timings | None:
        """Choose an input; of a digital one the timings of its signal are set and returned.

        Raises FormatRefused for one that is not there, OSError.
        """
        descriptor = self._descriptor
        states = enumeration.inputs(descriptor)
        chosen = next((each for each in states if each.number == number), None)
        if states and chosen is None:
            names = ", ".join(f"{each.number} {each.name}" for each in states)
            raise FormatRefused(f"there is no input {number}; there are: {names}")
        if chosen is None:
            return None
        kernel.call(descriptor, kernel.S_INPUT, kernel.NUMBER.pack(number))
        if chosen.capabilities & kernel.IN_CAP_DV_TIMINGS:
            # The picture is what the signal says; without one, what was last set stays.
            timings = enumeration.query_timings(descriptor)
            if timings is not None:
                kernel.call(descriptor, kernel.S_DV_TIMINGS, timings.raw)
            return timings
        if chosen.capabilities & kernel.IN_CAP_STD:
            standard = kernel.STANDARDS.get(standard_name, 0)
            standard = standard or enumeration.detected_standard(descriptor)
            if standard & chosen.standards:
                data = kernel.STANDARD_ID.pack(standard & chosen.standards)
                kernel.call(descriptor, kernel.S_STD, data)
        return None

    def set_controls(self, wanted: Mapping[str, int | str]) -> None:
        """Set controls by name. Raises FormatRefused for one that is not there, OSError."""
        if not wanted:
            return
        known = v4l2_controls.controls(self._descriptor)
        for name, value in wanted.items():
            if name not in known:
                raise FormatRefused(
                    f"there is no control {name!r}; there are: {', '.join(sorted(known))}"
                )
            try:
                v4l2_controls.put(self._descriptor, known[name], value)
            except ValueError as error:
                raise FormatRefused(str(error)) from error

    def set_format(self, wanted: CaptureFormat, row: PixelFormat) -> CaptureFormat:
        """Set pixel format and size; what will be delivered. Raises FormatRefused, OSError."""
        number = kernel.fourcc(row.fourcc)
        asked = kernel.PixFormat(
            wanted.width, wanted.height, number, kernel.FIELD_ANY, wanted.stride, 0, 0
        )
        given = kernel.unpack_format(
            kernel.call(self._descriptor, kernel.S_FMT, kernel.pack_format(asked))
        )
        same = (given.width, given.height, given.pixelformat)
        if same != (wanted.width, wanted.height, number) or (
            wanted.stride and given.bytesperline != wanted.stride
        ):
            raise FormatRefused(
                f"{self._path} cannot deliver {wanted.width}x{wanted.height} "
                f"{wanted.pixel_format}; the next is {given.width}x{given.height} "
                f"{kernel.fourcc_text(given.pixelformat)}"
            )
        is_full = given.quantization == kernel.QUANTIZATION_FULL or (
            given.quantization == 0
            and (row.colour != "ycbcr" or given.colorspace == kernel.COLORSPACE_JPEG)
        )
        stride = 0 if row.compressed else given.bytesperline or row.row_length(given.width)
        return replace(wanted, stride=stride, full_range=is_full or row.compressed)

    def set_rate(self, rate: FrameRate, timings: enumeration.Timings | None) -> None:
        """Set the rate, or hold it against that of a digital signal. Raises FormatRefused."""
        descriptor = self._descriptor
        if timings is not None:
            # A digital signal has its own rate.
            if abs(timings.rate.period - rate.period) > rate.period * 0.005:
                raise FormatRefused(f"the signal has {timings.rate} frames a second")
            return
        data = kernel.STREAMPARM.pack(
            kernel.VIDEO_CAPTURE, 0, 0, rate.denominator, rate.numerator, 0, 0
        )
        try:
            raw = kernel.call(descriptor, kernel.S_PARM, data)
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                return  # It has one rate, and does not say which.
            raise
        row = kernel.STREAMPARM.unpack(raw)
        given = FrameRate(row[4] or 1, row[3] or 1)
        says = row[1] & kernel.CAP_TIMEPERFRAME and row[3] and row[4]
        if says and abs(given.period - rate.period) > rate.period * 0.005:
            raise FormatRefused(f"{self._path} delivers {given} frames a second, not {rate}")
