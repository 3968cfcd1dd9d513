import os

import pydicom
import pytest

from agent.errors import DeviceError, LocalError, StorageError
from agent.objects.iods import ULTRASOUND_IMAGE, ULTRASOUND_MULTI_FRAME_IMAGE
from agent.objects.packing import packing
from agent.objects.recording import record
from hal.capture.base import CaptureFormat, DeviceRemoved, FrameRate, SignalLost
from hal.capture.patterns import read_frame_number
from hal.capture.simulator import Incident, Scripted, SimulatedCapture
from tests.hal.clocks import StoppedClock
from tests.objects.examples import ObjectFile

RATE = FrameRate(30000, 1001)


class Bench:
    """A simulator that streams, an object to record into, and a wait that moves the clock."""

    def __init__(self, folder, sop_class_uid=ULTRASOUND_MULTI_FRAME_IMAGE, **options):
        self.clock = StoppedClock()
        self.device = SimulatedCapture(clock=self.clock, **options)
        self.device.open()
        self.device.configure(CaptureFormat("GREY", 160, 32, RATE))
        self.device.start()
        self.packing = packing("GREY", 160, 32, sop_class_uid)
        self.file = ObjectFile(folder, sop_class_uid, self.packing.pixels)

    def record(self, frames, **options):
        return record(
            self.device,
            self.packing,
            self.file.writer,
            frames,
            clock=self.clock,
            wait=self.wait,
            **options,
        )

    def wait(self, descriptor, moment):
        assert descriptor is None
        self.clock.time = max(self.clock.time, moment)


def test_a_clip_is_recorded_frame_by_frame_with_its_measured_frame_time(tmp_path):
    bench = Bench(tmp_path)
    recording = bench.record(50)
    assert (recording.frames, recording.dropped, recording.events) == (50, 0, ())
    bench.file.finish(50, frame_time=recording.frame_time)
    read = pydicom.dcmread(bench.file.path)
    assert float(read.FrameTime) == pytest.approx(1001 / 30, abs=1e-6)
    numbers = [read_frame_number(read.PixelData[n * 5120 :], "GREY", 160, 160) for n in range(50)]
    assert numbers == list(range(50))


def test_dropped_frames_between_the_first_and_the_last_are_counted(tmp_path):
    bench = Bench(tmp_path, buffers=2)
    bench.clock.pass_by(1)
    recording = bench.record(3)
    assert recording.dropped >= 26
    assert recording.last_timestamp - recording.first_timestamp > 0.9


@pytest.mark.parametrize(
    ("incident", "event"),
    [(Incident.SIGNAL_LOST, SignalLost), (Incident.DEVICE_GONE, DeviceRemoved)],
)
def test_a_clip_that_is_cut_short_keeps_what_there_is(tmp_path, incident, event):
    bench = Bench(tmp_path, script=[Scripted(0.5, incident)])
    recording = bench.record(100)
    assert recording.frames == 15
    assert [type(each) for each in recording.events] == [event]
    bench.file.finish(15)


def test_a_device_without_frames_is_said_in_time(tmp_path):
    bench = Bench(tmp_path, script=[Scripted(0.0, Incident.SIGNAL_LOST)])
    start = bench.clock.now()
    with pytest.raises(DeviceError, match="No frame came"):
        bench.record(1, patience=3.0)
    assert bench.clock.now() - start == pytest.approx(3.0)


def test_a_device_that_is_gone_is_said(tmp_path):
    bench = Bench(tmp_path, script=[Scripted(0.0, Incident.DEVICE_GONE)])
    with pytest.raises(DeviceError, match="pulled"):
        bench.record(1)


def test_a_broken_disk_is_said_and_the_device_gets_its_buffer_back(tmp_path):
    bench = Bench(tmp_path, buffers=1)
    os.close(bench.file.descriptor)
    with pytest.raises(StorageError):
        bench.record(1)
    bench.clock.pass_by(1)
    assert bench.device.dequeue() is not None


def test_an_object_of_one_frame_takes_no_clip(tmp_path):
    bench = Bench(tmp_path, ULTRASOUND_IMAGE)
    with pytest.raises(LocalError):
        bench.record(2)
    assert bench.record(1).frame_time is None
    bench.file.finish(1)


def test_the_real_clock_can_be_waited_for(tmp_path):
    device = SimulatedCapture()
    device.open()
    device.configure(CaptureFormat("GREY", 160, 32, FrameRate(500)))
    device.start()
    packed = packing("GREY", 160, 32, ULTRASOUND_MULTI_FRAME_IMAGE)
    file = ObjectFile(tmp_path, ULTRASOUND_MULTI_FRAME_IMAGE, packed.pixels)
    assert record(device, packed, file.writer, 20).frames == 20
    file.finish(20)
    device.close()
