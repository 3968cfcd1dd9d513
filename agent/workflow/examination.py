"""Examinations: a durable state machine from the worklist entry to the reported step.

pick an entry (or an emergency patient) -> step in progress -> capture, review -> completed or
discontinued -> delivered, committed, kept or deleted as for every object. Each transition is one
transaction in the archive together with the messages that it causes, so whatever is cut, an
examination in progress is found again as it was, and nothing is reported twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent import observation
from agent.archive.archive import Archive
from agent.configuration.configuration import Configuration
from agent.configuration.intake import Capture
from agent.dataset.attributes import Attributes
from agent.dataset.uid import new_uid
from agent.errors import LocalError
from agent.loop import Limit
from agent.objects.usable_values import usable
from agent.quoting import quoted
from agent.workflow.acquisition import Acquisition
from agent.workflow.capture_settings import Exposed
from agent.workflow.examination_entry import pick_entries
from agent.workflow.examination_record import (
    COMPLETED,
    DISCONTINUED,
    IN_PROGRESS,
    ExaminationRecord,
    PerformedSeries,
)
from agent.workflow.examination_view import shown, stored_objects, summary
from agent.workflow.performed_step import (
    DISCONTINUATION_REASONS,
    description_of,
    identity_of,
    new_step,
)
from agent.workflow.reconciliation import reconcile
from agent.workflow.step_messages import messages_at_begin, messages_at_end
from agent.workflow.wanted_captures import WantedCaptures
from agent.workflow.worklist_watch import WorklistWatch


class Examinations:
    """All examinations of a node."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        archives: Mapping[str, Archive],
        acquisition: Callable[[str], Acquisition],
        worklist: WorklistWatch,
        wake: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._configuration = configuration
        self._archives = archives
        self._acquisition = acquisition
        self._worklist = worklist
        self._wake = wake
        self._clock = clock
        # One change at a time: two that start from the same record would lose one of them.
        self._changing = Limit(1)

    # Transitions.

    async def start(
        self,
        keys: Mapping[str, str],
        *,
        device: str = "",
        operator: str = "",
        emergency: bool = False,
    ) -> ExaminationRecord:
        """Begin, for the worklist entries that these keys pick; the step is IN PROGRESS then.

        Several entries of one patient are the group case. Without an entry, `emergency` begins an
        unscheduled step with what the keys say of the patient. Raises LocalError where nothing, or
        several patients, fit, and where the device has an examination in progress.
        """
        await self._changing.acquire()
        try:
            acquisition = self._acquisition(device)
            table = acquisition.table
            archive = self._archives[table.archive]
            going = await self._in_progress(archive, table.name)
            if going is not None:
                raise LocalError(
                    f"examination {going.id} is in progress on {table.name}",
                    value=going.id,
                    way_out="Finish it first: gantry exam finish.",
                )
            entries = [] if emergency else await pick_entries(self._worklist, keys)
            record = self._record(table, entries, keys, operator)
            return await self._begin(archive, table, record)
        finally:
            self._changing.release()

    async def append(self, number: int) -> ExaminationRecord:
        """Go on with an examination that is over: a new step for the same scheduled one, for a
        final step is never changed (F.7.2.2.2)."""
        await self._changing.acquire()
        try:
            archive, record = await self._found(number)
            if record.state == IN_PROGRESS:
                raise LocalError(f"examination {number} is in progress", value=number)
            table = self._acquisition(record.device).table
            going = await self._in_progress(archive, table.name)
            if going is not None:
                raise LocalError(
                    f"examination {going.id} is in progress on {table.name}", value=going.id
                )
            self._add_step(record, table)
            return await self._begin(archive, table, record)
        finally:
            self._changing.release()

    async def capture(self, wanted: WantedCaptures, *, device: str = "") -> list[Exposed]:
        """Objects for the examination in progress; every one is in the archive when this returns.

        Raises as `Acquisition.acquire_as`, and LocalError where nothing is in progress.
        """
        archive, record = await self._current(device)
        acquisition = self._acquisition(record.device)
        series = record.step.series[-1]
        made = await stored_objects(archive, record)
        first = 1 + sum(each.series_instance_uid == series.uid for each in made)
        return await acquisition.acquire_as(
            identity_of(record, series, acquisition.table), wanted, first=first, number=record.id
        )

    async def new_series(self, *, device: str = "", description: str = "") -> ExaminationRecord:
        """What is captured from now on belongs to a series of its own."""
        await self._changing.acquire()
        try:
            archive, record = await self._current(device)
            table = self._acquisition(record.device).table
            self._add_series(record, table, description)
            await archive.save_examination(record.row())
            return record
        finally:
            self._changing.release()

    async def review(self, uid: str, *, accept: bool, device: str = "") -> None:
        """Accept an object, which goes out then, or reject it, which deletes it.

        Raises LocalError for one that is not of the examination in progress, or was sent already.
        """
        await self._changing.acquire()
        try:
            archive, record = await self._current(device)
            made = await stored_objects(archive, record)
            if uid not in {each.sop_instance_uid for each in made}:
                raise LocalError(
                    "this object is not of the examination that is in progress", value=uid
                )
            if accept:
                await archive.release_of_study(record.study_instance_uid, [uid])
                self._wake("")
                return
            jobs = await archive.jobs(study_instance_uid=record.study_instance_uid, limit=1000)
            if any(each.sop_instance_uid == uid and each.state != 2 for each in jobs.items):
                raise LocalError(
                    "this object is on its way already",
                    value=uid,
                    way_out="Set `review = true` for the device to look before objects go out.",
                )
            # What is rejected was never meant for diagnosis: no original is lost.
            await archive.delete("instance", uid, who="exam", force=True, originals=True)
        finally:
            self._changing.release()

    async def finish(self, *, device: str = "", discontinue: str = "") -> ExaminationRecord:
        """The step is over: completed, or discontinued for a reason (a code of CID 9300).

        Objects that wait for review are accepted by it. Raises LocalError where nothing is in
        progress, and for an unknown reason.
        """
        if discontinue and discontinue not in DISCONTINUATION_REASONS:
            raise LocalError(
                f"{quoted(discontinue)} is no reason for a discontinuation",
                clause="PS3.16 CID 9300",
                value=discontinue,
                limit=", ".join(DISCONTINUATION_REASONS),
            )
        await self._changing.acquire()
        try:
            archive, record = await self._current(device)
            table = self._acquisition(record.device).table
            made = await stored_objects(archive, record)
            step = record.step
            step.status = DISCONTINUED if discontinue else COMPLETED
            step.reason, step.ended = discontinue, self._clock()
            mine = [
                each
                for each in made
                if each.series_instance_uid in {series.uid for series in step.series}
            ]
            # Before it is over for good: told twice is better than never.
            observation.occasion("examination over for", record=record, made=mine)
            await archive.save_examination(
                record.row(), messages_at_end(self._configuration(), record, mine)
            )
            self._acquisition(table.name).keeping.look_again()
            uids = [each.sop_instance_uid for each in mine]
            await archive.release_of_study(record.study_instance_uid, uids)
            self._wake_all()
            observation.info(
                "examination over", examination=record.id, status=step.status, objects=len(mine)
            )
            return record
        finally:
            self._changing.release()

    async def reconcile(self, number: int, keys: Mapping[str, str]) -> dict[str, Any]:
        """Give an emergency that is over the worklist entries that these keys pick.

        Raises LocalError as `pick_entries` and `agent.workflow.reconciliation.reconcile`.
        """
        await self._changing.acquire()
        try:
            archive, record = await self._found(number)
            entries = await pick_entries(self._worklist, keys)
            done = await reconcile(archive, record, entries, self._clock())
            self._wake_all()
            return done
        finally:
            self._changing.release()

    # Questions.

    async def listing(self, limit: int = 50) -> list[dict[str, Any]]:
        """The last examinations of every archive."""
        return [
            summary(ExaminationRecord.of(row))
            for archive in self._archives.values()
            for row in await archive.examinations("", limit)
        ]

    async def show(self, number: int) -> dict[str, Any]:
        """One examination with its steps, series and objects."""
        archive, record = await self._found(number)
        return await shown(archive, record)

    # What they need.

    def _record(
        self,
        table: Capture,
        entries: Sequence[Attributes],
        keys: Mapping[str, str],
        operator: str,
    ) -> ExaminationRecord:
        now = self._clock()
        patient = Attributes()
        if not entries:
            for name, value in keys.items():
                patient.set(name, value)
            wrong = usable(patient)[1]
            if wrong:
                raise LocalError(
                    f"a value is none for its attribute: {'; '.join(wrong)}", clause="PS3.5 6.2"
                )
        study = entries[0].text("StudyInstanceUID") if entries else ""
        record = ExaminationRecord(
            0,
            table.name,
            now,
            study or patient.text("StudyInstanceUID") or self._new_uid(),
            list(entries),
            patient,
            operator=operator,
        )
        self._add_step(record, table)
        return record

    def _add_step(self, record: ExaminationRecord, table: Capture) -> None:
        record.steps.append(new_step(self._new_uid(), self._clock()))
        self._add_series(record, table, "")

    def _add_series(self, record: ExaminationRecord, table: Capture, description: str) -> None:
        number = 1 + sum(len(step.series) for step in record.steps)
        described = description_of(record)
        protocol = table.protocol or described or table.modality
        record.step.series.append(
            PerformedSeries(self._new_uid(), number, description or described, protocol)
        )

    async def _begin(
        self, archive: Archive, table: Capture, record: ExaminationRecord
    ) -> ExaminationRecord:
        messages = messages_at_begin(
            self._configuration(), record, table.modality, table.station_name
        )
        observation.occasion("examination begun for", record=record)
        row = await archive.save_examination(record.row(), messages)
        self._acquisition(table.name).keeping.look_again()
        self._wake_all()
        begun = ExaminationRecord.of(row)
        observation.info(
            "examination begun", examination=begun.id, device=table.name, step=record.step.uid
        )
        return begun

    def _wake_all(self) -> None:
        table = self._configuration().steps
        for peer in (*table.peers, *table.available, ""):
            self._wake(peer)

    async def _current(self, device: str) -> tuple[Archive, ExaminationRecord]:
        table = self._acquisition(device).table
        archive = self._archives[table.archive]
        record = await self._in_progress(archive, table.name)
        if record is None:
            raise LocalError(
                f"no examination is in progress on {table.name}",
                way_out="Begin one: gantry exam start.",
            )
        return archive, record

    async def _in_progress(self, archive: Archive, device: str) -> ExaminationRecord | None:
        for row in await archive.examinations(IN_PROGRESS):
            if row.device == device:
                return ExaminationRecord.of(row)
        return None

    async def _found(self, number: int) -> tuple[Archive, ExaminationRecord]:
        for archive in self._archives.values():
            row = await archive.examination(number)
            if row is not None:
                return archive, ExaminationRecord.of(row)
        raise LocalError(f"there is no examination {number}", value=number)

    def _new_uid(self) -> str:
        return new_uid(self._configuration().node.uid_root or None)
