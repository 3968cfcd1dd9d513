"""What becomes of the frames of a capture device: of which class, packed and compressed how."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, JPEG_BASELINE
from agent.errors import ConfigurationError, DeviceError
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
from agent.objects.recording import FrameSource, blocking
from agent.objects.region import Rectangle, RegionPacking
from agent.objects.single_bit import SingleBitPacking
from agent.workflow.capture_settings import CaptureSettings
from hal.capture.base import CaptureFormat, FrameRate
from hal.capture.motion_jpeg import whole_frame
from hal.capture.pixel_formats import PIXEL_FORMATS
from hal.clock import MonotonicClock

if TYPE_CHECKING:
    from agent.objects.compressed_frames import CompressedFrames

_PATIENCE = 5.0

Frames: TypeAlias = (
    "Packing | PlanarPacking | SingleBitPacking | RegionPacking | KeptFrames | CompressedFrames"
)
"""What makes frames of an object of what a device gives."""


class Shape(NamedTuple):
    """The class of an object, what makes its frames, and the transfer syntax that they are in."""

    sop_class_uid: str
    frames: Frames
    transfer_syntax_uid: str

    @property
    def usual_length(self) -> int:
        """Bytes of a frame at most, or, of one that a camera compresses, seldom more."""
        length = self.frames.pixels.frame_length
        return length // 2 if isinstance(self.frames, KeptFrames) else length


def form_of(settings: Mapping[str, Any]) -> CaptureFormat:
    """The form of the frames that is asked of a device. Raises ConfigurationError."""
    rate = settings["rate"]
    try:
        numerator, denominator = rate if isinstance(rate, (list, tuple)) else (rate, 1)
        return CaptureFormat(
            str(settings["pixel_format"]),
            int(settings["width"]),
            int(settings["height"]),
            FrameRate(int(numerator), int(denominator)),
            input=int(settings["input"]),
        )
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"width, height, rate or input is no number: {error}",
            way_out="Correct [capture.settings].",
        ) from error


def sop_class_of(settings: CaptureSettings, pixel_format: str, *, clip: bool) -> str:
    """What the configuration says; else what modality and form of the frames ask for."""
    for uid in settings.sop_classes:
        if iod_of(uid).multi_frame == clip:
            return uid
    found = PIXEL_FORMATS[pixel_format]
    if settings.modality == "US" and found.bits_allocated == 8:
        return ULTRASOUND_MULTI_FRAME_IMAGE if clip else ULTRASOUND_IMAGE
    if not clip:
        return SECONDARY_CAPTURE_IMAGE
    if found.colour != "grey":
        return MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE
    if found.bits_allocated == 8:
        return MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE
    return MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE


def shape_of(
    settings: CaptureSettings,
    form: CaptureFormat,
    region: Rectangle | None,
    masks: list[Rectangle],
    source: FrameSource,
    *,
    clip: bool,
) -> Shape:
    """How stills, or clips, are made of frames of this form.

    Of frames that are compressed already one is taken from `source` and looked at. Raises
    LocalError for what the class does not allow, DeviceError when no frame comes.
    """
    sop_class = sop_class_of(settings, form.pixel_format, clip=clip)
    if PIXEL_FORMATS[form.pixel_format].compressed:
        if region is not None or masks:
            raise DeviceError(
                "frames that are compressed already have no region and no masks",
                way_out="Capture in another pixel format.",
            )
        return Shape(sop_class, KeptFrames(_compressed_pixels(source)), JPEG_BASELINE)
    part = region or Rectangle(0, 0, form.width, form.height)
    packed: Packing | PlanarPacking | SingleBitPacking | RegionPacking = packing(
        form.pixel_format,
        part.width,
        part.height,
        sop_class,
        full_range=form.full_range,
        origin=(part.left, part.top),
    )
    if region is not None or masks:
        frame = (form.width, form.height)
        packed = RegionPacking(packed, form.pixel_format, frame, part, masks)
    # An image comes first: what cannot be compressed is stored as it is.
    if settings.compression and not isinstance(packed, SingleBitPacking):
        # A device that compresses nothing has no codecs in memory.
        from agent.codecs.codec import EncodeSettings
        from agent.objects.compressed_frames import compression_for

        how = EncodeSettings(quality=settings.quality, near=settings.near)
        found = compression_for(packed, sop_class, settings.compression, how)
        if found is not None:
            return Shape(sop_class, *found)
    return Shape(sop_class, packed, EXPLICIT_VR_LITTLE_ENDIAN)


def _compressed_pixels(source: FrameSource) -> PixelDescription:
    """What a frame says of itself: one is looked at and given back."""
    wait = blocking(MonotonicClock())
    ends = time.monotonic() + _PATIENCE
    while time.monotonic() < ends:
        frame = source.dequeue()
        if frame is not None:
            with frame:
                return jpeg_pixels(b"".join(bytes(each) for each in whole_frame(frame.view)))
        due = source.deadline()
        wait(source.descriptor, min(ends, due) if due is not None else ends)
    raise DeviceError("no frame came from the device", value=_PATIENCE)
