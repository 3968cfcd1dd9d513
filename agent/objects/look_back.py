"""A device whose frames are kept for a while, and objects made of what was before.

`LookBack` stands where a device does: whoever takes frames from it, each is in the ring first. Who
takes none lets it `attend`. What is in the ring are frames of the object, cropped, masked and
compressed already, so that nothing reaches the disk that is not for the object.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from agent.errors import DeviceError, GantryError, LocalError
from agent.objects.composite import ObjectWriter
from agent.objects.frame_ring import FrameRing, RingFrame
from agent.objects.recording import FrameSource, Recording, Strips, Taken, pass_over
from hal.capture.base import CaptureError, CaptureEvent, Frame

_AT_ONCE = 8
"""Frames that are taken before others get their turn."""

_INTERRUPTION = 1.0
"""Seconds without a frame after which what was before is another scene."""


class LookBack:
    """The frames of a device, kept in a ring as `packing` makes them."""

    def __init__(
        self, device: FrameSource, packing: Strips, ring: FrameRing, period: float
    ) -> None:
        """`period` is the seconds from one frame to the next, as the device says."""
        self.device = device
        """The device; another when it was opened again."""
        self._packing = packing
        self._ring = ring
        self._period = period
        self.trouble: GantryError | None = None
        """Why nothing is kept any more."""

    # As a device.

    @property
    def descriptor(self) -> int | None:
        return self.device.descriptor

    def deadline(self) -> float | None:
        return self.device.deadline()

    def events(self) -> list[CaptureEvent]:
        return self.device.events()

    def dequeue(self) -> Frame | None:
        frame = self.device.dequeue()
        if frame is not None and self.trouble is None:
            try:
                self._keep(frame)
            except GantryError as error:
                self.trouble = error
        return frame

    def _keep(self, frame: Frame) -> None:
        self._ring.begin_frame(frame.timestamp, frame.dropped)
        try:
            for strip in self._packing.strips(frame.view, frame.stride):
                self._ring.write(strip)
        except LocalError:
            # A damaged frame of a camera is one frame less.
            self._ring.give_up()
        self._ring.end_frame()

    # As a packing: a clip is of the same frames as the ring, so none is packed twice.

    def strips(self, view: memoryview, stride: int) -> Iterator[memoryview]:
        """The frame that was dequeued last, in pieces."""
        newest = self._ring.newest if self.trouble is None else None
        if newest is None:
            return self._packing.strips(view, stride)
        return self._ring.pieces(newest)

    def attend(self) -> None:
        """Keep what waits, but no more than a few frames. Never blocks. Raises CaptureError as the
        device does."""
        pass_over(self, _AT_ONCE)

    # What was before.

    def before(self, moment: float, seconds: float) -> list[RingFrame]:
        """The frames of the last `seconds` before that moment, the oldest first.

        They begin after the last interruption: a clip has one frame time. Raises DeviceError when
        there are none, what went wrong when nothing is kept any more.
        """
        if self.trouble is not None:
            raise self.trouble
        found = self._ring.between(moment - seconds, moment)
        longest = max(_INTERRUPTION, 3 * self._period)
        begin = 0
        for number in range(1, len(found)):
            if found[number].timestamp - found[number - 1].timestamp > longest:
                begin = number
        if not found:
            raise DeviceError(
                f"Nothing was recorded in the last {seconds:g} seconds.",
                way_out="Check that the source is switched on and the cable is in.",
            )
        return found[begin:]

    def write(self, found: list[RingFrame], writer: ObjectWriter) -> Recording:
        """Write these frames; the device goes on being attended. The writer is left unfinished.

        What comes meanwhile and has no room is missing from the ring, never from the object. Raises
        StorageError as writer and ring do, LocalError when the object does not take them.
        """
        if not found:
            raise LocalError("No frames are asked for.")
        taken = Taken()
        try:
            for frame in found:
                self._ring.hold(frame)
                writer.begin_frame()
                for piece in self._ring.pieces(frame):
                    writer.write(piece)
                writer.end_frame()
                taken.add(frame.timestamp, frame.dropped)
                # A device that is pulled meanwhile takes nothing of what was before.
                with suppress(CaptureError):
                    self.attend()
        finally:
            self._ring.hold(None)
        return taken.recording([])
