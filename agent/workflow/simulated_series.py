"""A short ultrasound-like series from the simulated capture device, for the demo."""

from __future__ import annotations

import os
import time
from pathlib import Path

from agent.dataset.file_meta import encode_file_meta
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from agent.dataset.uid import new_uid
from agent.objects.composite import begin
from agent.objects.description import (
    Cine,
    DeviceIdentity,
    ExaminationIdentity,
    InstanceDescription,
    Moment,
    PatientIdentity,
    SeriesIdentity,
    StudyIdentity,
)
from agent.objects.iods import ULTRASOUND_IMAGE, ULTRASOUND_MULTI_FRAME_IMAGE
from agent.objects.packing import packing
from agent.objects.recording import record
from agent.services.storage import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from hal.capture.base import CaptureFormat, FrameRate, open_driver

_WIDTH, _HEIGHT = 320, 240
_RATE = 25


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
    device = open_driver("simulator")
    device.open()
    try:
        device.configure(CaptureFormat("GREY", _WIDTH, _HEIGHT, FrameRate(_RATE)))
        device.start()
        made = []
        for number in range(1, stills + 2):
            clip = number == stills + 1
            sop_class = ULTRASOUND_MULTI_FRAME_IMAGE if clip else ULTRASOUND_IMAGE
            uid = new_uid()
            path = folder / f"{number:03}.dcm"
            packed = packing("GREY", _WIDTH, _HEIGHT, sop_class)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                writer = begin(
                    descriptor,
                    sop_class,
                    identity,
                    packed.pixels,
                    DeviceIdentity(manufacturer="Gantry", model_name="Simulator"),
                    InstanceDescription(uid, number, Moment.at(time.time())),
                    cine=Cine.at_rate(_RATE) if clip else None,
                    file_meta=encode_file_meta(
                        sop_class_uid=sop_class,
                        sop_instance_uid=uid,
                        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
                        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
                        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
                    ),
                )
                recording = record(device, packed, writer, frames if clip else 1)
                writer.finish(recording.frames, frame_time=recording.frame_time if clip else None)
            finally:
                os.close(descriptor)
            made.append(path)
        return made
    finally:
        device.close()
