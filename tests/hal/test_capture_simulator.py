import subprocess
import sys
import tracemalloc

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.capture.base import (
    DRIVERS,
    CaptureError,
    CaptureFormat,
    DeviceGone,
    FormatRefused,
    FrameRate,
    NoSignal,
    SignalLost,
    SignalReturned,
    open_driver,
)
from hal.capture.patterns import PATTERNS, read_frame_number, render
from hal.capture.pixel_formats import PIXEL_FORMATS
from hal.capture.simulator import Incident, Scripted, SimulatedCapture
from tests.hal.capture_contract import CaptureContract
from tests.hal.clocks import StoppedClock

RATE = FrameRate(25)
FORMATS = ("GREY", "Y10", "Y12", "Y16", "RGB24", "BGR24", "YUYV", "UYVY", "NV12")


class TestSimulatorKeepsTheContract(CaptureContract):
    def make(self):
        self.clock = StoppedClock()
        return SimulatedCapture(clock=self.clock, buffers=self.buffers)

    def wanted(self):
        return CaptureFormat("GREY", 160, 120, RATE)

    def refused(self):
        return CaptureFormat("MJPEG", 160, 120, RATE)

    def wait(self, device):
        deadline = device.deadline()
        assert deadline is not None
        self.clock.time = max(self.clock.time, deadline)

    def let_frames_pass(self, device, count):
        self.clock.pass_by(count * RATE.period)

    def pull_signal(self, device):
        device.lose_signal()

    def return_signal(self, device):
        device.return_signal()

    def pull_device(self, device):
        device.unplug()


def streaming(clock, wanted, **options):
    device = SimulatedCapture(clock=clock, **options)
    device.open()
    device.configure(wanted)
    device.start()
    return device


@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize("size", [(80, 8), (160, 120), (322, 64)])
def test_every_format_carries_the_frame_number_in_its_pixels(pixel_format, size):
    clock = StoppedClock()
    width, height = size
    device = streaming(
        clock, CaptureFormat(pixel_format, width, height, RATE, 1), stride_alignment=64
    )
    for number in range(5):
        with device.dequeue() as frame:
            assert frame.stride % 64 == 0
            assert (
                read_frame_number(frame.view, frame.pixel_format, frame.width, frame.stride)
                == number
                == frame.sequence
            )
        clock.time = device.deadline()


def test_the_number_in_the_pixels_shows_which_frames_were_dropped():
    clock = StoppedClock()
    device = streaming(clock, CaptureFormat("GREY", 160, 120, RATE), buffers=2)
    clock.pass_by(9.5 * RATE.period)
    numbers = []
    for _ in range(2):
        with device.dequeue() as frame:
            numbers.append(read_frame_number(frame.view, "GREY", 160, frame.stride))
    clock.pass_by(RATE.period)
    with device.dequeue() as frame:
        numbers.append(read_frame_number(frame.view, "GREY", 160, frame.stride))
        assert frame.dropped == 8
    assert numbers == [0, 1, 10]


@pytest.mark.parametrize("name", sorted(PATTERNS))
@pytest.mark.parametrize("pixel_format", ["GREY", "Y16", "RGB24", "YUYV"])
def test_patterns_are_the_same_for_the_same_seed_and_move(name, pixel_format):
    def frame(seed, number):
        row = PIXEL_FORMATS[pixel_format]
        buffer = bytearray(row.frame_length(320, 240))
        pattern = PATTERNS[name](320, 240, seed)
        render(pattern, number, pixel_format, memoryview(buffer), row.row_length(320))
        return bytes(buffer)

    assert frame(1, 7) == frame(1, 7)
    below_the_number = 8 * PIXEL_FORMATS[pixel_format].row_length(320)
    assert frame(1, 7)[below_the_number:] != frame(1, 8)[below_the_number:]
    if name == "ultrasound":
        assert frame(1, 7) != frame(2, 7)


def test_sixteen_bit_grey_uses_the_whole_range():
    buffer = bytearray(320 * 240 * 2)
    render(PATTERNS["ramp"](320, 240, 1), 3, "Y16", memoryview(buffer), 640)
    plane = numpy.frombuffer(buffer, dtype="<u2").reshape(240, 320)[8:]
    assert plane.min() < 300 and plane.max() > 65200
    assert len(numpy.unique(plane)) > 10000


def test_twelve_bit_grey_stays_within_twelve_bits():
    buffer = bytearray(320 * 240 * 2)
    render(PATTERNS["ramp"](320, 240, 1), 3, "Y12", memoryview(buffer), 640)
    assert numpy.frombuffer(buffer, dtype="<u2").max() == 4095


def test_yuyv_of_the_bars_is_their_full_range_colour():
    buffer = bytearray(320 * 16 * 2)
    render(PATTERNS["bars"](320, 16, 1), 0, "YUYV", memoryview(buffer), 640)
    quads = numpy.frombuffer(buffer, dtype=numpy.uint8).reshape(16, 160, 4)[-1]
    assert list(quads[5 * 20 + 10]) == [76, 85, 76, 255]  # red
    assert list(quads[6 * 20 + 10]) == [29, 255, 29, 107]  # blue
    assert list(quads[10]) == [255, 128, 255, 128]  # white


def test_row_padding_is_not_written():
    buffer = bytearray(b"\xa5" * (256 * 16))
    render(PATTERNS["bars"](160, 16, 1), 0, "GREY", memoryview(buffer), 256)
    assert all(buffer[y * 256 + 160 : (y + 1) * 256] == b"\xa5" * 96 for y in range(16))


def test_script_loses_signal_brings_it_back_and_pulls_the_device():
    clock = StoppedClock(0.0)
    device = streaming(
        clock,
        CaptureFormat("GREY", 160, 120, FrameRate(10)),
        script=[
            Scripted(1.0, Incident.SIGNAL_LOST),
            Scripted(2.0, Incident.SIGNAL_RETURNS),
            Scripted(3.0, Incident.DEVICE_GONE),
        ],
    )
    stamps, numbers, events = [], [], []
    with pytest.raises(DeviceGone):
        while True:
            frame = device.dequeue()
            events += device.events()
            if frame is None:
                clock.time = device.deadline()
            else:
                stamps.append(frame.timestamp)
                numbers.append(read_frame_number(frame.view, "GREY", 160, frame.stride))
                frame.requeue()
    assert numbers == list(range(20))
    assert stamps == pytest.approx([n / 10 for n in (*range(10), *range(20, 30))])
    assert events[:2] == [SignalLost(1.0, 10), SignalReturned(2.0, 10)]
    assert device.dropped == 0


def test_start_without_signal_raises_and_works_once_it_is_there():
    device = SimulatedCapture(clock=StoppedClock())
    device.open()
    device.configure(CaptureFormat("GREY", 160, 120, RATE))
    device.lose_signal()
    with pytest.raises(NoSignal):
        device.start()
    device.return_signal()
    device.start()


def test_a_device_put_back_can_be_opened_again():
    device = streaming(StoppedClock(), CaptureFormat("GREY", 160, 120, RATE))
    device.unplug()
    device.close()
    device.plug_in()
    device.open()
    device.configure(CaptureFormat("GREY", 160, 120, RATE))
    device.start()
    assert device.dequeue() is not None


@pytest.mark.parametrize(
    "wanted",
    [
        CaptureFormat("NV12", 160, 121, RATE),
        CaptureFormat("NV12", 161, 120, RATE),
        CaptureFormat("GREY", 79, 120, RATE),
        CaptureFormat("YUYV", 161, 120, RATE),
        CaptureFormat("GREY", 160, 9000, RATE),
        CaptureFormat("GREY", 160, 120, FrameRate(0)),
        CaptureFormat("GREY", 160, 120, FrameRate(2000)),
        CaptureFormat("GREY", 160, 120, RATE, input=4),
        CaptureFormat("GREY", 160, 120, RATE, stride=100),
        CaptureFormat("no such format", 160, 120, RATE),
    ],
)
def test_what_cannot_be_is_refused(wanted):
    device = SimulatedCapture(clock=StoppedClock())
    device.open()
    with pytest.raises(FormatRefused):
        device.configure(wanted)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["wait", "take", "give", "lose", "return"]),
            st.floats(0, 2, allow_nan=False),
        ),
        max_size=40,
    ),
    buffers=st.integers(1, 4),
)
def test_whatever_the_owner_does_every_frame_is_given_once_or_counted(steps, buffers):
    clock = StoppedClock()
    device = streaming(clock, CaptureFormat("GREY", 80, 8, RATE, 3), buffers=buffers)
    held, expected = [], 0
    for what, amount in steps:
        if what == "wait":
            clock.pass_by(amount)
        elif what == "take" and (frame := device.dequeue()) is not None:
            assert frame.sequence == expected + frame.dropped
            assert read_frame_number(frame.view, "GREY", 80, 80) == frame.sequence
            expected = frame.sequence + 1
            held.append(frame)
        elif what == "give" and held:
            held.pop(0).requeue()
        elif what == "lose":
            device.lose_signal()
        elif what == "return":
            device.return_signal()
        assert len(held) <= buffers
    device.close()


def test_a_day_without_a_call_is_made_up_in_no_time():
    clock = StoppedClock()
    device = streaming(clock, CaptureFormat("GREY", 160, 120, RATE), buffers=2)
    clock.pass_by(86400)
    device.dequeue().requeue()
    assert device.dropped == 86400 * 25 + 1 - 2


def test_memory_is_the_ring_and_a_few_planes():
    clock = StoppedClock()
    device = streaming(clock, CaptureFormat("RGB24", 320, 240, RATE), buffers=3)
    for _ in range(3):
        device.dequeue().requeue()
        clock.time = device.deadline()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(50):
        device.dequeue().requeue()
        clock.time = device.deadline()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000
    assert peak - before < 12 * 320 * 240 * 3


def test_the_driver_table_names_real_classes_and_says_what_there_is():
    assert isinstance(open_driver("simulator", clock=StoppedClock()), SimulatedCapture)
    assert set(DRIVERS) >= {"simulator"}
    with pytest.raises(CaptureError, match="simulator"):
        open_driver("no such driver")


def test_importing_hal_imports_no_driver_and_no_numpy():
    program = (
        "import sys, hal.capture.base;"
        "assert 'hal.capture.simulator' not in sys.modules;"
        "import hal.capture.simulator;"
        "assert 'numpy' not in sys.modules and 'agent' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
