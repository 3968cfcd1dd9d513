"""NV12, Y10, Y12 and Y16 in objects, regions and masks too: bit by bit what numpy makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.codecs.codec import EncodeSettings
from agent.codecs.frame import FrameDescription
from agent.codecs.registry import is_available
from agent.dataset.transfer_syntaxes import JPEG_LS_LOSSLESS, RLE_LOSSLESS
from agent.errors import LocalError
from agent.objects.compressed_frames import compression_for
from agent.objects.iods import (
    MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE,
    SECONDARY_CAPTURE_IMAGE,
    ULTRASOUND_IMAGE,
)
from agent.objects.packing import packing
from agent.objects.region import Rectangle, RegionPacking
from hal.capture.base import CaptureFormat, FrameRate
from hal.capture.simulator import SimulatedCapture
from tests.codecs.frames import decoded
from tests.hal.clocks import StoppedClock


def nv12(width: int, height: int, padding: int, seed: int) -> np.ndarray:
    """A frame: rows of luma, then half as many of chroma."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height * 3 // 2, width + padding), dtype=np.uint8)


def cut(
    frame: np.ndarray,
    pixel_format: str,
    size: tuple[int, int],
    region: Rectangle,
    masks: list[Rectangle],
    sop_class_uid: str,
    **how: Any,
) -> bytes:
    inner = packing(
        pixel_format,
        region.width,
        region.height,
        sop_class_uid,
        origin=(region.left, region.top),
        **how,
    )
    made = RegionPacking(inner, pixel_format, size, region, masks)
    with memoryview(frame).cast("B") as view:
        data = b"".join(bytes(each) for each in made.strips(view, frame.strides[0]))
    assert len(data) == made.pixels.frame_length
    return data


def planes(frame: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Luma, and the chroma of every second column for every row."""
    shared = frame[height:, :width].reshape(height // 2, width // 2, 2)
    return frame[:height, :width], shared.repeat(2, axis=0)


@st.composite
def rectangle(draw: st.DrawFn, width: int, height: int, step: int = 1) -> Rectangle:
    left = draw(st.integers(0, (width - 1) // step)) * step
    top = draw(st.integers(0, height - 1))
    return Rectangle(
        left,
        top,
        draw(st.integers(1, (width - left) // step)) * step,
        draw(st.integers(1, height - top)),
    )


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_region_of_nv12_with_masks_is_what_numpy_cuts_out(data: st.DataObject) -> None:
    width, height = 24, 18
    frame = nv12(width, height, data.draw(st.integers(0, 5)), data.draw(st.integers(0, 99)))
    region = data.draw(rectangle(width, height, 2))
    masks = data.draw(st.lists(rectangle(width, height, 2), max_size=2))
    luma, chroma = (each.copy() for each in planes(frame, width, height))
    for left, top, across, down in masks:
        luma[top : top + down, left : left + across] = 0
        chroma[top : top + down, left // 2 : (left + across) // 2] = 128
    quads = np.dstack((luma[:, 0::2], luma[:, 1::2], chroma))
    left, top = region.left, region.top
    meant = quads[top : top + region.height, left // 2 : (left + region.width) // 2]
    made = cut(frame, "NV12", (width, height), region, masks, SECONDARY_CAPTURE_IMAGE)
    assert made == meant.tobytes()


@pytest.mark.parametrize("full_range", [True, False])
def test_nv12_becomes_rgb_as_the_same_picture_in_yuyv_does(full_range: bool) -> None:
    width, height = 640, 210
    frame = nv12(width, height, 0, 3)
    luma, chroma = planes(frame, width, height)
    yuyv = np.dstack((luma[:, 0::2], chroma[:, :, 0], luma[:, 1::2], chroma[:, :, 1]))
    same = np.ascontiguousarray(yuyv.reshape(height, 2 * width))
    whole = Rectangle(0, 0, width, height)
    made = [
        cut(each, name, (width, height), whole, [], ULTRASOUND_IMAGE, full_range=full_range)
        for each, name in ((frame, "NV12"), (same, "YUYV"))
    ]
    assert made[0] == made[1]
    if full_range:
        wide = luma.astype(np.int64)
        blue = chroma[:, :, 0].repeat(2, axis=1).astype(np.int64) - 128
        red = chroma[:, :, 1].repeat(2, axis=1).astype(np.int64) - 128
        rgb = (
            wide + (91881 * red + 32768 >> 16),
            wide - (22554 * blue + 46802 * red + 32768 >> 16),
            wide + (116130 * blue + 32768 >> 16),
        )
        assert made[0] == np.clip(np.dstack(rgb), 0, 255).astype(np.uint8).tobytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), pixel_format=st.sampled_from(["Y10", "Y12", "Y16"]))
def test_a_region_of_deep_grey_with_masks_is_what_numpy_cuts_out(
    data: st.DataObject, pixel_format: str
) -> None:
    width, height = 21, 15
    highest = 1 << int(pixel_format[1:])
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    frame = random.integers(0, highest, (height, width)).astype("<u2")
    region = data.draw(rectangle(width, height))
    masks = data.draw(st.lists(rectangle(width, height), max_size=2))
    meant = frame.copy()
    for left, top, across, down in masks:
        meant[top : top + down, left : left + across] = 0
    meant = meant[region.top :, region.left :][: region.height, : region.width]
    uid = MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE
    assert cut(frame, pixel_format, (width, height), region, masks, uid) == meant.tobytes()


@pytest.mark.parametrize("pixel_format", ["Y10", "Y12", "Y16", "NV12"])
@pytest.mark.parametrize("syntax", [RLE_LOSSLESS, JPEG_LS_LOSSLESS])
def test_such_frames_are_compressed_at_capture_without_loss(pixel_format: str, syntax: str) -> None:
    if not is_available(syntax):
        pytest.skip("needs the kernels")
    device = SimulatedCapture(clock=StoppedClock(), stride_alignment=64)
    device.open()
    device.configure(CaptureFormat(pixel_format, 162, 90, FrameRate(25)))
    device.start()
    made = packing(pixel_format, 162, 90, SECONDARY_CAPTURE_IMAGE)
    found = compression_for(made, SECONDARY_CAPTURE_IMAGE, (syntax,), EncodeSettings())
    assert found is not None
    compressed, _ = found
    frame = device.dequeue()
    assert frame is not None
    with frame:
        native = b"".join(bytes(each) for each in made.strips(frame.view, frame.stride))
        stream = b"".join(bytes(each) for each in compressed.strips(frame.view, frame.stride))
    device.close()
    assert len(stream) < len(native)
    pixels = compressed.pixels
    described = FrameDescription(
        pixels.rows,
        pixels.columns,
        pixels.samples_per_pixel,
        pixels.bits_allocated,
        pixels.bits_stored,
        pixels.pixel_representation,
        pixels.photometric_interpretation,
    )
    assert decoded(syntax, described, stream) == expected(pixel_format, native)


def expected(pixel_format: str, native: bytes) -> bytes:
    """Lossless compression takes no shared chroma: each pixel has its own."""
    if pixel_format != "NV12":
        return native
    pairs = np.frombuffer(native, np.uint8).reshape(-1, 4)
    return pairs[:, [0, 2, 3, 1, 2, 3]].tobytes()


def test_what_does_not_fit_a_planar_frame_is_said() -> None:
    with pytest.raises(LocalError, match="whole groups"):
        packing("NV12", 5, 4, SECONDARY_CAPTURE_IMAGE)
    with pytest.raises(LocalError, match="whole group"):
        cut(nv12(8, 4, 0, 1), "NV12", (8, 4), Rectangle(1, 0, 4, 4), [], SECONDARY_CAPTURE_IMAGE)
    made = packing("NV12", 4, 4, SECONDARY_CAPTURE_IMAGE)
    with pytest.raises(LocalError, match="shorter"):
        list(made.strips(memoryview(bytes(4 * 6 - 1)), 4))
    with pytest.raises(LocalError, match="shorter"):
        list(made.strips(memoryview(bytes(24)), 0))


def test_no_strip_of_a_planar_frame_outlives_it() -> None:
    made = packing("NV12", 4, 4, SECONDARY_CAPTURE_IMAGE)
    with memoryview(bytes(24)) as view:
        for strip in made.strips(view, 4):
            last = strip
    with pytest.raises(ValueError, match="released"):
        last[0]
