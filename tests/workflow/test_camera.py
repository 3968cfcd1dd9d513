"""A capture device that keeps what it shows, in the worker: what devices and disks do meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from agent.dataset.uid import new_uid
from agent.errors import DeviceError, LocalError, StorageError
from agent.workflow.camera import Camera
from agent.workflow.capture_settings import CaptureSettings, Exposed, Exposure
from hal.capture.simulator import Incident, Scripted, SimulatedCapture
from tests.objects.examples import examination

WIDTH, HEIGHT, RATE = 96, 32, 100
LENGTH = WIDTH * HEIGHT


class Bench:
    def __init__(self, folder: Path, **driver: Any) -> None:
        self.folder = folder
        self.camera = Camera(
            CaptureSettings(
                "simulator",
                "1.2.3",
                "TEST",
                driver=driver,
                form={"width": WIDTH, "height": HEIGHT, "rate": RATE},
                modality="US",
            )
        )

    def keep(self, seconds: float = 5.0, most: int = 10_000_000) -> Any:
        descriptor = os.open(self.folder, os.O_RDWR | os.O_TMPFILE)
        try:
            return self.camera.keep(descriptor, seconds, most)
        finally:
            os.close(descriptor)

    def attend(self, seconds: float) -> None:
        """What the worker does between calls."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            time.sleep(min(0.01, self.camera.due_in() or 0.0))
            self.camera.attend()

    def expose(self, **how: Any) -> tuple[Exposed, Any]:
        path = self.folder / new_uid()
        with path.open("wb") as file:
            made = self.camera.expose(Exposure(examination(), "1.2.3.4", 1, **how), file.fileno())
        return made, dcmread(path)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def new(**driver: Any) -> Bench:
        made.append(Bench(tmp_path, **driver))
        return made[-1]

    yield new
    for each in made:
        each.camera.close()


def test_what_was_before_is_kept_and_forgotten(bench: Callable[..., Bench]) -> None:
    one = bench()
    with pytest.raises(LocalError, match="Nothing is kept"):
        one.expose(last=1.0)
    kept = one.keep(0.5)
    assert kept.seconds == pytest.approx(0.5) and kept.size == 51 * LENGTH
    one.attend(0.8)
    made, clip = one.expose(last=10.0)
    assert 45 <= made.frames <= 52 and int(clip.NumberOfFrames) == made.frames
    one.camera.forget()
    with pytest.raises(LocalError, match="Nothing is kept"):
        one.expose(last=1.0)


def test_a_disk_with_little_room_keeps_less_and_one_without_is_said(
    bench: Callable[..., Bench],
) -> None:
    one = bench()
    with pytest.raises(StorageError, match="no room"):
        one.keep(5.0, LENGTH)
    assert not one.camera.keeps
    kept = one.keep(5.0, 20 * LENGTH + 7)
    assert kept.seconds == pytest.approx(0.2, abs=0.001) and kept.size == 20 * LENGTH + 7
    one.attend(0.5)
    assert 15 <= one.expose(last=5.0)[0].frames <= 21


def test_a_clip_begins_after_the_last_interruption(bench: Callable[..., Bench]) -> None:
    one = bench(
        script=[Scripted(0.3, Incident.SIGNAL_LOST), Scripted(1.6, Incident.SIGNAL_RETURNS)]
    )
    one.keep(5.0)
    one.attend(1.0)
    made, _ = one.expose(last=5.0)
    assert 25 <= made.frames <= 31, "the signal is away, what was before is there"
    with pytest.raises(DeviceError, match=r"last 0\.2 seconds"):
        one.expose(last=0.2)
    one.attend(1.0)
    made, clip = one.expose(last=5.0)
    assert made.frames >= 25
    # Were it of before, too, a frame would take 1.3 seconds of the clip.
    assert float(clip.FrameTime) == pytest.approx(10, abs=3)


def test_a_device_that_is_pulled_is_tried_again_and_what_was_before_stays(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    devices: list[SimulatedCapture] = []
    present = True

    def opened(kind: str, **options: Any) -> SimulatedCapture:
        devices.append(SimulatedCapture())
        if not present:
            devices[-1].unplug()
        return devices[-1]

    monkeypatch.setattr("agent.workflow.camera.open_driver", opened)
    one = bench()
    one.keep(10.0)
    one.attend(0.3)
    present = False
    devices[-1].unplug()
    one.attend(0.3)
    assert one.expose(last=10.0)[0].frames >= 20
    with pytest.raises(DeviceError):
        one.expose()
    before = len(devices)
    one.attend(0.5)
    assert len(devices) - before <= 1, "not more often than once a second"
    present = True
    one.attend(1.3)
    made, _ = one.expose(last=0.15)
    assert 5 <= made.frames <= 16
    assert one.expose()[0].frames == 1


def test_a_device_that_is_not_there_yet_is_no_error(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = SimulatedCapture()
    device.unplug()
    monkeypatch.setattr("agent.workflow.camera.open_driver", lambda kind, **_: device)
    one = bench()
    assert "cannot be used" in one.keep().trouble
    with pytest.raises(DeviceError, match="cannot be used"):
        one.expose(last=1.0)
    device.plug_in()
    one.attend(1.3)
    assert one.expose(last=5.0)[0].frames >= 10


def test_a_long_clip_of_what_was_before_loses_nothing_while_more_comes(
    bench: Callable[..., Bench],
) -> None:
    one = bench(buffers=16)
    one.keep(0.6, 60 * LENGTH)
    one.attend(0.9)
    first, _ = one.expose(last=9.0)
    second, _ = one.expose(last=9.0)
    assert first.frames >= 50 and first.dropped == 0
    assert second.frames >= 50


def test_a_disk_that_fails_ends_the_keeping_and_not_the_capture(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bench()
    one.keep(5.0)
    one.attend(0.2)

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("agent.objects.frame_ring.os.pwrite", broken)
        one.attend(0.1)
    with pytest.raises(StorageError, match="cannot be kept"):
        one.expose(last=1.0)
    assert one.expose(frames=3)[0].frames == 3
    assert one.expose()[0].frames == 1
