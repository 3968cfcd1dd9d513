"""Errands: the jobs that send messages instead of objects, one peer at a time.

Steps are reported and notified (PS3.4 F), storage commitment is asked for and answered (J),
availability is announced (R). All are durable jobs in the queue of their peer, done over one
association for all kinds.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from contextlib import suppress

from agent import observation
from agent.archive.archive import Archive
from agent.archive.commitments import Item
from agent.archive.decision import COMMIT, DELIVER, INVENTORY, NOTIFY, REPORT, RESULT
from agent.archive.records import Job
from agent.archive.retry import Again, after_failure
from agent.archive.settings import RetryPolicy
from agent.configuration.configuration import Configuration
from agent.configuration.peer import Peer
from agent.dataset.sop_classes import STORAGE_COMMITMENT_PUSH_MODEL
from agent.dataset.uid import new_uid
from agent.errors import GantryError, LocalError, PeerError
from agent.loop import Event, TimedOut, now, shielded, timeout
from agent.network.association import Association, Response
from agent.network.negotiation import ContextNeed, propose
from agent.network.resolution import Resolve
from agent.network.status import Category, may_pass
from agent.network.user_information import RoleSelection
from agent.services.data_sets import MESSAGE_SYNTAXES
from agent.services.instance_availability import availability_need, notify_availability
from agent.services.performed_procedure_step import (
    STEP_NOTIFICATION,
    STEP_ROLE,
    create_step,
    may_never_pass,
    notify_step,
    set_step,
    step_need,
)
from agent.services.storage_commitment import (
    CommitmentProvider,
    CommitmentResult,
    Failure,
    Reference,
    commitment_need,
    report_commitment,
    request_commitment,
)
from agent.workflow.archive_opening import usable
from agent.workflow.opening import Opening
from agent.workflow.procedure_keeping import CommitmentKeeping
from agent.workflow.settlement import retry_or_hold
from agent.workflow.step_report import StepReport
from agent.workflow.turns import Turns

KINDS = (REPORT, NOTIFY, COMMIT, RESULT, INVENTORY)
_MOST_AT_ONCE = 200
_ON_THEIR_WAY = "its objects are not delivered yet"
_LOOKED_AT_EACH = 5.0
_DUPLICATE_SOP_INSTANCE, _NO_SUCH_SOP_INSTANCE = 0x0111, 0x0112
_REFERENCED_ONLY = frozenset(("1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95"))
"""JPIP: the pixels are elsewhere, and nobody can commit to keep them (J.1.1)."""


class Errands:
    """Runs the errands of one peer, over one association."""

    def __init__(
        self,
        peer: Peer,
        configuration: Configuration,
        archives: Mapping[str, Archive],
        resolve: Resolve | None,
        wake: Callable[[str], None],
        turns: Turns,
    ) -> None:
        """`wake` is told the name of a peer for which there is something to do, or to deliver."""
        self.peer = peer
        self.configuration = configuration
        self.last_reason = ""
        self.failures = 0
        self._archives = archives
        self._wake = wake
        self._work = Event()
        self._hurried = Event()
        self._opening = Opening(peer, resolve, turns)
        self._association: Association | None = None
        self._contexts: frozenset[str] = frozenset()
        self._linger_until = 0.0
        retry = peer.retry or configuration.delivery.retry
        self._policy = RetryPolicy(
            retry.first, retry.factor, retry.longest, retry.jitter, retry.attempts, retry.age
        )

    def wake(self) -> None:
        """There may be something to do."""
        self._work.set()

    def hurry(self) -> None:
        """A person wants it tried now."""
        self._hurried.set()
        self._work.set()

    def note_fault(self, error: Exception) -> None:
        """What stopped it, for those who ask."""
        self.last_reason = str(error)

    async def run(self) -> None:
        """Until cancelled; what was claimed then goes back to the queue."""
        try:
            if self.peer.takes_originals:
                for archive in usable(self._archives):
                    await archive.hand_over()
            while True:
                self._work.clear()
                worked = False
                for archive in usable(self._archives):
                    worked = await self._work_on(archive) or worked
                if not worked:
                    await self._wait()
        finally:
            with shielded():
                await self._release()

    async def _wait(self) -> None:
        due = [
            await archive.next_due(self.peer.name, kinds=KINDS)
            for archive in usable(self._archives)
        ]
        limit = min([3600.0, *(max(0.01, each) for each in due if each is not None)])
        if self._association is not None:
            left = self._linger_until - now()
            if left <= 0 or not self._association.is_open:
                await self._release()
            else:
                limit = min(limit, left)
        with suppress(TimedOut), timeout(limit):
            await self._work.wait()

    async def _work_on(self, archive: Archive) -> bool:
        jobs = await archive.claim(self.peer.name, _MOST_AT_ONCE, kinds=KINDS)
        if not jobs:
            return False
        waiting = {job.id: job for job in jobs}
        try:
            association = await self._associated(archive, jobs)
            for group in self._grouped(jobs):
                await self._perform(archive, association, group)
                for job in group:
                    waiting.pop(job.id, None)
            self.failures = 0
        except PeerError as error:
            await self._after_failure(archive, waiting, error)
        finally:
            if waiting:
                with shielded():
                    await archive.release(sorted(waiting))
        return True

    async def _after_failure(
        self, archive: Archive, waiting: dict[int, Job], error: PeerError
    ) -> None:
        """The peer as a whole failed: the jobs go back untouched, and it gets its time."""
        self.failures += 1
        self.last_reason = str(error)
        await self._release()
        await archive.release(sorted(waiting))
        waiting.clear()
        again = after_failure(self._policy, attempts=self.failures, age=0.0, chance=random.random())
        wait = again.delay if isinstance(again, Again) else self._policy.longest
        observation.warning(
            "errand failed", peer=self.peer.name, error=error, failures=self.failures, wait=wait
        )
        self._hurried.clear()
        with suppress(TimedOut), timeout(wait):
            await self._hurried.wait()

    def _grouped(self, jobs: list[Job]) -> list[list[Job]]:
        """Commitment is asked for by study, or by object; everything else is done one by one."""
        groups: list[list[Job]] = []
        studies: dict[str, list[Job]] = {}
        for job in jobs:
            if job.kind == COMMIT and self.peer.commitment.each != "object":
                if job.study_instance_uid not in studies:
                    groups.append(studies.setdefault(job.study_instance_uid, []))
                studies[job.study_instance_uid].append(job)
            else:
                groups.append([job])
        return groups

    # The association.

    async def _associated(self, archive: Archive, jobs: list[Job]) -> Association:
        """One that has what these jobs need; the present one where it does."""
        needs, roles = _needs_of(jobs)
        wanted = frozenset(each.abstract_syntax for each in needs) | {
            f"{role.sop_class_uid} as SCP" for role in roles if role.scp
        }
        held = self._association
        if held is not None and held.is_open and wanted <= self._contexts:
            return held
        await self._release()
        association = await self._opening.open(
            self.configuration, propose(needs)[0], roles=tuple(roles)
        )
        self._association, self._contexts = association, wanted
        entity = self.configuration.entity(self.peer.entity)
        if entity is not None:
            results = CommitmentProvider(
                CommitmentKeeping(entity, self.configuration, archive, self._wake)
            )
            association.providers = {
                number: results
                for number, context in association.contexts.items()
                if context.abstract_syntax == STORAGE_COMMITMENT_PUSH_MODEL
            }
        return association

    async def _release(self) -> None:
        if self._association is not None:
            association, self._association = self._association, None
            await association.release()

    # The errands.

    async def _perform(self, archive: Archive, association: Association, jobs: list[Job]) -> None:
        kind = jobs[0].kind
        if kind == COMMIT:
            await self._ask_commitment(archive, association, jobs)
            return
        job = jobs[0]
        try:
            if kind == RESULT:
                response = await self._report_result(archive, association, job)
            elif kind == INVENTORY:
                from agent.workflow.inventory_events import report_event

                response = await report_event(association, job.payload)
            else:
                report = StepReport.unpack(job.payload)
                if report.operation == "available" and await self._awaits(archive, report):
                    await archive.retry(job.id, reason=_ON_THEIR_WAY, delay=_LOOKED_AT_EACH)
                    return
                response = await self._send(association, report)
        except LocalError as error:
            await archive.hold(job.id, str(error))
            return
        await self._settle(archive, job, response)

    async def _awaits(self, archive: Archive, report: StepReport) -> bool:
        """Whether objects of the study are on their way still to the Retrieve AE that a
        notification names: they cannot be had there yet (R.3.2.1.2)."""
        study = report.attributes.text("StudyInstanceUID")
        titles = {
            title
            for series in report.attributes.items_of("ReferencedSeriesSequence")
            for item in series.items_of("ReferencedSOPSequence")
            for title in item.texts("RetrieveAETitle")
        }
        for peer in self.configuration.peers:
            if titles.intersection(peer.titles):
                page = await archive.jobs(
                    kind=DELIVER, destination=peer.name, study_instance_uid=study, limit=1
                )
                if page.items:
                    return True
        return False

    async def _send(self, association: Association, report: StepReport) -> Response:
        if report.operation == "create":
            return await create_step(association, report.uid, report.attributes)
        if report.operation == "set":
            return await set_step(association, report.uid, report.attributes)
        if report.operation == "event":
            return await notify_step(association, report.uid, report.event)
        return await notify_availability(association, report.uid, report.attributes)

    async def _settle(self, archive: Archive, job: Job, response: Response) -> None:
        said = response.words
        creating = job.kind == REPORT and StepReport.unpack(job.payload).operation == "create"
        accepted = response.category in (Category.SUCCESS, Category.WARNING)
        # A step that is there already was created by a try whose answer never came.
        accepted |= creating and response.status == _DUPLICATE_SOP_INSTANCE
        over = job.kind == REPORT and may_never_pass(response)
        if accepted or over:
            if over or response.category is not Category.SUCCESS:
                self._warn("errand remarked on", response, job=job.id)
            await archive.finish(job.id, status=response.status, reason=said)
            return
        self.last_reason = said
        self._warn("errand refused", response, job=job.id, see="gantry queue")
        early = job.kind == REPORT and response.status == _NO_SUCH_SOP_INSTANCE
        if may_pass(response.status) or early:
            await retry_or_hold(archive, self._policy, job, said, response.status)
        else:
            await archive.hold(job.id, said, status=response.status)

    def _warn(self, event: str, response: Response, **fields: object) -> None:
        observation.warning(event, peer=self.peer.name, status=response.words, **fields)

    async def _ask_commitment(
        self, archive: Archive, association: Association, jobs: list[Job]
    ) -> None:
        table = self.peer.commitment
        transaction = new_uid()
        items = [Item(job.sop_class_uid, job.sop_instance_uid, job.id) for job in jobs]
        # Kept before it is sent: the result may be quicker than the response (J.3.2.1.2).
        await archive.begin_commitment(transaction, self.peer.name, items, table.wait)
        try:
            response = await request_commitment(
                association,
                transaction,
                [Reference(each.sop_class_uid, each.sop_instance_uid) for each in items],
            )
        except GantryError as error:
            for job in jobs:
                await retry_or_hold(archive, self._policy, job, str(error))
            raise
        if response.category in (Category.SUCCESS, Category.WARNING):
            # Where there is one association only, others may be waiting for it.
            lone = self.peer.quirks.single_association
            self._linger_until = now() + (0.0 if lone else table.linger)
            observation.info(
                "commitment asked", peer=self.peer.name, objects=len(items), uid=transaction
            )
            return
        said = response.words
        self._warn("commitment refused", response, see="gantry queue")
        await archive.retire_commitment(transaction)
        for job in jobs:
            if may_pass(response.status):
                await retry_or_hold(archive, self._policy, job, said, response.status)
            else:
                await archive.hold(job.id, said, status=response.status)

    async def _report_result(
        self, archive: Archive, association: Association, job: Job
    ) -> Response:
        asked = json.loads(job.payload)
        references = [Reference(*each) for each in asked["objects"]]
        held = await archive.presence([each.sop_instance_uid for each in references])
        committed: list[Reference] = []
        failed: list[Failure] = []
        for each in references:
            sop_class, syntax = held.get(each.sop_instance_uid, ("", ""))
            if not sop_class or syntax in _REFERENCED_ONLY:
                failed.append(Failure(each, 0x0112))
            elif sop_class != each.sop_class_uid:
                failed.append(Failure(each, 0x0119))
            else:
                committed.append(each)
        result = CommitmentResult(asked["transaction"], tuple(committed), tuple(failed))
        response = await report_commitment(association, result, self.peer.calling_title)
        if self.configuration.secure_use.enabled and response.category is Category.SUCCESS:
            # PS3.15 A.1.1 d 4: from now on what was handed to us may go on.
            await archive.confirm_originals([each.sop_instance_uid for each in committed])
            self._wake("")
        return response


def _needs_of(jobs: list[Job]) -> tuple[list[ContextNeed], list[RoleSelection]]:
    """The contexts that these jobs need, and the roles that we play on them."""
    needs: list[ContextNeed] = []
    roles: list[RoleSelection] = []
    kinds = {job.kind for job in jobs}
    operations = {
        StepReport.unpack(job.payload).operation for job in jobs if job.kind in (REPORT, NOTIFY)
    }
    if operations & {"create", "set"}:
        needs.append(step_need())
        roles.append(STEP_ROLE)
    if "event" in operations:
        needs.append(ContextNeed(STEP_NOTIFICATION, MESSAGE_SYNTAXES))
        roles.append(RoleSelection(STEP_NOTIFICATION, scu=False, scp=True))
    if "available" in operations:
        needs.append(availability_need())
    if kinds & {COMMIT, RESULT}:
        needs.append(commitment_need())
        if RESULT in kinds:
            roles.append(
                RoleSelection(STORAGE_COMMITMENT_PUSH_MODEL, scu=COMMIT in kinds, scp=True)
            )
    if INVENTORY in kinds:
        from agent.services.inventory_creation import REPORTER, inventory_need

        needs.append(inventory_need())
        roles.append(REPORTER)
    return needs, roles
