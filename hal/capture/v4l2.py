"""Capture through Linux's V4L2 interface: cameras, USB grabbers, HDMI and analogue cards.

Frames lie in buffers of the kernel that are mapped into our memory; a frame is lent from there and
queued again when it is given back. Nothing is copied.
"""

from __future__ import annotations

import errno
import mmap
import os
import time
from collections.abc import Callable, Mapping
from typing import NoReturn

from hal.capture import v4l2_enumeration as enumeration
from hal.capture import v4l2_kernel as kernel
from hal.capture.base import (
    CaptureDescription,
    CaptureDevice,
    CaptureError,
    CaptureEvent,
    CaptureFormat,
    DeviceBusy,
    DeviceGone,
    DeviceRemoved,
    FormatRefused,
    Frame,
    NoSignal,
    SignalChanged,
    SignalLost,
    SignalReturned,
    SignalState,
    WrongState,
)
from hal.capture.pixel_formats import PIXEL_FORMATS
from hal.capture.ring import BufferRing
from hal.capture.v4l2_setup import Setup

_LOOKS = 0.5
"""Seconds between looks at the signal: most hardware tells nobody."""

_LOOKS_FOR_RETURN = 0.1

_GONE = frozenset((errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.EIO, errno.EBADF))


class V4l2Capture(CaptureDevice):
    """One video device.

    `device` is its path; empty: the first that captures. `standard` ("PAL", "NTSC", "SECAM") is
    set for analogue inputs; the timings of digital ones are those of the signal. `controls` are
    set by name when it is configured. `buffers` frames are mapped. `now` is the clock of events.
    """

    def __init__(
        self,
        *,
        device: str = "",
        standard: str = "",
        controls: Mapping[str, int | str] | None = None,
        buffers: int = 4,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        if standard and standard not in kernel.STANDARDS:
            known = ", ".join(kernel.STANDARDS)
            raise CaptureError(f"there is no standard {standard!r}; there are: {known}")
        if buffers < 2:
            raise CaptureError("a device needs two buffers at least")
        self._path = device
        self._standard = standard
        self._controls = dict(controls or {})
        self._count = buffers
        self.now = now
        self._descriptor: int | None = None
        self._format: CaptureFormat | None = None
        self._ring: BufferRing | None = None
        self._streaming = False
        self._removed = False
        self._events: list[CaptureEvent] = []
        self._signal = SignalState.UNKNOWN
        self._timings: enumeration.Timings | None = None
        self._next_look = 0.0
        self._first = -1
        self._next_sequence = 0
        self._dropped = 0
        self._damaged = 0

    # The interface.

    def describe(self) -> CaptureDescription:
        path = self._path or self._first_device()
        descriptor = self._descriptor
        try:
            if descriptor is not None:
                return enumeration.describe(descriptor, path)
            opened = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                return enumeration.describe(opened, path)
            finally:
                os.close(opened)
        except OSError as error:
            _raise(error, path)

    def open(self) -> None:
        if self._descriptor is not None:
            raise WrongState("the device is open")
        self._path = self._path or self._first_device()
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            _raise(error, self._path)
        if not enumeration.captures(descriptor):
            os.close(descriptor)
            raise DeviceGone(f"{self._path} does not capture video")
        self._descriptor = descriptor
        self._removed = False

    def configure(self, wanted: CaptureFormat) -> CaptureFormat:
        if self._descriptor is None or self._streaming:
            raise WrongState("configure() needs an open device that does not stream")
        found = PIXEL_FORMATS.get(wanted.pixel_format)
        if found is None:
            raise FormatRefused(f"there is no pixel format {wanted.pixel_format}")
        self._free_buffers()
        try:
            setup = Setup(self._opened, self._path)
            self._timings = setup.choose_input(wanted.input, self._standard)
            setup.set_controls(self._controls)
            given = setup.set_format(wanted, found)
            setup.set_rate(wanted.rate, self._timings)
            self._map_buffers()
        except OSError as error:
            _raise(error, self._path)
        self._format = given
        return given

    def start(self) -> None:
        descriptor, ring = self._need_ring()
        if self._streaming:
            raise WrongState("the device streams")
        try:
            # Those that are still lent come when they are given back.
            while (number := ring.take()) is not None:
                kernel.call(descriptor, kernel.QBUF, kernel.pack_buffer(number))
            kernel.call(descriptor, kernel.STREAMON, kernel.NUMBER.pack(kernel.VIDEO_CAPTURE))
        except OSError as error:
            if error.errno in (errno.ENOLINK, errno.ENOLCK, errno.ENODATA):
                raise NoSignal(f"{self._path} has no signal to start with") from error
            _raise(error, self._path)
        self._streaming = True
        self._events.clear()
        self._first, self._next_sequence, self._dropped, self._damaged = -1, 0, 0, 0
        self._signal = SignalState.UNKNOWN
        self._next_look = self.now()
        self._look()

    def stop(self) -> None:
        if not self._streaming or self._descriptor is None:
            return
        self._streaming = False
        self._signal = SignalState.UNKNOWN
        try:
            kernel.call(
                self._descriptor, kernel.STREAMOFF, kernel.NUMBER.pack(kernel.VIDEO_CAPTURE)
            )
        except OSError:
            self._removed = True
        if self._ring is not None:
            # The kernel gave up all that it held.
            self._ring.free_all()

    def close(self) -> None:
        if self._descriptor is None:
            return
        self.stop()
        self._free_buffers()
        os.close(self._descriptor)
        self._descriptor = None
        self._format = None
        self._events.clear()
        self._removed = False

    @property
    def descriptor(self) -> int | None:
        return self._descriptor if self._streaming and not self._removed else None

    def deadline(self) -> float | None:
        if self._events or self._removed:
            return self.now()
        return self._next_look if self._streaming else None

    def dequeue(self) -> Frame | None:
        descriptor, ring = self._need_ring()
        if not self._streaming:
            raise WrongState("dequeue() needs start() before")
        while True:
            if self._removed:
                raise DeviceGone(f"{self._path} is gone")
            try:
                data = kernel.call(descriptor, kernel.DQBUF, kernel.pack_buffer(0))
            except BlockingIOError:
                # Only now is it known where between the frames an event lies.
                if self.now() >= self._next_look:
                    self._look()
                return None
            except OSError as error:
                if error.errno in _GONE:
                    self._remove()
                    continue
                if error.errno in (errno.EPIPE, errno.EINVAL):
                    return None
                _raise(error, self._path)
            frame = self._frame(ring, kernel.unpack_buffer(data))
            if frame is not None:
                return frame

    def requeue(self, frame: Frame) -> None:
        ring = self._ring
        if ring is None or not ring.take_back(frame):
            return
        if not self._streaming or self._descriptor is None or self._removed:
            return
        number = ring.take()
        if number is None:
            return
        try:
            kernel.call(self._descriptor, kernel.QBUF, kernel.pack_buffer(number))
        except OSError as error:
            ring.put(number)
            if error.errno in _GONE:
                self._remove()

    def events(self) -> list[CaptureEvent]:
        if self._streaming and not self._removed and self.now() >= self._next_look:
            self._look()
        found, self._events = self._events, []
        return found

    @property
    def signal(self) -> SignalState:
        return self._signal

    @property
    def dropped(self) -> int:
        return self._dropped

    # Setting up.

    def _first_device(self) -> str:
        found = enumeration.video_devices()
        if not found:
            raise DeviceGone("there is no video device")
        return found[0]

    def _map_buffers(self) -> None:
        descriptor = self._opened
        data = kernel.REQUESTBUFFERS.pack(
            self._count, kernel.VIDEO_CAPTURE, kernel.MEMORY_MMAP, 0, 0
        )
        count = kernel.REQUESTBUFFERS.unpack(kernel.call(descriptor, kernel.REQBUFS, data))[0]
        buffers = []
        for number in range(count):
            found = kernel.unpack_buffer(
                kernel.call(descriptor, kernel.QUERYBUF, kernel.pack_buffer(number))
            )
            buffers.append(
                mmap.mmap(
                    descriptor,
                    found.length,
                    flags=mmap.MAP_SHARED,
                    prot=mmap.PROT_READ,
                    offset=found.offset,
                )
            )
        self._ring = BufferRing(buffers)

    def _free_buffers(self) -> None:
        if self._ring is None:
            return
        self._ring.release_all()
        self._ring = None
        data = kernel.REQUESTBUFFERS.pack(0, kernel.VIDEO_CAPTURE, kernel.MEMORY_MMAP, 0, 0)
        try:
            kernel.call(self._opened, kernel.REQBUFS, data)
        except OSError:
            return  # Somebody still looks into one: the kernel frees it with the last mapping.

    # Streaming.

    def _frame(self, ring: BufferRing, buffer: kernel.Buffer) -> Frame | None:
        """The frame of a buffer; None for a damaged one, which counts as lost."""
        assert self._format is not None
        if self._first < 0:
            self._first = buffer.sequence
        sequence = buffer.sequence - self._first
        if self._signal is SignalState.LOST:
            self._next_sequence = sequence
            if self.now() >= self._next_look:
                self._look()
            if self._signal is SignalState.LOST:
                # Some hardware goes on with noise, or a blue picture: that is no frame.
                self._next_sequence = sequence + 1
                self._give_again(ring, buffer.number)
                return None
        length = buffer.bytesused
        if buffer.flags & kernel.BUF_FLAG_ERROR or not length:
            self._give_again(ring, buffer.number)
            return None
        if PIXEL_FORMATS[self._format.pixel_format].compressed:
            stride = 0
        else:
            stride = self._format.stride
            row = PIXEL_FORMATS[self._format.pixel_format]
            length = min(length, row.frame_length(self._format.width, self._format.height, stride))
        lost = max(0, sequence - self._next_sequence)
        self._dropped += lost
        self._next_sequence = sequence + 1
        return ring.lend(
            Frame(
                self,
                buffer.number,
                ring.view(buffer.number, length),
                pixel_format=self._format.pixel_format,
                width=self._format.width,
                height=self._format.height,
                stride=stride,
                sequence=sequence,
                timestamp=buffer.timestamp,
                dropped=lost,
            )
        )

    def _give_again(self, ring: BufferRing, number: int) -> None:
        try:
            kernel.call(self._opened, kernel.QBUF, kernel.pack_buffer(number))
        except OSError as error:
            ring.put(number)
            if error.errno in _GONE:
                self._remove()

    def _look(self) -> None:
        """The state of the signal, by the input's status and, where there are any, its timings."""
        at = self.now()
        self._next_look = at + _LOOKS
        timings = None
        assert self._format is not None
        try:
            state = enumeration.input_state(self._opened, self._format.input)
            present = state is None or state.has_signal
            if state is not None and state.capabilities & kernel.IN_CAP_DV_TIMINGS and present:
                timings = enumeration.query_timings(self._opened)
                present = timings is not None
        except OSError as error:
            if error.errno in _GONE:
                self._remove()
            return
        before = self._signal
        self._signal = SignalState.PRESENT if present else SignalState.LOST
        if not present:
            self._next_look = at + _LOOKS_FOR_RETURN
        if not present and before is not SignalState.LOST:
            self._events.append(SignalLost(at, self._next_sequence))
        elif present and before is SignalState.LOST:
            self._events.append(SignalReturned(at, self._next_sequence))
        if timings is not None and self._timings is not None and timings[:4] != self._timings[:4]:
            self._timings = timings
            self._events.append(SignalChanged(at, self._next_sequence))

    def _remove(self) -> None:
        if not self._removed:
            self._removed = True
            self._events.append(DeviceRemoved(self.now(), self._next_sequence))

    @property
    def _opened(self) -> int:
        if self._descriptor is None:
            raise WrongState("the device is closed")
        return self._descriptor

    def _need_ring(self) -> tuple[int, BufferRing]:
        if self._descriptor is None or self._ring is None:
            raise WrongState("the device is not configured")
        return self._descriptor, self._ring


def _raise(error: OSError, path: str) -> NoReturn:
    """An error of the kernel as one of the interface."""
    if error.errno in (errno.EBUSY, errno.EAGAIN):
        raise DeviceBusy(f"{path} is in use by another program") from error
    if error.errno in _GONE:
        raise DeviceGone(f"{path} is not there: {error.strerror}") from error
    if error.errno in (errno.EACCES, errno.EPERM):
        raise DeviceGone(f"{path} may not be opened: {error.strerror}") from error
    raise FormatRefused(f"{path}: {error.strerror}") from error
