"""From a capture device that streams to an object: the frames of a still or a clip.

Runs where blocking is allowed, in a capture worker: the device is waited for in place. Each frame
is given back as soon as it is in the file, so that the device's ring is all the memory there is.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from agent.errors import DeviceError, LocalError
from agent.objects.composite import ObjectWriter
from hal.capture.base import CaptureDevice, CaptureError, CaptureEvent, SignalLost
from hal.clock import Clock, MonotonicClock

Wait = Callable[[int | None, float], None]
"""Waits until the descriptor is readable or the clock has reached the moment."""


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


def record(
    device: CaptureDevice,
    packing: Strips,
    writer: ObjectWriter,
    frames: int,
    *,
    clock: Clock | None = None,
    wait: Wait | None = None,
    patience: float = 5.0,
) -> Recording:
    """Write the next `frames` frames of a device that streams; the writer is left unfinished.

    Ends early, with what there is, when the signal goes or the device is pulled once at least
    one frame is written. Raises DeviceError when none came within `patience` seconds or the
    device failed before the first, LocalError when the writer does not take so many frames,
    StorageError as the writer does.
    """
    clock = MonotonicClock() if clock is None else clock
    wait = blocking(clock) if wait is None else wait
    room = writer.room
    if frames < 1 or (room is not None and frames > room):
        raise LocalError("The object cannot take so many frames.", value=frames, limit=room)
    stamps: list[float] = []
    written = dropped = 0
    events: list[CaptureEvent] = []
    give_up_at = clock.now() + patience
    while written < frames:
        try:
            frame = device.dequeue()
        except CaptureError as error:
            if written:
                break
            raise DeviceError(
                f"No frame could be captured: {error}.", way_out="Check the device and its cable."
            ) from error
        if frame is not None:
            writer.begin_frame()
            with frame:
                for strip in packing.strips(frame.view, frame.stride):
                    writer.write(strip)
            writer.end_frame()
            stamps = [stamps[0] if stamps else frame.timestamp, frame.timestamp]
            dropped += frame.dropped if written else 0
            written += 1
            give_up_at = clock.now() + patience
            continue
        events += device.events()
        if written and any(isinstance(event, SignalLost) for event in events):
            break
        if clock.now() >= give_up_at:
            if written:
                break
            raise DeviceError(
                "No frame came from the device.",
                value=patience,
                way_out="Check that the source is switched on and the cable is in.",
            )
        deadline = device.deadline()
        wait(device.descriptor, give_up_at if deadline is None else min(deadline, give_up_at))
    events += device.events()
    return Recording(written, dropped, stamps[0], stamps[-1], tuple(events))
