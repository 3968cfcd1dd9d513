"""A capture device without hardware: moving test patterns at a set rate, with scripted trouble.

A product, not a test double: a box without a grabber demonstrates itself with it, and anything
that works with it works with a real device, because both pass the same contract suite. It keeps
time by the clock that it is given, drops frames when nobody takes them, loses its signal and
vanishes when its script says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from hal.capture.base import (
    CaptureDescription,
    CaptureDevice,
    CaptureEvent,
    CaptureFormat,
    CaptureInput,
    CaptureMode,
    DeviceGone,
    DeviceRemoved,
    FormatRefused,
    Frame,
    FrameRate,
    NoSignal,
    SignalLost,
    SignalReturned,
    SignalState,
    WrongState,
)
from hal.capture.pixel_formats import PIXEL_FORMATS
from hal.capture.ring import BufferRing
from hal.capture.schedule import FrameSchedule, Incident, Scripted
from hal.clock import Clock, MonotonicClock

if TYPE_CHECKING:
    from hal.capture.patterns import Pattern

__all__ = ["Incident", "Scripted", "SimulatedCapture"]

_FORMATS = ("GREY", "Y10", "Y12", "Y16", "RGB24", "BGR24", "YUYV", "UYVY", "NV12")
_SIZES = ((160, 120), (320, 240), (640, 480), (720, 576), (1280, 720), (1920, 1080))
_RATES = (
    FrameRate(5),
    FrameRate(10),
    FrameRate(15),
    FrameRate(25),
    FrameRate(30000, 1001),
    FrameRate(30),
    FrameRate(50),
    FrameRate(60),
)
_PATTERNS = ("ultrasound", "bars", "ramp", "counter")
_SMALLEST = (80, 8)
_LARGEST = 8192


class _Waiting(NamedTuple):
    buffer: int
    sequence: int
    timestamp: float
    dropped: int


class SimulatedCapture(CaptureDevice):
    """The simulator. Its inputs are its patterns: ultrasound, bars, ramp, counter.

    Options: `clock`; `pattern`, the input that is chosen when the format names none (0);
    `buffers`, the size of the ring; `seed` of the speckle; `script`, incidents by time since
    `start()`; `stride_alignment`, rows are padded to a multiple of it, as some hardware does.

    Any size from 80 x 8 to 8192 x 8192 and any rate up to 1000 a second is taken; `describe()`
    lists the usual ones. Memory: `buffers` frames and a few planes at 16 bit a pixel.
    The blocking calls do not block here; `descriptor` is None, all readiness is by `deadline()`.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        pattern: str = "ultrasound",
        buffers: int = 4,
        seed: int = 1,
        script: Iterable[Scripted] = (),
        stride_alignment: int = 1,
        name: str = "simulated grabber",
    ) -> None:
        if pattern not in _PATTERNS:
            raise ValueError(f"there is no pattern {pattern!r}; there are: {', '.join(_PATTERNS)}")
        if buffers < 1 or stride_alignment < 1:
            raise ValueError("buffers and stride_alignment are at least 1")
        self._clock = clock if clock is not None else MonotonicClock()
        self._first_input = _PATTERNS.index(pattern)
        self._number_of_buffers = buffers
        self._seed = seed
        self._script = sorted(script)
        self._stride_alignment = stride_alignment
        self._name = name
        self._plugged = True
        self._has_signal = True
        self._opened = False
        self._format: CaptureFormat | None = None
        self._pattern: Pattern | None = None
        self._ring: BufferRing | None = None
        self._streaming = False
        self._events: list[CaptureEvent] = []
        self._schedule = FrameSchedule(0.0, _RATES[0])
        self._reset()

    def _reset(self) -> None:
        self._next_slot = 0
        self._sequence = 0
        self._dropped = 0
        self._dropped_before_next = 0
        self._next_incident = 0
        self._waiting: deque[_Waiting] = deque()

    # The interface.

    def describe(self) -> CaptureDescription:
        self._need_device()
        return CaptureDescription(
            driver="simulator",
            name=self._name,
            address="simulator",
            inputs=tuple(
                CaptureInput(number, _PATTERNS[(number + self._first_input) % len(_PATTERNS)])
                for number in range(len(_PATTERNS))
            ),
            modes=tuple(
                CaptureMode(pixel_format, width, height, _RATES)
                for pixel_format in _FORMATS
                for width, height in _SIZES
            ),
        )

    def open(self) -> None:
        self._need_device()
        if self._opened:
            raise WrongState("the device is open already")
        self._opened = True

    def configure(self, wanted: CaptureFormat) -> CaptureFormat:
        self._need_device()
        if not self._opened or self._streaming:
            raise WrongState("configure() comes after open() and before start()")
        stride = self._checked(wanted)
        from hal.capture.patterns import PATTERNS

        name = _PATTERNS[(wanted.input + self._first_input) % len(_PATTERNS)]
        self._let_go()
        self._pattern = PATTERNS[name](wanted.width, wanted.height, self._seed)
        length = PIXEL_FORMATS[wanted.pixel_format].frame_length(
            wanted.width, wanted.height, stride
        )
        self._ring = BufferRing([bytearray(length) for _ in range(self._number_of_buffers)])
        self._format = CaptureFormat(
            wanted.pixel_format, wanted.width, wanted.height, wanted.rate, wanted.input, stride
        )
        return self._format

    def _checked(self, wanted: CaptureFormat) -> int:
        """The stride for the format. Raises FormatRefused."""
        if wanted.pixel_format not in _FORMATS:
            raise FormatRefused(
                f"{wanted.pixel_format} is not among {', '.join(_FORMATS)}",
            )
        if not 0 <= wanted.input < len(_PATTERNS):
            raise FormatRefused(
                f"there is no input {wanted.input}; the last is {len(_PATTERNS) - 1}"
            )
        width, height = wanted.width, wanted.height
        least_width, least_height = _SMALLEST
        if not (least_width <= width <= _LARGEST and least_height <= height <= _LARGEST):
            raise FormatRefused(
                f"{width}x{height} is outside {least_width}x{least_height} to {_LARGEST}x{_LARGEST}"
            )
        rate = wanted.rate
        if rate.numerator < 1 or rate.denominator < 1 or rate.period < 0.001:
            raise FormatRefused(f"{rate.numerator}/{rate.denominator} frames a second is no rate")
        try:
            row = PIXEL_FORMATS[wanted.pixel_format].row_length(width)
            PIXEL_FORMATS[wanted.pixel_format].frame_length(width, height)
        except ValueError as error:
            raise FormatRefused(str(error)) from None
        alignment = self._stride_alignment
        stride = wanted.stride or -(-row // alignment) * alignment
        if stride < row or stride > 4 * row + 4096:
            raise FormatRefused(f"a stride of {stride} does not fit rows of {row} bytes")
        return stride

    def start(self) -> None:
        self._need_device()
        if self._ring is None or self._streaming:
            raise WrongState("start() comes after configure()")
        if not self._has_signal:
            raise NoSignal("the input has no signal")
        assert self._format is not None
        self._schedule = FrameSchedule(self._clock.now(), self._format.rate)
        self._reset()
        self._streaming = True

    def stop(self) -> None:
        if self._ring is not None:
            for waiting in self._waiting:
                self._ring.put(waiting.buffer)
        self._waiting.clear()
        self._streaming = False

    def close(self) -> None:
        self.stop()
        self._let_go()
        self._opened = False

    def _let_go(self) -> None:
        if self._ring is not None:
            self._ring.release_all()
        self._ring = None
        self._pattern = None
        self._format = None

    @property
    def descriptor(self) -> int | None:
        return None

    def deadline(self) -> float | None:
        if self._waiting or self._events:
            return self._clock.now()
        if not self._streaming:
            return None
        if not self._plugged:
            return self._clock.now()  # dequeue() has DeviceGone to tell
        moments = []
        if self._has_signal:
            moments.append(self._schedule.due(self._next_slot))
        if self._next_incident < len(self._script):
            moments.append(self._schedule.started + self._script[self._next_incident].at)
        return min(moments, default=None)

    def dequeue(self) -> Frame | None:
        if not self._streaming or self._ring is None:
            raise WrongState("dequeue() comes after start()")
        self._advance()
        if self._waiting:
            return self._ring.lend(self._frame(self._waiting.popleft(), self._ring))
        self._need_device()
        return None

    def requeue(self, frame: Frame) -> None:
        if self._ring is None:
            return
        if self._streaming:
            self._advance()  # what came while this buffer was lent did not find it free
        self._ring.take_back(frame)

    def events(self) -> list[CaptureEvent]:
        if self._streaming:
            self._advance()
        happened, self._events = self._events, []
        return happened

    @property
    def signal(self) -> SignalState:
        if not self._streaming or not self._plugged:
            return SignalState.UNKNOWN
        return SignalState.PRESENT if self._has_signal else SignalState.LOST

    @property
    def dropped(self) -> int:
        return self._dropped

    # What the simulator can do and hardware cannot: trouble on demand.

    def lose_signal(self) -> None:
        """Pull the video cable now."""
        self._advance()
        self._apply(Incident.SIGNAL_LOST, self._clock.now())

    def return_signal(self) -> None:
        """Put the video cable back now."""
        self._advance()
        self._apply(Incident.SIGNAL_RETURNS, self._clock.now())

    def unplug(self) -> None:
        """Pull the device itself now."""
        self._advance()
        self._apply(Incident.DEVICE_GONE, self._clock.now())

    def plug_in(self) -> None:
        """Put the device back: after `close()` it can be opened again."""
        self._plugged = True
        self._has_signal = True

    # Time.

    def _advance(self) -> None:
        """Let everything happen that was due until now; constant work however long ago."""
        if not self._streaming or self._ring is None:
            return
        now = self._clock.now()
        while self._plugged:
            scripted = None
            if self._next_incident < len(self._script):
                scripted = self._script[self._next_incident]
                if self._schedule.started + scripted.at > now:
                    scripted = None
            until = now if scripted is None else self._schedule.started + scripted.at
            self._fill(self._schedule.slots_before(until, included=scripted is None))
            if scripted is None:
                return
            self._next_incident += 1
            self._apply(scripted.incident, until)

    def _fill(self, end: int) -> None:
        """The slots up to `end` pass: buffers are filled while there are free ones."""
        assert self._ring is not None
        while self._next_slot < end:
            if not self._has_signal:
                self._next_slot = end
                return
            buffer = self._ring.take()
            if buffer is None:
                missed = end - self._next_slot
                self._dropped += missed
                self._dropped_before_next += missed
                self._sequence += missed
                self._next_slot = end
                return
            self._waiting.append(
                _Waiting(
                    buffer,
                    self._sequence,
                    self._schedule.due(self._next_slot),
                    self._dropped_before_next,
                )
            )
            self._dropped_before_next = 0
            self._sequence += 1
            self._next_slot += 1

    def _apply(self, incident: Incident, at: float) -> None:
        if incident is Incident.SIGNAL_LOST and self._has_signal:
            self._has_signal = False
            self._tell(SignalLost(at, self._sequence))
        elif incident is Incident.SIGNAL_RETURNS and not self._has_signal:
            self._has_signal = True
            if self._streaming:
                self._next_slot = self._schedule.slots_before(at, included=False)
            self._tell(SignalReturned(at, self._sequence))
        elif incident is Incident.DEVICE_GONE and self._plugged:
            self._plugged = False
            self._tell(DeviceRemoved(at, self._sequence))

    def _tell(self, event: CaptureEvent) -> None:
        if self._opened:
            self._events.append(event)

    def _frame(self, waiting: _Waiting, ring: BufferRing) -> Frame:
        from hal.capture.patterns import render

        assert self._format is not None and self._pattern is not None
        with ring.writable(waiting.buffer) as target:
            length = len(target)
            render(
                self._pattern,
                waiting.sequence,
                self._format.pixel_format,
                target,
                self._format.stride,
            )
        return Frame(
            self,
            waiting.buffer,
            ring.view(waiting.buffer, length),
            pixel_format=self._format.pixel_format,
            width=self._format.width,
            height=self._format.height,
            stride=self._format.stride,
            sequence=waiting.sequence,
            timestamp=waiting.timestamp,
            dropped=waiting.dropped,
        )

    def _need_device(self) -> None:
        if not self._plugged:
            raise DeviceGone("the simulated grabber was pulled")
