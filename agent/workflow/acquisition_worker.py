"""The worker of a capture device: frames of the device become DICOM objects, one file each."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from agent.codecs.codec import EncodeSettings
from agent.dataset.file_meta import encode_file_meta
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, JPEG_BASELINE
from agent.errors import DeviceError
from agent.objects.composite import begin
from agent.objects.compressed_frames import CompressedFrames, compression_for
from agent.objects.description import (
    Cine,
    ExaminationIdentity,
    InstanceDescription,
    Moment,
)
from agent.objects.device_template import device_of
from agent.objects.iods import (
    MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE,
    MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE,
    MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE,
    SECONDARY_CAPTURE_IMAGE,
    ULTRASOUND_IMAGE,
    ULTRASOUND_MULTI_FRAME_IMAGE,
    iod_of,
)
from agent.objects.jpeg_frames import KeptFrames, jpeg_pixels
from agent.objects.packing import Packing, packing
from agent.objects.pixels import PixelDescription
from agent.objects.planar_packing import PlanarPacking
from agent.objects.recording import blocking, record
from agent.objects.region import Rectangle, RegionPacking
from agent.objects.single_bit import SingleBitPacking
from hal.capture.base import CaptureDevice, CaptureError, CaptureFormat, FrameRate, open_driver
from hal.capture.motion_jpeg import whole_frame
from hal.capture.pixel_formats import PIXEL_FORMATS
from hal.clock import MonotonicClock

FORM: dict[str, Any] = {
    "pixel_format": "GREY",
    "width": 640,
    "height": 480,
    "rate": 25,
    "input": 0,
    "region": (),
    "masks": (),
}
"""The settings that every driver has, with their defaults; all others are the driver's own. A
region, and each mask, is left, top, width and height in pixels of the frame."""


_PATIENCE = 5.0

Frames: TypeAlias = Packing | PlanarPacking | SingleBitPacking | RegionPacking | KeptFrames
"""What makes frames of an object of what a device gives."""


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """What the worker must know of a `[[capture]]` and of the node."""

    kind: str
    implementation_class_uid: str
    implementation_version_name: str
    driver: Mapping[str, Any] = field(default_factory=dict)
    form: Mapping[str, Any] = field(default_factory=dict)
    modality: str = "OT"
    station_name: str = ""
    sop_classes: tuple[str, ...] = ()
    title: str = ""
    timezone_offset: bool = True
    template: Mapping[str, Any] = field(default_factory=dict)
    compression: tuple[str, ...] = ()
    quality: int = 90
    near: int = 2


@dataclass(frozen=True, slots=True)
class Exposure:
    """One object to be made: a still (0 frames), or a clip of so many."""

    identity: ExaminationIdentity
    sop_instance_uid: str
    number: int
    frames: int = 0


@dataclass(frozen=True, slots=True)
class Exposed:
    """What was made."""

    sop_class_uid: str
    sop_instance_uid: str
    frames: int
    dropped: int
    events: tuple[str, ...]


def serve_capture(calls: Any, settings: CaptureSettings) -> None:
    """The entry: "expose" an `Exposure` into a descriptor."""
    camera = Camera(settings)
    try:
        while group := calls.receive(limit=1):
            for call in group:
                try:
                    (exposure,) = call.arguments
                    call.reply(camera.expose(exposure, call.descriptors[0]))
                except Exception as error:
                    call.fail(error)
    finally:
        camera.close()


class Camera:
    """A device that streams while it is open. Blocks; raises DeviceError for what hardware does."""

    def __init__(self, settings: CaptureSettings) -> None:
        self._settings = settings
        self._device: CaptureDevice | None = None
        form = {**FORM, **settings.form}
        rate = form["rate"]
        numerator, denominator = rate if isinstance(rate, (list, tuple)) else (rate, 1)
        self._form = CaptureFormat(
            str(form["pixel_format"]),
            int(form["width"]),
            int(form["height"]),
            FrameRate(int(numerator), int(denominator)),
            input=int(form["input"]),
        )
        self._region = Rectangle(*form["region"]) if form["region"] else None
        self._masks = [Rectangle(*each) for each in form["masks"]]

    def expose(self, exposure: Exposure, descriptor: int) -> Exposed:
        """Write the next frames of the device as one whole Part 10 file to `descriptor`."""
        settings = self._settings
        device = self._streaming()
        sop_class = self._sop_class(clip=exposure.frames > 0)
        packed, transfer_syntax = self._compressing(*self._packing(device, sop_class), sop_class)
        rate = self._form.rate
        writer = begin(
            descriptor,
            sop_class,
            exposure.identity,
            packed.pixels,
            device_of({"station_name": settings.station_name or None, **settings.template}),
            InstanceDescription(exposure.sop_instance_uid, exposure.number, self._moment()),
            cine=Cine.at_rate(*rate) if exposure.frames else None,
            file_meta=encode_file_meta(
                sop_class_uid=sop_class,
                sop_instance_uid=exposure.sop_instance_uid,
                transfer_syntax_uid=transfer_syntax,
                implementation_class_uid=settings.implementation_class_uid,
                implementation_version_name=settings.implementation_version_name,
                source_ae_title=settings.title,
            ),
            transfer_syntax_uid=transfer_syntax,
        )
        recording = record(device, packed, writer, exposure.frames or 1)
        writer.finish(
            recording.frames, frame_time=recording.frame_time if exposure.frames else None
        )
        return Exposed(
            sop_class,
            exposure.sop_instance_uid,
            recording.frames,
            recording.dropped,
            tuple(type(each).__name__ for each in recording.events),
        )

    def _packing(self, device: CaptureDevice, sop_class: str) -> tuple[Frames, str]:
        """What makes frames of the object, and the transfer syntax that they are in."""
        form = self._form
        if PIXEL_FORMATS[form.pixel_format].compressed:
            if self._region is not None or self._masks:
                raise DeviceError(
                    "frames that are compressed already have no region and no masks",
                    way_out="Capture in another pixel format.",
                )
            return KeptFrames(self._compressed_pixels(device)), JPEG_BASELINE
        region = self._region or Rectangle(0, 0, form.width, form.height)
        packed = packing(
            form.pixel_format,
            region.width,
            region.height,
            sop_class,
            full_range=form.full_range,
            origin=(region.left, region.top),
        )
        if self._region is None and not self._masks:
            return packed, EXPLICIT_VR_LITTLE_ENDIAN
        frame = (form.width, form.height)
        return (
            RegionPacking(packed, form.pixel_format, frame, region, self._masks),
            EXPLICIT_VR_LITTLE_ENDIAN,
        )

    def _compressing(
        self, packed: Frames, transfer_syntax: str, sop_class: str
    ) -> tuple[Frames | CompressedFrames, str]:
        """The same, compressed where that is asked for and can be. An image comes first: what
        cannot be compressed is stored as it is."""
        settings = self._settings
        if not settings.compression or isinstance(packed, (KeptFrames, SingleBitPacking)):
            return packed, transfer_syntax
        how = EncodeSettings(quality=settings.quality, near=settings.near)
        found = compression_for(packed, sop_class, settings.compression, how)
        return found or (packed, transfer_syntax)

    @staticmethod
    def _compressed_pixels(device: CaptureDevice) -> PixelDescription:
        """What a frame says of itself: one is looked at and given back."""
        wait = blocking(MonotonicClock())
        ends = time.monotonic() + _PATIENCE
        while time.monotonic() < ends:
            frame = device.dequeue()
            if frame is not None:
                with frame:
                    return jpeg_pixels(b"".join(bytes(each) for each in whole_frame(frame.view)))
            due = device.deadline()
            wait(device.descriptor, min(ends, due) if due is not None else ends)
        raise DeviceError("no frame came from the device", value=_PATIENCE)

    def close(self) -> None:
        """Let go of the device."""
        if self._device is not None:
            self._device.close()
            self._device = None

    def _streaming(self) -> CaptureDevice:
        if self._device is not None:
            return self._device
        try:
            device = open_driver(self._settings.kind, **self._settings.driver)
        except TypeError as error:
            raise DeviceError(
                f"the capture driver {self._settings.kind} does not know a setting: {error}",
                way_out="Correct [capture.settings].",
            ) from error
        try:
            device.open()
            self._form = device.configure(self._form)
            device.start()
        except CaptureError as error:
            device.close()
            raise DeviceError(
                f"the device cannot be used: {error}", way_out="Check the device and its cable."
            ) from error
        self._device = device
        return device

    def _moment(self) -> Moment:
        moment = Moment.at(time.time())
        return moment if self._settings.timezone_offset else dataclasses.replace(moment, offset="")

    def _sop_class(self, *, clip: bool) -> str:
        """What the configuration says; else what modality and form of the frames ask for."""
        for uid in self._settings.sop_classes:
            if iod_of(uid).multi_frame == clip:
                return uid
        found = PIXEL_FORMATS[self._form.pixel_format]
        if self._settings.modality == "US" and found.bits_allocated == 8:
            return ULTRASOUND_MULTI_FRAME_IMAGE if clip else ULTRASOUND_IMAGE
        if not clip:
            return SECONDARY_CAPTURE_IMAGE
        if found.colour != "grey":
            return MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE
        if found.bits_allocated == 8:
            return MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE
        return MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE
