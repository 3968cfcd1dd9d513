"""Acquisition: a capture device of the configuration makes objects, and the archive keeps them.

An object that cannot be kept now (the disk is full) is not lost silently: the one who asked for it
is told, and the device stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from agent import observation
from agent.archive.archive import Archive
from agent.archive.decision import Origin
from agent.archive.reception import Reception
from agent.configuration.configuration import Configuration
from agent.configuration.intake import Capture
from agent.dataset.uid import new_uid
from agent.errors import StorageError
from agent.loop import Limit, TaskGroup, shielded
from agent.loop.workers import Service, Template
from agent.objects.description import (
    ExaminationIdentity,
    Moment,
    PatientIdentity,
    SeriesIdentity,
    StudyIdentity,
)
from agent.quoting import quoted
from agent.services.offer import implementation_of
from agent.workflow.acquisition_worker import serve_capture
from agent.workflow.capture_settings import (
    FORM,
    CaptureSettings,
    CaptureSigning,
    Exposed,
    Exposure,
)
from agent.workflow.instance_status import original
from agent.workflow.keeping import Keeping
from agent.workflow.wanted_captures import WantedCaptures

_BEING_KEPT = 8
"""Objects of a burst that may wait to be safe while the next are taken."""

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
        signing=_signing(configuration) if table.sign else None,
    )


def _signing(configuration: Configuration) -> CaptureSigning:
    table = configuration.signatures
    return CaptureSigning(
        table.signing_key, table.signing_passphrase, table.signing_certificate, table.mac
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
        self._configuration = configuration
        self._uid_root = configuration.node.uid_root or None
        self._archive = archive
        self._template = template
        self._stored = stored
        self._device = Limit(1)
        self.keeping = Keeping(table, archive, self._start, self._device)

    @staticmethod
    def examination(told: Mapping[str, Any]) -> Examination:
        """What `told` says of it, by the names of the fields; other names are passed over."""
        names = [each.name for each in fields(Examination)]
        return Examination(**{name: str(told[name]) for name in names if told.get(name)})

    async def acquire(self, examination: Examination, wanted: WantedCaptures) -> list[Exposed]:
        """Capture a series.

        Every object is in the archive when this returns. Raises DeviceError, LocalError for what
        the objects cannot hold, StorageError when one was not kept; those before it are kept.
        """
        return await self.acquire_as(self._identity(examination), wanted)

    async def acquire_as(
        self,
        identity: ExaminationIdentity,
        wanted: WantedCaptures,
        *,
        first: int = 1,
        number: int = 0,
    ) -> list[Exposed]:
        """As `acquire`, for what is known of patient, study and series; numbered from `first`. What
        was before is that of examination `number`."""
        await self._device.acquire()
        try:
            if wanted.last:
                self.keeping.check(number)
            status = original(self._configuration, time.time())
            identity = replace(identity, additional={**identity.additional, **status})
            exposures = wanted.exposures(identity, first, lambda: new_uid(self._uid_root))
            kept = self.keeping.service
            if kept is not None:
                return await self._expose_all(kept, exposures)
            service = await self._start()
            try:
                return await self._expose_all(service, exposures, wanted.objects)
            finally:
                service.close()
                with shielded():
                    await service.closed()
        finally:
            self._device.release()

    async def _start(self) -> Service:
        name = f"capture {self.table.name}"
        return await Service.start(self._template, serve_capture, self._settings, name=name)

    async def _expose_all(
        self, service: Service, exposures: Iterable[Exposure], last: int = 0
    ) -> list[Exposed]:
        """One after the other; in a burst the next is taken while those before it are kept.

        After `last` of them the worker ends: the device is free, and the memory, while the object
        is made safe.
        """
        made: list[Exposed] = []
        room = Limit(_BEING_KEPT)
        waiting: set[Reception] = set()
        try:
            async with TaskGroup() as group:
                for exposure in exposures:
                    await room.acquire()
                    reception, exposed = await self._expose(service, exposure)
                    waiting.add(reception)
                    made.append(exposed)
                    if len(made) == last:
                        service.close()
                        await service.closed()
                    keep = self._keep(reception, exposed, room, waiting)
                    if exposure.after is None:
                        await keep
                    else:
                        group.start(keep, "keep")
        finally:
            for each in waiting:
                each.discard()
        return made

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

    async def _expose(self, service: Service, exposure: Exposure) -> tuple[Reception, Exposed]:
        # The worker writes the whole file, its file meta information too; what is signed is written
        # plain before.
        reception = self._archive.receive(b"")
        plain: Reception | None = None
        descriptors: tuple[int, ...] = (reception.descriptor,)
        try:
            if self._settings.signing is not None:
                plain = self._archive.receive(b"")
                descriptors = (plain.descriptor, reception.descriptor)
            exposed: Exposed = await service.call("expose", exposure, descriptors=descriptors)
        except BaseException:
            reception.discard()
            raise
        finally:
            if plain is not None:
                plain.discard()
        return reception, exposed

    async def _keep(
        self, reception: Reception, exposed: Exposed, room: Limit, waiting: set[Reception]
    ) -> None:
        try:
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
            waiting.discard(reception)
            room.release()
        if not verdict.is_stored:
            raise StorageError(
                f"the captured object was not kept: {quoted(verdict.comment)}", value=verdict.status
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
