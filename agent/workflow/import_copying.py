"""The objects of one import, from the medium into the archive."""

from __future__ import annotations

from collections.abc import Callable

from agent.archive.archive import Archive
from agent.archive.decision import Origin, Verdict
from agent.archive.procedure_steps import pack
from agent.archive.reception import Reception
from agent.configuration.configuration import Configuration
from agent.dataset.date_time import date_time
from agent.errors import LocalError, StatusReaction
from agent.loop import shielded
from agent.loop.workers import Service, Template
from agent.media.found import Damage
from agent.quoting import quoted
from agent.services.offer import implementation_of
from agent.workflow.import_identity import import_identity
from agent.workflow.import_record import ImportRecord
from agent.workflow.import_settings import (
    ImportSettings,
    NotTaken,
    TakenObject,
    media_keys_of,
)
from agent.workflow.import_worker import serve_import
from agent.workflow.signature_rule import rule_of_archive
from agent.workflow.signatures_anew import signatures_anew

_KEPT_EVERY = 50
"""Objects after which the count is kept."""


class Copying:
    """One walk through a medium; the record counts what comes."""

    def __init__(
        self,
        archive: Archive,
        record: ImportRecord,
        configuration: Configuration,
        wake: Callable[[str], None],
    ) -> None:
        """`wake` is called with "" when there are objects to be delivered."""
        self._archive = archive
        self._record = record
        self._configuration = configuration
        self._wake = wake
        self._rule = rule_of_archive(archive.name, configuration)

    async def run(self, template: Template, is_stopped: Callable[[], bool]) -> None:
        """Until all that can be read is in the archive, or it is given up.

        Raises GantryError where it has to wait: the medium is gone, the archive has no room.
        """
        record, archive = self._record, self._archive
        record.start_again()
        service = await Service.start(template, serve_import, self._settings(), name="import")
        try:
            while not is_stopped():
                taken = await self._take(service)
                if taken is None:
                    _check_whole(record)
                    record.is_copied, record.waits = True, ""
                    await archive.save_examination(record.row())
                    break
        finally:
            with shielded():
                # It may hang on a dead medium; what it was doing has no name yet.
                service.kill()
                await service.closed()

    async def _take(self, service: Service) -> TakenObject | NotTaken | Damage | None:
        record, archive = self._record, self._archive
        reception = archive.receive(b"")
        try:
            taken: TakenObject | NotTaken | Damage | None = await service.call(
                "take", descriptors=(reception.descriptor,)
            )
            record.seen += isinstance(taken, TakenObject | NotTaken)
            if isinstance(taken, NotTaken | Damage):
                record.failed_with(taken.file, taken.reason)
            elif taken is not None:
                verdict = await self._kept(reception, taken)
                if verdict.is_stored:
                    record.objects += 1
                    if verdict.jobs:
                        self._wake("")
                else:
                    self._not_stored(verdict.status, f"{quoted(verdict.comment)}")
                    record.failed_with(taken.file, verdict.comment)
        finally:
            reception.discard()
        if record.objects and record.objects % _KEPT_EVERY == 0:
            await archive.save_examination(record.row())
        return taken

    async def _kept(self, reception: Reception, taken: TakenObject) -> Verdict:
        origin = Origin(
            source="import",
            sop_class_uid=taken.taken.sop_class_uid,
            sop_instance_uid=taken.taken.sop_instance_uid,
        )
        if self._rule is not None:
            refused = self._rule.judge(taken.signatures, origin)
            if refused is not None:
                return refused
        await self._keep_series(taken)
        return await self._archive.commit(reception, origin)

    def _not_stored(self, status: int, comment: str) -> None:
        """Raises where it is for want of room, which may come."""
        statuses = self._archive.settings.statuses
        if status in (statuses.disk_full, statuses.storage_failure, statuses.volume_away):
            raise LocalError(
                comment or "the archive takes no objects now",
                reaction=StatusReaction(status, comment),
            )

    async def _keep_series(self, taken: TakenObject) -> None:
        keys = taken.keys
        if self._record.add_series(
            keys.get("SeriesInstanceUID", ""),
            keys.get("SeriesNumber", ""),
            keys.get("SeriesDescription", ""),
            keys.get("Modality", ""),
        ):
            await self._archive.save_examination(self._record.row())

    def _settings(self) -> ImportSettings:
        record = self._record
        identity = pack(import_identity(record.examination)) if record.is_reconciled else b""
        return ImportSettings(
            record.root,
            record.examination.study_instance_uid,
            identity,
            date_time(record.examination.begun),
            self._archive.settings.modifying_system,
            *implementation_of(self._configuration)[:2],
            media_keys_of(self._configuration),
            self._rule,
            signatures_anew(self._configuration),
        )


def _check_whole(record: ImportRecord) -> None:
    """Raises LocalError where the end came too soon: where a medium was, another may be now, or an
    empty folder."""
    if record.seen < record.expected:
        raise LocalError(
            f"{quoted(record.root)} has {record.seen} of {record.expected} objects of the study",
            value=record.seen,
            limit=record.expected,
            way_out="Put the medium back: the import goes on.",
        )
