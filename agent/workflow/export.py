"""Export of studies to media: folders and sticks, images of discs, discs that are burnt; ZIP files
and mails.

What is exported is chosen and measured first; nothing is written where it does not fit. Exports are
carried out one after the other. Where one has got to is kept in the archive: after a restart, and
when a medium that was pulled is back, it goes on with the first volume that is not whole.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from agent import observation
from agent.archive.archive import Archive
from agent.archive.examinations import EXPORT, ExaminationRow
from agent.configuration.deidentification import Deidentify
from agent.errors import GantryError, LocalError
from agent.loop import shielded
from agent.loop.workers import Service, WorkerDied
from agent.quoting import quoted
from agent.services.offer import implementation_of
from agent.workflow.archive_opening import usable
from agent.workflow.export_mail_waits import MailWaits
from agent.workflow.export_record import (
    COMPLETED,
    DISCONTINUED,
    FAILED,
    IN_PROGRESS,
    ExportRecord,
)
from agent.workflow.export_settings import (
    MAIL,
    MEDIA,
    ExportFailed,
    Maker,
    Plan,
    Selection,
    Step,
    Tally,
    Target,
    VolumeSettings,
)
from agent.workflow.export_worker import (
    plan_export,
    remove_folder,
    remove_other_folders,
    serve_export,
)
from agent.workflow.media_desk import SCRATCH
from agent.workflow.undertakings import Undertakings, Work


class Exports(Undertakings[ExportRecord]):
    """All exports of a node, one after the other."""

    kind, name = EXPORT, "export"
    first_wait, longest_wait = 2.0, 16.0

    _service: Service | None = None

    @cached_property
    def _mails(self) -> MailWaits:
        return MailWaits(lambda: self._configuration().mail.retry, self._clock)

    # What people ask for.

    async def begin(
        self,
        selection: Selection,
        target: Target,
        *,
        profile: str = "",
        pages: bool | None = None,
        archive: str = "",
        operator: str = "",
        deidentify: str = "",
    ) -> dict[str, Any]:
        """Begin an export; as people see it.

        Without a `profile` it is the usual one that takes most objects as they are; without a word
        about `pages` they are made where the configuration says so. With `deidentify`, a name in
        the configuration, nothing on the medium tells of patients. Raises
        LocalError where nothing is chosen, or the target cannot be; NoRoom, with how much is
        missing; ExportFailed where there is no such name. Nothing is written then.
        """
        place = self._archive(archive)
        self._rule(deidentify)
        if pages is None:
            wanted = self._configuration().media_pages.enabled and not target.update
            pages = wanted and target.kind in MEDIA
        target = target._replace(pages=pages)
        mail = self._configuration().mail
        if target.kind == MAIL:
            target = target._replace(volume_size=target.volume_size or mail.largest)
        else:
            target = target._replace(path=str(Path(target.path)))
        state = self._configuration().node.state
        await self._beginning.acquire()
        try:
            for other in await self._going(place):
                places = {each.place for each in other.plan.volumes}
                if target.kind != MAIL and target.path in places | {other.target.path}:
                    raise LocalError(f"an export to {quoted(target.path)} goes on", value=other.id)
            plan: Plan = await self._pool.call(
                plan_export, str(place.folder), selection, target, profile, state, mail
            )
            record = ExportRecord(
                0, IN_PROGRESS, self._clock(), target, plan, operator, deidentify=deidentify
            )
            # Who asks may be gone: what is kept is carried out all the same.
            with shielded():
                begun = ExportRecord.of(await place.save_examination(record.row()))
            self._last_failed.clear()
        finally:
            self._beginning.release()
            self._changed.set()
        for uid, count in zip(plan.studies, plan.counts, strict=True):
            await place.note(
                "export",
                "study",
                uid,
                operator or "export",
                count,
                {
                    "export": begun.id,
                    "target": target.path,
                    "profile": plan.profile,
                    **({"deidentify": deidentify} if deidentify else {}),
                },
            )
        observation.notice(
            "export begun", export=begun.id, target=target.path, profile=plan.profile
        )
        return begun.summary()

    async def stop(self, number: int) -> None:
        """Give up an export: volumes that are whole stay, the one under way is taken back.

        Raises LocalError where it is not in progress.
        """
        await self._stop(number)
        if number in self._under_way and self._service is not None:
            self._service.kill()

    # What goes on.

    async def run(self) -> None:
        await self._sweep()
        await super().run()

    async def _sweep(self) -> None:
        """What a former life left of exports that are over goes: it has patients' data."""
        if len(usable(self._archives)) < len(self._archives):
            return
        going = [
            self._scratch(archive, record).name
            for archive in self._archives.values()
            for record in await self._going(archive)
        ]
        folder = Path(self._configuration().node.state, SCRATCH)
        await self._pool.call(remove_other_folders, str(folder), going)

    def _record_of(self, row: ExaminationRow) -> ExportRecord:
        return ExportRecord.of(row)

    def _work_of(self, record: ExportRecord) -> Work:
        return Work(
            record.target.path,
            record.written,
            sum(volume.objects for volume in record.plan.volumes),
            record.state == IN_PROGRESS,
            record.reason,
            record.stage,
            record.now,
        )

    def _is_early(self, record: ExportRecord) -> bool:
        return self._mails.is_early(record)

    def _until_next(self, wait: float | None) -> float | None:
        return self._mails.until_next(wait)

    async def _go_on(self, archive: Archive, record: ExportRecord) -> bool:
        try:
            while not record.is_written and record.id not in self._stopped:
                record.tallies.append(await self._write(archive, record))
                record.waits, record.stage, record.now = "", "", 0
                await archive.save_examination(record.row())
        except ExportFailed as error:
            record.reason = str(error)
        except (GantryError, WorkerDied) as error:
            if record.id not in self._stopped and not self._mails.is_over(record, error):
                return await self._wait(archive, record, error)
        stopped = record.id in self._stopped
        self._stopped.pop(record.id, None)
        self._mails.forget(record)
        if not record.is_written:
            await self._take_back(archive, record)
        elif not record.written:
            record.reason = f"none of the objects can be in a file-set of {record.plan.profile}"
        if record.reason:
            record.state = FAILED
        else:
            record.state = DISCONTINUED if stopped and not record.is_written else COMPLETED
        record.waits = record.stage = ""
        # Before it is over for good: told twice is better than never.
        observation.occasion("exported", record=record)
        await archive.save_examination(record.row())
        self._ended(record, failed=record.state == FAILED)
        await self._pool.call(remove_folder, str(self._scratch(archive, record)))
        say = observation.warning if record.state == FAILED else observation.notice
        say(
            "export over",
            export=record.id,
            state=record.state,
            left_out=record.failed or None,
            why=record.reason or None,
        )
        return True

    async def _write(self, archive: Archive, record: ExportRecord) -> Tally:
        """The next volume. Raises what its worker raises."""
        service = await self._start(archive, record)
        try:
            record.now = 0
            while (step := await service.call("step")) is not None:
                assert isinstance(step, Step)
                record.now = record.now + 1 if step.stage == record.stage else 1
                record.stage, record.waits = step.stage, ""
            tally: Tally = await service.call("tally")
            return tally
        finally:
            await self._end(service)

    async def _take_back(self, archive: Archive, record: ExportRecord) -> None:
        """What is unfinished on the target goes, if the target is there."""
        service = await self._start(archive, record)
        try:
            await service.call("take_back")
        except (GantryError, WorkerDied, OSError) as error:
            observation.warning("export not taken back", export=record.id, why=error)
        finally:
            await self._end(service)

    async def _start(self, archive: Archive, record: ExportRecord) -> Service:
        service = await Service.start(
            self._template, serve_export, self._settings(archive, record), name="export"
        )
        self._service = service
        return service

    async def _end(self, service: Service) -> None:
        self._service = None
        with shielded():
            # It may hang on a dead medium; what it was doing is marked as unfinished.
            service.kill()
            await service.closed()

    def _settings(self, archive: Archive, record: ExportRecord) -> VolumeSettings:
        number = len(record.tallies) + 1
        count = len(record.plan.volumes)
        name = f"EXPORT_{record.id}" if count == 1 else f"EXPORT_{record.id}_{number}"
        return VolumeSettings(
            f"{record.id}-{record.begun}-{number}",
            number,
            name[:16],
            str(archive.folder),
            str(self._scratch(archive, record)),
            record.plan.profile,
            record.target,
            record.plan.mount,
            record.plan.volumes[number - 1],
            record.plan.last_instance,
            *implementation_of(self._configuration()),
            Maker.of(self._configuration()),
            self._configuration().mail,
            record.begun,
            self._rule(record.deidentify),
        )

    def _rule(self, name: str) -> Deidentify | None:
        """How objects are de-identified. Raises ExportFailed where the way is not there: they must
        not go out as they are."""
        found = self._configuration().deidentification(name)
        if name and found is None:
            raise ExportFailed(
                f"the configuration has no [[deidentify]] {name!r}",
                value=name,
                limit=", ".join(each.name for each in self._configuration().deidentifications),
            )
        return found

    def _scratch(self, archive: Archive, record: ExportRecord) -> Path:
        name = f"{archive.name}-{record.id}"
        return Path(self._configuration().node.state, SCRATCH, name)
