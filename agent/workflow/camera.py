"""A capture device, and the objects that are made of its frames. Runs in a capture worker."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from dataclasses import dataclass

from agent.dataset.file_meta import encode_file_meta
from agent.errors import DeviceError, GantryError, LocalError, StorageError
from agent.objects.composite import ObjectWriter, begin
from agent.objects.description import Cine, InstanceDescription, Moment
from agent.objects.device_template import device_of
from agent.objects.frame_ring import FrameRing
from agent.objects.look_back import LookBack
from agent.objects.recording import FrameSource, Recording, Strips, blocking, pass_over, record
from agent.objects.region import Rectangle
from agent.workflow.capture_frames import Shape, form_of, shape_of
from agent.workflow.capture_settings import FORM, CaptureSettings, Exposed, Exposure, Kept
from hal.capture.base import CaptureDevice, CaptureError, SignalChanged, open_driver
from hal.clock import MonotonicClock

_BUFFERS = 64
"""More frames than any device has waiting."""

_PAUSE = 1.0
"""Seconds after which a device that is not there is tried again."""


@dataclass(slots=True)
class _Keep:
    """What is to be kept, in a file of which at most so many bytes may be used."""

    descriptor: int
    seconds: float
    most: int
    size: int = 0
    shape: Shape | None = None
    back: LookBack | None = None


class Camera:
    """A device that streams while it is open. Blocks; raises DeviceError for what hardware does."""

    def __init__(self, settings: CaptureSettings) -> None:
        self._settings = settings
        self._device: CaptureDevice | None = None
        form = {**FORM, **settings.form}
        self._form = form_of(form)
        self._region = Rectangle(*form["region"]) if form["region"] else None
        self._masks = [Rectangle(*each) for each in form["masks"]]
        self._clock = MonotonicClock()
        self._wait = blocking(self._clock)
        self._burst_began = 0.0
        self._keep: _Keep | None = None
        self._trouble: GantryError | None = None
        self._try_again_at = 0.0

    # Objects.

    def expose(self, exposure: Exposure, descriptor: int) -> Exposed:
        """Write frames of the device as one whole Part 10 file to `descriptor`."""
        if exposure.last:
            return self._look_back(exposure, descriptor)
        try:
            source = self._source()
            self._wait_for(source, exposure)
            shape, strips = self._shape(source, clip=exposure.clip)
            writer = self._begin(descriptor, exposure, shape, time.time())
            recording = record(
                source,
                strips,
                writer,
                None if exposure.seconds else exposure.frames or 1,
                seconds=exposure.seconds,
            )
        except DeviceError:
            self._let_go()
            raise
        if any(isinstance(each, SignalChanged) for each in recording.events):
            self._let_go()
        return _finish(writer, exposure, shape, recording)

    def _look_back(self, exposure: Exposure, descriptor: int) -> Exposed:
        """A clip of what was before."""
        keep = self._keep
        if keep is None or keep.back is None or keep.shape is None:
            raise self._trouble or LocalError(
                "Nothing is kept of what was before.",
                way_out="Set `keep` for the device, and begin an examination.",
            )
        moment = self._clock.now()
        self.attend()
        found = keep.back.before(moment, min(exposure.last, keep.seconds))
        began = time.time() - (self._clock.now() - found[0].timestamp)
        writer = self._begin(descriptor, exposure, keep.shape, began)
        recording = keep.back.write(found[-(writer.room or len(found)) :], writer)
        return _finish(writer, exposure, keep.shape, recording)

    def _shape(self, source: FrameSource, *, clip: bool) -> tuple[Shape, Strips]:
        """How the object is made, and what makes its frames: a clip has those that are kept."""
        keep = self._keep
        if clip and keep is not None and keep.shape is not None and keep.back is not None:
            return keep.shape, keep.back
        shape = shape_of(self._settings, self._form, self._region, self._masks, source, clip=clip)
        return shape, shape.frames

    def _begin(
        self, descriptor: int, exposure: Exposure, shape: Shape, began: float
    ) -> ObjectWriter:
        settings = self._settings
        moment = Moment.at(began)
        if not settings.timezone_offset:
            moment = dataclasses.replace(moment, offset="")
        writer = begin(
            descriptor,
            shape.sop_class_uid,
            exposure.identity,
            shape.frames.pixels,
            device_of({"station_name": settings.station_name or None, **settings.template}),
            InstanceDescription(exposure.sop_instance_uid, exposure.number, moment),
            cine=Cine.at_rate(*self._form.rate) if exposure.clip else None,
            file_meta=encode_file_meta(
                sop_class_uid=shape.sop_class_uid,
                sop_instance_uid=exposure.sop_instance_uid,
                transfer_syntax_uid=shape.transfer_syntax_uid,
                implementation_class_uid=settings.implementation_class_uid,
                implementation_version_name=settings.implementation_version_name,
                source_ae_title=settings.title,
            ),
            transfer_syntax_uid=shape.transfer_syntax_uid,
        )
        needed = math.floor(exposure.seconds / self._form.rate.period)
        if writer.room is not None and needed > writer.room:
            raise LocalError(
                f"A clip of {exposure.seconds:g} seconds does not go into one object.",
                clause="PS3.5 7.1.2",
                value=needed,
                limit=writer.room,
                way_out="Capture shorter clips, or compress them.",
            )
        return writer

    def _wait_for(self, source: FrameSource, exposure: Exposure) -> None:
        """What was waiting is of before; in a burst the next still may be due later."""
        moment = self._clock.now()
        if exposure.after == 0:
            self._burst_began = moment
        elif exposure.after is not None:
            moment = self._burst_began + exposure.after
        try:
            while True:
                pass_over(source, _BUFFERS)
                if self._clock.now() >= moment:
                    return
                due = source.deadline()
                self._wait(source.descriptor, moment if due is None else min(due, moment))
        except CaptureError as error:
            raise _unusable(error) from error

    # What was before.

    def keep(self, descriptor: int, seconds: float, most: int) -> Kept:
        """Keep the frames of the last `seconds` from now on, in at most so many bytes of a file.

        A device that is not there now is tried again by `attend`. Raises StorageError when the disk
        has no room, LocalError for frames of which no clip can be made.
        """
        self.forget()
        self._keep = _Keep(os.dup(descriptor), seconds, most)
        try:
            self._source()
        except DeviceError as error:
            self._fail(error)
            return Kept(seconds, 0, str(error))
        except GantryError:
            self.forget()
            raise
        return Kept(self._keep.seconds, self._keep.size)

    def forget(self) -> None:
        """Keep nothing any more; what was kept is gone."""
        if self._keep is not None:
            os.close(self._keep.descriptor)
        self._keep = None

    @property
    def keeps(self) -> bool:
        """Whether `attend` wants to be called."""
        return self._keep is not None

    @property
    def descriptor(self) -> int | None:
        """Readable when a frame waits."""
        return self._device.descriptor if self._device is not None else None

    def due_in(self) -> float | None:
        """Seconds after which to call `attend` whatever the descriptor says; None: never."""
        due = self._try_again_at if self._device is None else self._device.deadline()
        return None if due is None else max(0.0, due - self._clock.now())

    def attend(self) -> None:
        """Keep the frames that wait. A device that is gone is let go, and tried again later."""
        if self._device is None and self._clock.now() < self._try_again_at:
            return
        try:
            source = self._source()
            if isinstance(source, LookBack):
                source.attend()
            if any(isinstance(each, SignalChanged) for each in source.events()):
                self._let_go()
        except CaptureError as error:
            self._fail(_unusable(error))
        except GantryError as error:
            self._fail(error)

    def _fail(self, error: GantryError) -> None:
        self._trouble = error
        self._try_again_at = self._clock.now() + _PAUSE
        self._let_go()

    def _start_keeping(self, keep: _Keep, device: CaptureDevice) -> LookBack:
        if keep.back is not None:
            # The device was opened again: what was before is still there.
            keep.back.device = device
            return keep.back
        shape = shape_of(self._settings, self._form, self._region, self._masks, device, clip=True)
        length = shape.usual_length
        frames = math.ceil(keep.seconds / self._form.rate.period) + 1
        keep.size = min(keep.most, frames * length)
        if keep.size < 2 * length:
            raise StorageError(
                "The disk has no room for the frames to be kept.",
                value=keep.most,
                limit=2 * length,
                way_out="Free some space, or set a shorter `keep`.",
            )
        keep.seconds = min(keep.seconds, keep.size / length * self._form.rate.period)
        ring = FrameRing(keep.descriptor, keep.size, keep.seconds)
        period = self._form.rate.period
        keep.shape, keep.back = shape, LookBack(device, shape.frames, ring, period)
        return keep.back

    # The device.

    def close(self) -> None:
        """Let go of the device, and of what was kept."""
        self._let_go()
        self.forget()

    def _let_go(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None

    def _source(self) -> FrameSource:
        """The device, streaming; where frames are kept, by way of what keeps them."""
        if self._device is None:
            self._device = self._open()
        if self._keep is None:
            return self._device
        return self._start_keeping(self._keep, self._device)

    def _open(self) -> CaptureDevice:
        try:
            device = open_driver(self._settings.kind, **self._settings.driver)
        except CaptureError as error:
            raise DeviceError(f"{error}", way_out="Correct [capture.settings].") from error
        try:
            device.open()
            self._form = device.configure(self._form)
            device.start()
        except CaptureError as error:
            device.close()
            raise _unusable(error) from error
        return device


def _unusable(error: CaptureError) -> DeviceError:
    return DeviceError(
        f"the device cannot be used: {error}", way_out="Check the device and its cable."
    )


def _finish(
    writer: ObjectWriter, exposure: Exposure, shape: Shape, recording: Recording
) -> Exposed:
    writer.finish(recording.frames, frame_time=recording.frame_time if exposure.clip else None)
    return Exposed(
        shape.sop_class_uid,
        exposure.sop_instance_uid,
        recording.frames,
        recording.dropped,
        tuple(type(each).__name__ for each in recording.events),
    )
