"""A short ultrasound-like series from the simulated capture device, for the demo."""

from __future__ import annotations

import os
import time
from pathlib import Path

from agent.dataset.uid import new_uid
from agent.objects.description import (
    ExaminationIdentity,
    Moment,
    PatientIdentity,
    SeriesIdentity,
    StudyIdentity,
)
from agent.services.storage import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from agent.workflow.camera import Camera
from agent.workflow.capture_settings import CaptureSettings, Exposure

_SETTINGS = CaptureSettings(
    "simulator",
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    form={"width": 320, "height": 240},
    modality="US",
    station_name="Simulator",
)


def make_series(folder: Path, *, stills: int = 5, frames: int = 8) -> list[Path]:
    """Capture `stills` single images and one clip of `frames` frames; the files, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    now = Moment.at(time.time())
    identity = ExaminationIdentity(
        PatientIdentity(name="Demo^Patient", identifier="DEMO-1", birth_date="19700101", sex="O"),
        StudyIdentity(
            new_uid(), date=now.date, time=now.time, identifier="1", description="Demonstration"
        ),
        SeriesIdentity(new_uid(), number=1, modality="US"),
    )
    camera = Camera(_SETTINGS)
    try:
        made = []
        for number in range(1, stills + 2):
            path = folder / f"{number:03}.dcm"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                clip = frames if number == stills + 1 else 0
                camera.expose(Exposure(identity, new_uid(), number, clip), descriptor)
            finally:
                os.close(descriptor)
            made.append(path)
        return made
    finally:
        camera.close()
