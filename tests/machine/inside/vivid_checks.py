"""The V4L2 driver on the kernel's virtual video device; runs inside the guest."""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hal.capture import v4l2_controls as controls
from hal.capture import v4l2_kernel as kernel
from hal.capture.base import (
    CaptureFormat,
    DeviceBusy,
    DeviceGone,
    DeviceRemoved,
    FormatRefused,
    Frame,
    FrameRate,
    SignalLost,
    SignalReturned,
    SignalState,
)
from hal.capture.pixel_formats import PIXEL_FORMATS
from hal.capture.v4l2 import V4l2Capture
from hal.capture.v4l2_enumeration import video_devices
from tests.hal.capture_contract import CaptureContract

DEVICE = "/dev/video0"
HELD: list[int] = []
NTSC_RATE = FrameRate(30000, 1001)


def set_control(name: str, value: int | str) -> None:
    """Over a descriptor of its own, as another program would."""
    descriptor = os.open(DEVICE, os.O_RDWR)
    try:
        controls.put(descriptor, controls.controls(descriptor)[name], value)
    finally:
        os.close(descriptor)


def choose_input(number: int) -> None:
    descriptor = os.open(DEVICE, os.O_RDWR)
    try:
        fcntl.ioctl(descriptor, kernel.S_INPUT, kernel.NUMBER.pack(number))
    finally:
        os.close(descriptor)


@pytest.fixture(autouse=True)
def fresh_device() -> Iterator[None]:
    """As it comes out of the box: the module is loaded anew after the device was torn out."""
    while HELD:
        os.close(HELD.pop())
    if not Path(DEVICE).exists() or not video_devices():
        os.system("modprobe -r vivid; modprobe vivid n_devs=1; udevadm settle || sleep 1")
    for name, value in (
        ("DV Timings Signal Mode", "Current DV Timings"),
        ("Standard Signal Mode", "Current Standard"),
        ("Percentage of Dropped Buffers", 0),
        # Hardware that does not scale says no to other sizes.
        ("Enable Capture Scaler", 0),
        ("Enable Capture Cropping", 0),
        ("Enable Capture Composing", 0),
        ("OSD Text Mode", "None"),
        ("Horizontal Movement", "No Movement"),
    ):
        set_control(name, value)
    choose_input(0)
    yield


def wait(device: V4l2Capture, seconds: float = 2.0) -> None:
    descriptor = device.descriptor
    due = device.deadline()
    limit = seconds if due is None else max(0.0, min(seconds, due - time.monotonic()))
    if descriptor is not None:
        select.select([descriptor], [], [], limit)
    else:
        time.sleep(min(0.05, limit))


def frames(device: V4l2Capture, count: int, seconds: float = 10.0) -> list[np.ndarray]:
    """So many frames, copied."""
    found: list[np.ndarray] = []
    end = time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < end, f"{len(found)} frames"
        frame = device.dequeue()
        if frame is None:
            wait(device)
            continue
        found.append(np.frombuffer(frame.view, np.uint8).copy())
        frame.requeue()
    return found


def opened(pixel_format: str, width: int, height: int, rate: FrameRate, input: int = 0, **more):
    device = V4l2Capture(device=DEVICE, **more)
    device.open()
    given = device.configure(CaptureFormat(pixel_format, width, height, rate, input))
    return device, given


def luma(pixel_format: str, data: np.ndarray, width: int, height: int) -> np.ndarray:
    """The brightness of each pixel, from 0 to 1, as full range."""
    if pixel_format in ("YUYV", "UYVY"):
        values = data.reshape(height, width, 2)[:, :, 0 if pixel_format == "YUYV" else 1]
        return (values.astype(float) - 16) / 219
    if pixel_format == "NV12":
        return (data[: width * height].reshape(height, width).astype(float) - 16) / 219
    if pixel_format == "GREY":
        return data.reshape(height, width) / 255
    if pixel_format.startswith("Y"):
        bits = int(pixel_format[1:])
        return data.view("<u2").reshape(height, width) / (2**bits - 1)
    colours = data.reshape(height, width, 3).astype(float)
    if pixel_format == "BGR24":
        colours = colours[:, :, ::-1]
    return colours @ np.array((0.299, 0.587, 0.114)) / 255


@pytest.mark.parametrize(
    "pixel_format",
    ["YUYV", "UYVY", "NV12", "GREY", "Y10", "Y12", "Y16", "RGB24", "BGR24"],
)
def test_every_format_shows_the_same_picture(pixel_format: str) -> None:
    device, given = opened(pixel_format, 640, 360, FrameRate(25))
    device.start()
    (data, *_) = frames(device, 2)
    device.stop()
    device.close()
    row = PIXEL_FORMATS[pixel_format]
    assert len(data) == row.frame_length(640, 360, given.stride)
    seen = luma(pixel_format, data, 640, 360)[180, 40::80]
    # 75 % colour bars: white, yellow, cyan, green, magenta, red, blue, black; vivid makes grey by
    # Rec. 709, colour by Rec. 601.
    bars = np.array((0.75, 0.66, 0.53, 0.44, 0.31, 0.22, 0.09, 0.0))
    if PIXEL_FORMATS[pixel_format].colour == "grey":
        bars = 0.75 * np.array((1, 0.93, 0.79, 0.72, 0.28, 0.21, 0.07, 0))
    assert np.abs(seen - bars).max() < 0.09, (pixel_format, seen)


def test_frames_are_numbered_and_dropped_ones_are_counted() -> None:
    device, _ = opened("GREY", 320, 180, FrameRate(25))
    device.start()
    held: list[Frame] = []
    end = time.monotonic() + 5
    while len(held) < 4 and time.monotonic() < end:
        frame = device.dequeue()
        if frame is None:
            wait(device)
        else:
            held.append(frame)
    assert [each.sequence for each in held] == [0, 1, 2, 3]
    assert [each.timestamp for each in held] == sorted(each.timestamp for each in held)
    assert abs(held[-1].timestamp - time.monotonic()) < 2
    time.sleep(0.4)
    for frame in held:
        frame.requeue()
    frame = None
    while frame is None:
        wait(device)
        frame = device.dequeue()
    assert frame.dropped >= 5
    assert frame.sequence == 4 + frame.dropped
    assert device.dropped == frame.dropped
    device.close()


def test_buffers_that_the_hardware_spoils_are_lost_and_counted() -> None:
    set_control("Percentage of Dropped Buffers", 50)
    device, _ = opened("GREY", 320, 180, FrameRate(50))
    device.start()
    frames(device, 10)
    assert device.dropped > 0
    device.close()


@pytest.mark.parametrize(
    ("standard", "height", "rate"), [("PAL", 576, FrameRate(25)), ("NTSC", 480, NTSC_RATE)]
)
def test_analogue_standards(standard: str, height: int, rate: FrameRate) -> None:
    device, given = opened("YUYV", 720, height, rate, input=1, standard=standard)
    assert given.stride == 1440
    device.start()
    begun = time.monotonic()
    frames(device, 6)
    assert device.signal is SignalState.PRESENT
    assert time.monotonic() - begun < 3
    device.close()
    wrong = V4l2Capture(device=DEVICE, standard=standard)
    wrong.open()
    with pytest.raises(FormatRefused, match="the next is"):
        wrong.configure(CaptureFormat("YUYV", 720, 1056 - height, rate, 1))
    wrong.close()


def test_the_timings_of_a_digital_signal_are_followed() -> None:
    choose_input(3)
    set_control("DV Timings", "640x480p59")
    set_control("DV Timings Signal Mode", "Selected DV Timings")
    device, given = opened("YUYV", 640, 480, FrameRate(60000, 1001), input=3)
    assert given.stride == 1280
    described = device.describe()
    assert any((mode.width, mode.height) == (640, 480) for mode in described.modes)
    device.start()
    frames(device, 3)
    device.stop()
    with pytest.raises(FormatRefused, match="frames a second"):
        device.configure(CaptureFormat("YUYV", 640, 480, FrameRate(25), 3))
    device.close()


def test_controls_are_set_by_name_and_a_wrong_one_is_told() -> None:
    device, _ = opened("GREY", 320, 180, FrameRate(25), controls={"Test Pattern": "100% White"})
    device.start()
    (data,) = frames(device, 1)
    device.close()
    assert data.reshape(180, 320)[90, 160] > 250
    for name, value, said in (("Nonsense", 1, "no control"), ("Test Pattern", "Cat", "no choice")):
        wrong = V4l2Capture(device=DEVICE, controls={name: value})
        wrong.open()
        with pytest.raises(FormatRefused, match=said):
            wrong.configure(CaptureFormat("GREY", 320, 180, FrameRate(25)))
        wrong.close()
    set_control("Test Pattern", "75% Colorbar")


def test_two_programs_cannot_stream_at_once() -> None:
    first, _ = opened("GREY", 320, 180, FrameRate(25))
    first.start()
    second = V4l2Capture(device=DEVICE)
    second.open()
    with pytest.raises(DeviceBusy):
        second.configure(CaptureFormat("GREY", 640, 360, FrameRate(25)))
    second.close()
    frames(first, 2)
    first.close()


def test_the_first_device_is_taken_where_none_is_named() -> None:
    assert video_devices()[0] == DEVICE
    device = V4l2Capture()
    assert device.describe().address == DEVICE


class TestVivid(CaptureContract):
    """The contract of all capture devices, over HDMI: it has a signal that can be pulled."""

    gives_frames_after_it_is_pulled = False

    def make(self) -> V4l2Capture:
        choose_input(3)
        set_control("DV Timings", "640x480p59")
        set_control("DV Timings Signal Mode", "Selected DV Timings")
        # Another program sets the timings once, as a first configure would.
        setter = V4l2Capture(device=DEVICE)
        setter.open()
        setter.configure(self.wanted())
        setter.close()
        return V4l2Capture(device=DEVICE, buffers=self.buffers)

    def wanted(self) -> CaptureFormat:
        return CaptureFormat("GREY", 640, 480, FrameRate(60000, 1001), 3)

    def refused(self) -> CaptureFormat:
        return CaptureFormat("GREY", 648, 488, FrameRate(60000, 1001), 3)

    def wait(self, device: V4l2Capture) -> None:
        wait(device)

    def let_frames_pass(self, device: V4l2Capture, count: int) -> None:
        time.sleep((count + 3) / 60)

    def pull_signal(self, device: V4l2Capture) -> None:
        set_control("DV Timings Signal Mode", "No Signal")
        time.sleep(0.6)

    def return_signal(self, device: V4l2Capture) -> None:
        set_control("DV Timings Signal Mode", "Selected DV Timings")
        time.sleep(0.6)

    def pull_device(self, device: V4l2Capture) -> None:
        # vivid plugs itself in again when its last user leaves.
        HELD.append(os.open(DEVICE, os.O_RDWR))
        set_control("Disconnect", 1)


def test_a_signal_that_goes_and_comes_is_told_of() -> None:
    device = TestVivid().make()
    device.open()
    device.configure(TestVivid().wanted())
    device.start()
    frames(device, 2)
    assert device.signal is SignalState.PRESENT
    set_control("DV Timings Signal Mode", "No Signal")
    found: list[object] = []
    end = time.monotonic() + 5
    while not any(isinstance(each, SignalLost) for each in found):
        assert time.monotonic() < end
        found += device.events()
        time.sleep(0.05)
    assert device.signal is SignalState.LOST
    set_control("DV Timings Signal Mode", "Selected DV Timings")
    while not any(isinstance(each, SignalReturned) for each in found):
        assert time.monotonic() < end + 5
        found += device.events()
        time.sleep(0.05)
    device.close()


def test_a_device_that_is_torn_out_is_gone() -> None:
    device, _ = opened("GREY", 320, 180, FrameRate(25))
    device.start()
    frames(device, 2)
    HELD.append(os.open(DEVICE, os.O_RDWR))
    set_control("Disconnect", 1)
    end = time.monotonic() + 5
    with pytest.raises(DeviceGone):
        while time.monotonic() < end:
            if device.dequeue() is None:
                wait(device, 0.1)
    assert any(isinstance(each, DeviceRemoved) for each in device.events())
    device.close()
    with pytest.raises(DeviceGone):
        V4l2Capture(device=DEVICE).open()
