"""A minute of video, 1280 x 720 at 25 frames a second, in memory that does not grow with it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, os, resource, sys
from pathlib import Path

from agent.objects.packing import packing
from agent.objects.recording import record
from agent.objects.ultrasound import ULTRASOUND_MULTI_FRAME_IMAGE
from hal.capture.base import CaptureFormat, FrameRate
from hal.capture.patterns import read_frame_number
from hal.capture.simulator import SimulatedCapture
from tests.hal.clocks import StoppedClock
from tests.objects.examples import ObjectFile

folder, pixel_format, frames = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
clock = StoppedClock()
device = SimulatedCapture(clock=clock)
device.open()
given = device.configure(CaptureFormat(pixel_format, 1280, 720, FrameRate(25)))
device.start()
packed = packing(pixel_format, 1280, 720, ULTRASOUND_MULTI_FRAME_IMAGE)
file = ObjectFile(folder, ULTRASOUND_MULTI_FRAME_IMAGE, packed.pixels)


def wait(descriptor, moment):
    clock.time = max(clock.time, moment)


# What numpy and the simulator's pictures take is idle; the first frames have it all.
record(device, packed, file.writer, 8, clock=clock, wait=wait)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
recording = record(device, packed, file.writer, frames - 8, clock=clock, wait=wait)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
finished = file.finish(frames, frame_time=recording.frame_time)
length = packed.pixels.frame_length
numbers = []
with file.path.open("rb") as reader:
    for number in range(frames):
        reader.seek(finished.length - (frames - number) * length)
        head = reader.read(40 * 1280 * 3)
        numbers.append(read_frame_number(head, pixel_format, 1280, length // 720))
print(json.dumps([after - before, recording.dropped, numbers == list(range(frames))]))
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("pixel_format", ["GREY", "RGB24"])
def test_a_minute_of_video_takes_less_than_32_mebibytes_and_loses_no_frame(
    tmp_path, count, pixel_format
):
    frames = count(100, 1500)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), pixel_format, str(frames)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert ended.returncode == 0, ended.stderr
    grown, dropped, complete = json.loads(ended.stdout)
    assert grown <= 32 * 1024 and dropped == 0 and complete
    print(f"{pixel_format}: {frames} frames, resident memory grown by {grown} KiB")
    for made in tmp_path.iterdir():
        made.unlink()
