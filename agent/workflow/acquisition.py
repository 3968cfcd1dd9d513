"""Acquisition: a capture device of the configuration makes objects, and the archive keeps them.

An object that cannot be kept now (the disk is full) is not lost silently: the one who asked for it
is told, and the device stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from agent import observation
from agent.archive.archive import Archive
from agent.archive.decision import Origin
from agent.configuration.configuration import Configuration
from agent.configuration.intake import Capture
from agent.dataset.uid import new_uid
from agent.errors import LocalError, StorageError
from agent.loop import Limit, shielded
from agent.loop.workers import Service, Template
from agent.objects.description import (
    ExaminationIdentity,
    Moment,
    PatientIdentity,
    SeriesIdentity,
    StudyIdentity,
)
from agent.services.offer import implementation_of
from agent.workflow.acquisition_worker import (
    FORM,
    CaptureSettings,
    Exposed,
    Exposure,
    serve_capture,
)

CAPTURED = observation.metrics.counter("gantry_captured_total", "Objects captured", "device")


@dataclass(frozen=True, slots=True)
class Examination:
    """What is told of the patient and the study when a series is captured; "" is not known."""

    patient_name: str = ""
    patient_id: str = ""
    birth_date: str = ""
    sex: str = ""
    accession_number: str = ""
    study_instance_uid: str = ""
    study_description: str = ""
    series_description: str = ""


def settings_of(table: Capture, configuration: Configuration) -> CaptureSettings:
    """What the worker of a `[[capture]]` must know."""
    class_uid, version_name = implementation_of(configuration)
    driver = {name: value for name, value in table.settings.items() if name not in FORM}
    if table.device:
        driver["device"] = table.device
    return CaptureSettings(
        kind=table.kind,
        implementation_class_uid=class_uid,
        implementation_version_name=version_name,
        driver=driver,
        form={name: value for name, value in table.settings.items() if name in FORM},
        modality=table.modality,
        station_name=table.station_name or configuration.node.name[:16],
        sop_classes=tuple(table.sop_classes),
        timezone_offset=configuration.clock.timezone_offset,
        template=table.template,
        compression=tuple(table.compression.to),
        quality=table.compression.quality,
        near=table.compression.near,
    )


class Acquisition:
    """One capture device. Its worker lives while objects are being made."""

    def __init__(
        self,
        table: Capture,
        configuration: Configuration,
        archive: Archive,
        template: Template,
        stored: Callable[[], None],
    ) -> None:
        """`stored` is called when an object has made jobs."""
        self.table = table
        self._settings = settings_of(table, configuration)
        self._uid_root = configuration.node.uid_root or None
        self._archive = archive
        self._template = template
        self._stored = stored
        self._device = Limit(1)

    @staticmethod
    def examination(told: Mapping[str, Any]) -> Examination:
        """What `told` says of it, by the names of the fields; other names are passed over."""
        names = [each.name for each in fields(Examination)]
        return Examination(**{name: str(told[name]) for name in names if told.get(name)})

    async def acquire(
        self, examination: Examination, *, stills: int = 1, clips: int = 0, frames: int = 25
    ) -> list[Exposed]:
        """Capture a series of `stills` single images, then `clips` of `frames` frames each.

        Every object is in the archive when this returns. Raises DeviceError, LocalError for what
        the objects cannot hold, StorageError when one was not kept; those before it are kept.
        """
        identity = self._identity(examination)
        return await self.acquire_as(identity, stills=stills, clips=clips, frames=frames)

    async def acquire_as(
        self,
        identity: ExaminationIdentity,
        *,
        first: int = 1,
        stills: int = 1,
        clips: int = 0,
        frames: int = 25,
    ) -> list[Exposed]:
        """As `acquire`, for what is known of patient, study and series; numbered from `first`."""
        if stills < 0 or clips < 0 or stills + clips < 1 or (clips and frames < 1):
            raise LocalError("nothing is asked for", value=(stills, clips, frames))
        await self._device.acquire()
        try:
            service = await Service.start(
                self._template, serve_capture, self._settings, name=f"capture {self.table.name}"
            )
            try:
                return [
                    await self._expose(
                        service,
                        Exposure(
                            identity,
                            new_uid(self._uid_root),
                            first + index,
                            frames if index >= stills else 0,
                        ),
                    )
                    for index in range(stills + clips)
                ]
            finally:
                service.close()
                with shielded():
                    await service.closed()
        finally:
            self._device.release()

    def _identity(self, examination: Examination) -> ExaminationIdentity:
        moment = Moment.at(time.time())
        return ExaminationIdentity(
            PatientIdentity(
                name=examination.patient_name or None,
                identifier=examination.patient_id or None,
                birth_date=examination.birth_date or None,
                sex=examination.sex or None,
            ),
            StudyIdentity(
                examination.study_instance_uid or new_uid(self._uid_root),
                date=moment.date,
                time=moment.time,
                accession_number=examination.accession_number or None,
                description=examination.study_description or None,
            ),
            SeriesIdentity(
                new_uid(self._uid_root),
                number=1,
                modality=self.table.modality,
                description=examination.series_description or None,
            ),
        )

    async def _expose(self, service: Service, exposure: Exposure) -> Exposed:
        # The worker writes the whole file, its file meta information too.
        reception = self._archive.receive(b"")
        try:
            exposed: Exposed = await service.call(
                "expose", exposure, descriptors=(reception.descriptor,)
            )
            verdict = await self._archive.commit(
                reception,
                Origin(
                    source="capture",
                    entity=self.table.name,
                    sop_class_uid=exposed.sop_class_uid,
                    sop_instance_uid=exposed.sop_instance_uid,
                ),
            )
        finally:
            reception.discard()
        if not verdict.is_stored:
            raise StorageError(
                f"the captured object was not kept: {verdict.comment}", value=verdict.status
            )
        CAPTURED.of(self.table.name).add()
        observation.info(
            "captured",
            device=self.table.name,
            object=exposed.sop_instance_uid,
            frames=exposed.frames,
            dropped=exposed.dropped,
            events=", ".join(exposed.events) or None,
        )
        if verdict.jobs:
            self._stored()
        return exposed
