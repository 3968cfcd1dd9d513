"""Import of studies from media, reconciled with the order that they are imported for.

IHE Import Reconciliation Workflow: a worklist entry, or a local patient, is chosen; a procedure
step is begun; objects come in with the identity of the entry, the old one recorded in each, their
UIDs as they were; they go where the routes say; then the step is completed with every one of them.
Where it has got to is kept in the archive, so that an import goes on after a restart, and when a
medium that was pulled is back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent import observation
from agent.archive.archive import Archive
from agent.archive.decision import DELIVER
from agent.archive.examinations import IMPORT, ExaminationRow
from agent.archive.records import Instance, JobState
from agent.configuration.configuration import Configuration
from agent.dataset.attributes import Attributes
from agent.dataset.uid import new_uid
from agent.errors import GantryError, LocalError
from agent.loop import TimedOut, shielded, timeout
from agent.loop.workers import Template, WorkerDied, WorkerPool
from agent.quoting import quoted
from agent.workflow.examination_entry import pick_entries
from agent.workflow.examination_record import (
    COMPLETED,
    DISCONTINUED,
    IN_PROGRESS,
    ExaminationRecord,
)
from agent.workflow.examination_view import stored_objects
from agent.workflow.import_choice import chosen, matching_entry
from agent.workflow.import_copying import Copying
from agent.workflow.import_record import ImportRecord
from agent.workflow.import_settings import media_keys_of
from agent.workflow.import_survey import FoundStudy, Survey, survey
from agent.workflow.performed_step import DISCONTINUATION_REASONS, new_step
from agent.workflow.step_messages import messages_at_begin, messages_at_end
from agent.workflow.undertakings import Undertakings, Work
from agent.workflow.worklist_watch import WorklistWatch

_LOOK_AT_QUEUE = 1.0


class Imports(Undertakings[ImportRecord]):
    """All imports of a node, one after the other."""

    kind, name = IMPORT, "import"
    first_wait, longest_wait = 2.0, 2.0

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        archives: Mapping[str, Archive],
        template: Template,
        pool: WorkerPool,
        worklist: WorklistWatch,
        wake: Callable[[str], None],
    ) -> None:
        super().__init__(configuration, archives, template, pool)
        self._worklist = worklist
        self._wake = wake

    # What people ask for.

    async def begin(
        self,
        root: str,
        *,
        studies: Sequence[str] = (),
        patient_id: str = "",
        entry: Mapping[str, str] | None = None,
        patient: Mapping[str, str] | None = None,
        match: bool = False,
        archive: str = "",
        operator: str = "",
    ) -> list[dict[str, Any]]:
        """Begin an import for each study that is chosen; as people see them.

        `entry` picks a worklist entry, `match` the one that is of the medium's patient, `patient`
        says by keyword whose the objects are; without any they are taken as they are. Raises
        LocalError where it is not clear what is meant: nothing is imported then.
        """
        if sum((entry is not None, patient is not None, match)) > 1:
            raise LocalError("an import is for an entry, or for a patient, or for neither")
        place = self._archive(archive)
        wanted = chosen(await self._survey(root), root, studies, patient_id)
        begun = await self._begin_chosen(
            place, root, wanted, entry=entry, patient=patient, match=match, operator=operator
        )
        return [each.summary() for each in begun]

    async def _begin_chosen(
        self,
        place: Archive,
        root: str,
        wanted: Sequence[FoundStudy],
        *,
        entry: Mapping[str, str] | None = None,
        patient: Mapping[str, str] | None = None,
        match: bool = False,
        operator: str = "",
    ) -> list[ImportRecord]:
        await self._beginning.acquire()
        try:
            going = {each.examination.study_instance_uid for each in await self._going(place)}
            for study in wanted:
                if study.uid in going:
                    raise LocalError(
                        f"study {quoted(study.uid)} is being imported", value=study.uid
                    )
            entries = await self._entries(wanted[0], entry, match)
            # Who asks may be gone with the medium: what is kept is carried out all the same.
            with shielded():
                records = [
                    await self._begin(place, root, study, entries, patient, operator)
                    for study in wanted
                ]
        finally:
            self._beginning.release()
            self._changed.set()
        return records

    async def begin_all(
        self, root: str, *, match: bool, archive: str = ""
    ) -> tuple[list[int], list[str]]:
        """Begin to import all studies of a medium that is left to itself, patient by patient.

        Gives the numbers of the imports, and in words what was not begun. A study that was imported
        from there whole, or is being imported, is passed over.
        """
        place = self._archive(archive)
        found = await self._survey(root)
        known = await self._known(place)
        numbers: list[int] = []
        problems = [f"{file}: {reason}" for file, reason in found.damages]
        for study in found.studies:
            before = known.get(study.uid)
            if before is not None and before.root == root:
                if before.examination.state == IN_PROGRESS:
                    # It takes all that is there now, though the stick was pulled when it was
                    # looked through, and less was seen.
                    numbers.append(before.id)
                    continue
                if study.count in (before.expected, before.objects):
                    continue
            try:
                wanted = chosen(found, root, [study.uid], "")
                begun = await self._begin_chosen(place, root, wanted, match=match)
                numbers += [each.id for each in begun]
            except GantryError as error:
                problems.append(str(error))
        return numbers, problems

    async def are_copied(self, numbers: Sequence[int]) -> bool:
        """Whether nothing of these imports is still on its medium."""
        wanted = set(numbers)
        for archive in self._archives.values():
            for record in await self._going(archive):
                if record.id in wanted and not record.is_copied:
                    return False
        return True

    async def stop(self, number: int, reason: str = "") -> None:
        """Give up an import; what is in the archive stays, the step is discontinued.

        Raises LocalError where it is not in progress, and for a reason that CID 9300 has not.
        """
        reason = reason or "110513"
        if reason not in DISCONTINUATION_REASONS:
            raise LocalError(
                f"{quoted(reason)} is no reason for a discontinuation",
                clause="PS3.16 CID 9300",
                value=reason,
                limit=", ".join(DISCONTINUATION_REASONS),
            )
        await self._stop(number, reason)

    # What goes on.

    def _record_of(self, row: ExaminationRow) -> ImportRecord:
        return ImportRecord.of(row)

    def _work_of(self, record: ImportRecord) -> Work:
        failed = f"{record.failed} files not read" if record.failed else ""
        return Work(record.root, record.objects, record.expected, not record.is_copied, failed)

    async def _go_on(self, archive: Archive, record: ImportRecord) -> bool:
        try:
            if not record.is_copied and record.id not in self._stopped:
                copying = Copying(archive, record, self._configuration(), self._wake)
                await copying.run(self._template, lambda: record.id in self._stopped)
            if record.id not in self._stopped and not await self._is_delivered(archive, record):
                return False
            await self._end(archive, record, self._stopped.pop(record.id, ""))
            return True
        except (GantryError, WorkerDied) as error:
            return await self._wait(archive, record, error)

    async def _is_delivered(self, archive: Archive, record: ImportRecord) -> bool:
        """Whether all that the routes send has arrived, or waits for a person: the step is said to
        be completed when the images can be had."""
        while record.id not in self._stopped:
            study = record.examination.study_instance_uid
            page = await archive.jobs(study_instance_uid=study, limit=1000)
            if not any(each.kind == DELIVER and each.state != JobState.HELD for each in page.items):
                return True
            self._changed.clear()
            with suppress(TimedOut), timeout(_LOOK_AT_QUEUE):
                await self._changed.wait()
            if len(self._under_way) < len(await self._going(archive)):
                return False  # Others need not wait for a peer that is away.
        return True

    async def _end(self, archive: Archive, record: ImportRecord, discontinue: str) -> None:
        examination = record.examination
        made: list[Instance] = await stored_objects(archive, examination)
        step = examination.step
        step.status = DISCONTINUED if discontinue else COMPLETED
        step.reason, step.ended = discontinue, self._clock()
        record.waits = ""
        messages = (
            messages_at_end(self._configuration(), examination, made) if record.is_reported else []
        )
        # Before it is over for good: told twice is better than never.
        observation.occasion("imported", record=record, made=made)
        await archive.save_examination(record.row(), messages)
        self._wake_all()
        self._ended(record, failed=bool(record.failed))
        observation.notice(
            "import over",
            **{"import": record.id},
            status=step.status,
            objects=len(made),
            failed=record.failed or None,
        )

    # What they need.

    async def _survey(self, root: str) -> Survey:
        if not Path(root).is_absolute():
            raise LocalError(f"{quoted(root)} is not a whole path", value=root)
        keys = media_keys_of(self._configuration())
        found: Survey = await self._pool.call(survey, root, keys)
        return found

    async def _entries(
        self, study: FoundStudy, entry: Mapping[str, str] | None, match: bool
    ) -> list[Attributes]:
        if match:
            await self._worklist.known()
            return [matching_entry(self._worklist, study)]
        return await pick_entries(self._worklist, entry) if entry is not None else []

    async def _begin(
        self,
        archive: Archive,
        root: str,
        study: FoundStudy,
        entries: Sequence[Attributes],
        patient: Mapping[str, str] | None,
        operator: str,
    ) -> ImportRecord:
        now = self._clock()
        reconciled = bool(entries) or patient is not None
        said = Attributes()
        for keyword, value in (patient if patient is not None else study.keys).items():
            said.set(keyword, value)
        # The step is about the study as it is imported, whatever UID the order has for its own.
        mine = [each.copy() for each in entries]
        for each in mine:
            each.set("StudyInstanceUID", study.uid)
        examination = ExaminationRecord(0, "", now, study.uid, mine, said, operator=operator)
        examination.steps.append(new_step(self._new_uid(), now))
        modality = study.series[0].modality or "OT"
        record = ImportRecord(examination, root, modality, reconciled, expected=study.count)
        messages = (
            messages_at_begin(self._configuration(), examination, modality) if reconciled else []
        )
        row = await archive.save_examination(record.row(), messages)
        begun = ImportRecord.of(row)
        self._last_failed.clear()
        await archive.note(
            "import",
            "study",
            study.uid,
            operator or "import",
            study.count,
            {
                "import": begun.id,
                "medium": root,
                "from": study.patient.patient_id,
                "reconciled": reconciled,
            },
        )
        self._wake_all()
        observation.notice("import begun", **{"import": begun.id}, medium=root)
        return begun

    async def _known(self, archive: Archive) -> dict[str, ImportRecord]:
        """The last import of each study that goes on, or has everything."""
        rows = await archive.examinations("", 10_000, kind=IMPORT)
        known: dict[str, ImportRecord] = {}
        for row in reversed(rows):
            record = ImportRecord.of(row)
            state = record.examination.state
            # One that goes on takes what it could not read when the medium was pulled.
            if state == IN_PROGRESS or (state != DISCONTINUED and not record.failed):
                known[record.examination.study_instance_uid] = record
        return known

    def _wake_all(self) -> None:
        table = self._configuration().steps
        for peer in (*table.peers, *table.available, ""):
            self._wake(peer)

    def _new_uid(self) -> str:
        return new_uid(self._configuration().node.uid_root or None)
