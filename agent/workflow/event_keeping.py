"""What is done with events that peers report to an entity (PS3.4 P).

Events of a procedure go into the Procedure Log of their study, an object like any that was
received: indexed, and delivered by the rules. Administrations go into the archive's journal.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from agent import __version__, observation
from agent.archive.archive import Archive
from agent.archive.decision import Origin
from agent.archive.layout import object_path
from agent.archive.procedure_steps import pack
from agent.archive.records import Instance
from agent.configuration.entity import Entity
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.dataset.file_meta import encode_file_meta
from agent.dataset.json_model import to_json
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from agent.dataset.uid import new_uid
from agent.errors import StatusReaction, StorageError
from agent.loop import Limit
from agent.loop.workers import WorkerPool
from agent.network.status import PROCESSING_FAILURE, RESOURCE_LIMITATION, SUCCESS, may_pass
from agent.services.event_logging import Outcome
from agent.services.event_logging_table import (
    PATIENT_NOT_IDENTIFIED,
    TEMPLATE_MISMATCH,
    UPDATE_FAILED,
)
from agent.services.keeping import Keeper
from agent.services.procedural_event import KnownStudy, Match, match, with_synchronization
from agent.workflow.current_studies import CurrentStudies
from agent.workflow.log_series import log_series_of
from agent.workflow.procedure_log_worker import (
    LogContent,
    LogTask,
    LogWritten,
    StoredLog,
    look_at_event,
    write_log,
)

PROCEDURE_LOG = "1.2.840.10008.5.1.4.1.1.88.40"

_LARGEST_LOG = 2 << 20
"""Bytes above which a log is not continued: the next event begins another of the same series."""

_MOST_REFERENCES = 1000


class EventKeeping:
    """Keeps events in an archive; an `EventLogs` of `agent.services.event_logging`.

    `turn` is one for each archive: a log is continued by one event at a time, or entries were lost.
    """

    def __init__(
        self,
        entity: Entity,
        archive: Archive,
        keeper: Keeper,
        pool: WorkerPool,
        implementation: tuple[str, str],
        turn: Limit,
    ) -> None:
        self._entity = entity
        self._archive = archive
        self._keeper = keeper
        self._pool = pool
        self._implementation = implementation
        self._turn = turn
        self._studies = CurrentStudies(entity, archive, pool)

    @property
    def operators(self) -> tuple[str, ...]:
        return self._entity.events.operators

    async def log_event(self, event: Attributes, calling_title: str) -> Outcome:
        packed = pack(with_character_set(event))
        content: LogContent = await self._pool.call(look_at_event, packed)
        if content.fault:
            return Outcome(TEMPLATE_MISMATCH, content.fault)
        found = with_synchronization(await self._match(event), event)
        if found.study is None:
            return Outcome(found.status, found.comment)
        await self._turn.acquire()
        try:
            refused = await self._write(packed, found.study, content.references, calling_title)
        except StorageError as error:
            observation.error("event not logged", calling=calling_title, error=error)
            reaction = error.reaction
            refused = _failure(reaction.status if isinstance(reaction, StatusReaction) else 0)
        finally:
            self._turn.release()
        if refused is not None:
            return refused
        study = found.study
        return Outcome(found.status, found.comment, study.study_instance_uid, study.patient_id)

    async def _match(self, event: Attributes) -> Match:
        uid, patient = event.text("StudyInstanceUID"), event.text("PatientID")
        unknown = self._entity.events.unknown_studies
        named = await self._studies.named(uid) if uid else None
        asks = patient and named is None and not (uid and unknown)
        current = await self._studies.of_patient(patient) if asks else []
        return match(event, named, current, unknown_studies=unknown)

    async def _write(
        self,
        packed: bytes,
        study: KnownStudy,
        references: Sequence[tuple[str, str]],
        calling_title: str,
    ) -> Outcome | None:
        """Make the log that has this event, and store it; None when it is safe."""
        study_uid = study.study_instance_uid
        series_uid = log_series_of(self._archive, study_uid)
        uid = new_uid()
        task = LogTask(
            packed,
            study,
            uid,
            series_uid,
            await self._last_log(study_uid, series_uid),
            await self._evidence(references),
            self._entity.title,
            __version__,
            time.time(),
        )
        class_uid, version_name = self._implementation
        reception = self._keeper.receive(
            encode_file_meta(
                sop_class_uid=PROCEDURE_LOG,
                sop_instance_uid=uid,
                transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
                implementation_class_uid=class_uid,
                implementation_version_name=version_name,
                source_ae_title=self._entity.title,
                receiving_ae_title=self._entity.title,
            )
        )
        try:
            written: LogWritten = await self._pool.call(
                write_log, task, descriptors=(reception.descriptor,)
            )
            if written.fault:
                return Outcome(TEMPLATE_MISMATCH, written.fault)
            if not written.is_new:
                return None
            verdict = await self._keeper.commit(
                reception,
                Origin(
                    "local",
                    calling_title,
                    self._entity.title,
                    entity=self._entity.name,
                    sop_class_uid=PROCEDURE_LOG,
                    sop_instance_uid=uid,
                ),
            )
        finally:
            reception.discard()
        if verdict.status != SUCCESS and verdict.status & 0xF000 != 0xB000:
            return _failure(verdict.status, verdict.comment)
        observation.info("event logged", calling=calling_title, log=uid)
        return None

    async def _last_log(self, study_uid: str, series_uid: str) -> StoredLog | None:
        studies = (await self._archive.studies(study_instance_uid=study_uid)).items
        if not studies:
            return None
        last: Instance | None = None
        after: int | None = 0
        for series in (await self._archive.series(studies[0].id)).items:
            while series.series_instance_uid == series_uid and after is not None:
                page = await self._archive.instances(series=series.id, after=after)
                last, after = (page.items or (last,))[-1], page.next
        if last is None or last.size > _LARGEST_LOG:
            return None
        number = int(last.instance_number) if last.instance_number.isdigit() else 0
        return StoredLog(
            str(object_path(self._archive.folder, last.id)),
            last.data_set_offset,
            last.transfer_syntax_uid,
            last.sop_instance_uid,
            number,
        )

    async def _evidence(
        self, references: Sequence[tuple[str, str]]
    ) -> tuple[tuple[str, str, str, str], ...]:
        """Where the objects are that the event names, of those that are here (C.17.2)."""
        found = []
        for sop_class_uid, uid in references[:_MOST_REFERENCES]:
            here = (await self._archive.instances(sop_instance_uid=uid)).items[-1:]
            found += [
                (sop_class_uid, uid, each.series_instance_uid, each.study_instance_uid)
                for each in here
                if each.series_instance_uid
            ]
        return tuple(found)

    async def log_administration(self, administration: Attributes, calling_title: str) -> Outcome:
        if not self._entity.events.unknown_patients and not await self._studies.knows_patient(
            administration.text("PatientID"), administration.text("AdmissionID")
        ):
            return Outcome(PATIENT_NOT_IDENTIFIED, "Neither archive nor worklist knows the patient")
        try:
            refusal = self._archive.refusal()
            if refusal is not None:
                return Outcome(UPDATE_FAILED, refusal.comment)
            new = await self._archive.add_administration(
                {
                    "received": time.time(),
                    "calling": calling_title,
                    "entity": self._entity.name,
                    "administration": to_json(administration),
                }
            )
        except StorageError as error:
            observation.error("administration not recorded", calling=calling_title, error=error)
            return Outcome(UPDATE_FAILED, "The record cannot be written")
        observation.info("administration recorded", calling=calling_title, new=new)
        return Outcome(SUCCESS)


def _failure(status: int, comment: str = "") -> Outcome:
    """A status of storage as one of N-ACTION: resources that lack may be there later."""
    code = RESOURCE_LIMITATION if may_pass(status) else PROCESSING_FAILURE
    return Outcome(code, comment or "The log cannot be stored")
