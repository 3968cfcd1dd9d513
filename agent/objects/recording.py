"""From a capture device that streams to an object: the frames of a still or a clip.

Runs where blocking is allowed, in a capture worker: the device is waited for in place. Each frame
is given back as soon as it is in the file, so that the device's ring is all the memory there is.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from agent.errors import DeviceError, LocalError
from agent.objects.composite import ObjectWriter
from agent.quoting import quoted
from hal.capture.base import CaptureError, CaptureEvent, Frame, SignalLost
from hal.clock import Clock, MonotonicClock

Wait = Callable[[int | None, float], None]
"""Waits until the descriptor is readable or the clock has reached the moment."""


class FrameSource(Protocol):
    """What of a `CaptureDevice` a recording needs."""

    @property
    def descriptor(self) -> int | None: ...
    def deadline(self) -> float | None: ...
    def dequeue(self) -> Frame | None: ...
    def events(self) -> list[CaptureEvent]: ...


class Strips(Protocol):
    """What makes frames of an object of what a device gives: a `Packing`, or `KeptFrames`."""

    def strips(self, view: memoryview, stride: int) -> Iterator[memoryview]:
        """The frame in pieces, in order; each is valid until the next is asked for."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What was recorded. `frame_time` is the mean in milliseconds, None of a single frame.

    `dropped` frames are missing between the first and the last; `events` happened meanwhile.
    """

    frames: int
    dropped: int
    first_timestamp: float
    last_timestamp: float
    events: tuple[CaptureEvent, ...]

    @property
    def frame_time(self) -> float | None:
        if self.frames < 2:
            return None
        return 1000 * (self.last_timestamp - self.first_timestamp) / (self.frames - 1)


def blocking(clock: Clock) -> Wait:
    """Wait in place, by the real clock."""

    def wait(descriptor: int | None, moment: float) -> None:
        descriptors = [] if descriptor is None else [descriptor]
        select.select(descriptors, [], [], max(0.0, moment - clock.now()))

    return wait


def pass_over(device: FrameSource, most: int) -> bool:
    """Give back frames that wait, at most so many; whether that was all. Never blocks.

    Raises CaptureError as the device does.
    """
    for _ in range(most):
        frame = device.dequeue()
        if frame is None:
            return True
        frame.requeue()
    return False


def record(
    device: FrameSource,
    packing: Strips,
    writer: ObjectWriter,
    frames: int | None,
    *,
    seconds: float = 0.0,
    clock: Clock | None = None,
    wait: Wait | None = None,
    patience: float = 5.0,
) -> Recording:
    """Write the next `frames` frames of a device that streams; the writer is left unfinished.

    With `seconds`, those of so long a time instead, by their timestamps: `frames` None is without
    another limit than the object's. Ends early, with what there is, when the signal goes or the
    device is pulled once at least one frame is written. Raises DeviceError when none came within
    `patience` seconds or the device failed before the first, LocalError when the writer does not
    take so many frames, StorageError as the writer does.
    """
    clock = MonotonicClock() if clock is None else clock
    wait = blocking(clock) if wait is None else wait
    room = writer.room
    if (frames is None and seconds <= 0) or (frames is not None and frames < 1):
        raise LocalError("No frames are asked for.", value=(frames, seconds))
    if room is not None and frames is not None and frames > room:
        raise LocalError("The object cannot take so many frames.", value=frames, limit=room)
    most = min(each for each in (frames, room, _NO_LIMIT) if each is not None)
    taken = Taken()
    events: list[CaptureEvent] = []
    with closing(_coming(device, events, clock, wait, patience)) as coming:
        for frame in coming:
            if seconds and taken.spans(frame.timestamp, seconds):
                break
            writer.begin_frame()
            for strip in packing.strips(frame.view, frame.stride):
                writer.write(strip)
            writer.end_frame()
            taken.add(frame.timestamp, frame.dropped)
            if taken.frames == most:
                break
    events += device.events()
    return taken.recording(events)


_NO_LIMIT = 2**31 - 1
"""Number of Frames is an integer string (PS3.5 6.2, IS)."""


class Taken:
    """Counts the frames of an object while they are written."""

    def __init__(self) -> None:
        self.frames = 0
        self.dropped = 0
        self._first = self._last = 0.0

    def add(self, timestamp: float, dropped: int) -> None:
        """One more; `dropped` are missing before it."""
        if not self.frames:
            self._first = timestamp
        else:
            self.dropped += dropped
        self._last = timestamp
        self.frames += 1

    def spans(self, timestamp: float, seconds: float) -> bool:
        """Whether the frames so far are of so many seconds, were the next of that moment.

        A frame lasts until the next; half of that is left to the device's clock.
        """
        if not self.frames:
            return False
        half = (timestamp - self._first) / self.frames / 2
        return timestamp - self._first >= seconds - min(half, seconds / 2)

    def recording(self, events: list[CaptureEvent]) -> Recording:
        """All of it; there is at least one frame."""
        return Recording(self.frames, self.dropped, self._first, self._last, tuple(events))


_LOOK = "Check that the source is switched on and the cable is in."


def _coming(
    device: FrameSource,
    events: list[CaptureEvent],
    clock: Clock,
    wait: Wait,
    patience: float,
) -> Generator[Frame, None, None]:
    """Frames as they come, each given back when the next is asked for; `events` grows by what
    happens in between."""
    given = 0
    give_up_at = clock.now() + patience
    while True:
        try:
            frame = device.dequeue()
        except CaptureError as error:
            if given:
                return
            raise DeviceError(
                f"No frame could be captured: {quoted(error)}.",
                way_out="Check the device and its cable.",
            ) from error
        if frame is not None:
            with frame:
                yield frame
            given += 1
            give_up_at = clock.now() + patience
            continue
        events += device.events()
        if given and any(isinstance(event, SignalLost) for event in events):
            return
        if clock.now() >= give_up_at:
            if given:
                return
            raise DeviceError("No frame came from the device.", value=patience, way_out=_LOOK)
        deadline = device.deadline()
        wait(device.descriptor, give_up_at if deadline is None else min(deadline, give_up_at))
