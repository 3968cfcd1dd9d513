"""Delivery to one peer: its queue, its associations, its moods.

A dead peer keeps nobody waiting but itself: each destination has its own task, its own back-off,
and its own place in the queue.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from agent import observation
from agent.archive.archive import Archive
from agent.archive.decision import DELIVER
from agent.archive.records import Job
from agent.archive.retry import Again, after_failure
from agent.archive.settings import RetryPolicy
from agent.configuration.configuration import Configuration
from agent.configuration.peer import Peer
from agent.errors import GantryError, LocalError, PeerError, StatusReaction, StorageError
from agent.loop import Event, Limit, TaskGroup, TimedOut, shielded, timeout
from agent.network.accepted_contexts import PresentationContext
from agent.network.association import Association
from agent.network.negotiation import propose
from agent.network.presentation_context import PresentationContextProposal
from agent.network.resolution import Resolve
from agent.network.status import SOP_CLASS_NOT_SUPPORTED, may_pass
from agent.services.storage import c_store
from agent.services.storage_negotiation import (
    Proposal,
    context_needs,
    sending_order,
)
from agent.workflow.archive_opening import usable
from agent.workflow.bandwidth import Bandwidth
from agent.workflow.converted_copy import Converter
from agent.workflow.opening import Opening
from agent.workflow.outgoing import Outgoing, open_outgoing
from agent.workflow.settlement import FAILED, OpenJobs, Settlement
from agent.workflow.turns import Turns

# With an unlimited window: each operation has a file open.
_MOST_AT_ONCE = 64
_NEVER_PROPOSED = "its transfer syntax is never proposed"
_NOT_TAKEN = "the peer does not take this SOP class in this transfer syntax"


class Destination:
    """One peer and what is to be delivered to it, over one association at a time.

    A peer that may hold several has as many of these, which share `bandwidth`, and `idle`: how
    many of them may keep an association without work.
    """

    def __init__(
        self,
        peer: Peer,
        configuration: Configuration,
        archives: Mapping[str, Archive],
        associations: Limit,
        resolve: Resolve | None,
        turns: Turns,
        bandwidth: Bandwidth,
        idle: Limit,
        converter: Converter | None = None,
        commitment_due: Callable[[str], None] = lambda peer: None,
    ) -> None:
        self.peer = peer
        self.configuration = configuration
        self.failures = 0
        self._archives = archives
        self._associations = associations
        self._work = Event()
        self._hurried = Event()
        self._kept: Association | None = None
        self._kept_objects = 0
        self._bandwidth = bandwidth
        self._idle = idle
        self._opening = Opening(peer, resolve, turns)
        retry = peer.retry or configuration.delivery.retry
        self._policy = RetryPolicy(
            retry.first, retry.factor, retry.longest, retry.jitter, retry.attempts, retry.age
        )
        self.settlement = Settlement(peer.name, self._policy, peer.commitment, commitment_due)
        self._proposal = Proposal(
            tuple(peer.transfer_syntaxes),
            tuple(peer.never_propose),
            conversion=peer.convert and converter is not None,
            lossy=peer.lossy.allowed,
        )
        self._converter = converter

    def wake(self) -> None:
        """There may be something to do."""
        self._work.set()

    def hurry(self) -> None:
        """A person wants it tried now: do not wait for the back-off."""
        self._hurried.set()
        self._work.set()

    def note_fault(self, error: Exception) -> None:
        """What stopped it, for those who ask why nothing is delivered."""
        self.settlement.last_reason = str(error)

    async def run(self) -> None:
        """Deliver until cancelled; what was claimed then goes back to the queue."""
        try:
            while True:
                # Before looking: who wakes us while we look has news that we may have missed.
                self._work.clear()
                await self._gather()
                worked = False
                for archive in usable(self._archives):
                    worked = await self._deliver_from(archive) or worked
                if not worked:
                    await self._wait()
        finally:
            with shielded():
                await self._release_kept()

    async def _gather(self) -> None:
        """Let more objects of a study come before an association is opened for the first."""
        seconds = self.configuration.delivery.gather
        if not seconds or self._kept is not None:
            return
        for archive in usable(self._archives):
            if await archive.next_due(self.peer.name, kinds=(DELIVER,)) == 0:
                with suppress(TimedOut), timeout(seconds):
                    await self._hurried.wait()
                return

    async def _wait(self) -> None:
        """Until there is something to do: woken, a job is due, or the kept association is idle."""
        due = [
            await archive.next_due(self.peer.name, kinds=(DELIVER,))
            for archive in usable(self._archives)
        ]
        limit = min([3600.0, *(max(0.01, each) for each in due if each is not None)])
        cached = self._kept is not None and self._idle.try_acquire()
        if self._kept is not None and not cached:
            await self._release_kept()
        idle = max(0.01, self.peer.window.idle)
        try:
            with timeout(min(limit, idle) if cached else limit):
                await self._work.wait()
        except TimedOut:
            if idle <= limit:
                await self._release_kept()
        finally:
            if cached:
                self._idle.release()

    async def _deliver_from(self, archive: Archive) -> bool:
        most = self.configuration.delivery.batch
        if self.peer.window.objects_per_association:
            most = min(most, self.peer.window.objects_per_association)
        jobs = await archive.claim(self.peer.name, most, kinds=(DELIVER,))
        if not jobs:
            return False
        open_jobs = {job.id: job for job in jobs}
        try:
            for study in self._by_study(jobs):
                await self._deliver(archive, study, open_jobs)
            self.failures = 0
        except PeerError as error:
            await self._after_failure(archive, open_jobs, error)
        finally:
            if open_jobs:
                with shielded():
                    await archive.release(sorted(open_jobs))
        return True

    async def _after_failure(self, archive: Archive, open_jobs: OpenJobs, error: PeerError) -> None:
        """The peer as a whole failed: the jobs go back untouched, and the peer gets its time."""
        self.failures += 1
        self.settlement.last_reason = str(error)
        FAILED.of(self.peer.name).add()
        await self._release_kept()
        await self._give_back(archive, open_jobs, error)
        again = after_failure(self._policy, attempts=self.failures, age=0.0, chance=random.random())
        wait = again.delay if isinstance(again, Again) else self._policy.longest
        observation.warning(
            "delivery failed", peer=self.peer.name, error=error, failures=self.failures, wait=wait
        )
        self._hurried.clear()
        with suppress(TimedOut), timeout(wait):
            await self._hurried.wait()

    async def _give_back(self, archive: Archive, open_jobs: OpenJobs, error: PeerError) -> None:
        """To the queue, in their order; or, where tries or age are limited, counted each."""
        if self._policy.attempts or self._policy.age:
            for job in list(open_jobs.values()):
                await self.settlement.try_again(archive, job, open_jobs, str(error))
        await archive.release(sorted(open_jobs))
        open_jobs.clear()

    def _by_study(self, jobs: Sequence[Job]) -> list[list[Job]]:
        """The jobs with those of a study together; each study alone where the peer wants that."""
        studies: dict[str, list[Job]] = {}
        for job in jobs:
            studies.setdefault(job.study_instance_uid, []).append(job)
        # What the peer failed at before comes last: it may be what it cannot bear.
        ordered = sorted(studies.values(), key=lambda study: study[0].attempts > 0)
        if self.peer.quirks.association_per_study:
            return ordered
        return [[job for study in ordered for job in study]]

    async def _deliver(self, archive: Archive, jobs: list[Job], open_jobs: OpenJobs) -> None:
        needs = context_needs(
            ((job.sop_class_uid, job.transfer_syntax_uid) for job in jobs), self._proposal
        )
        left = list(jobs)
        for proposals in propose(needs):
            proposed = {
                (each.abstract_syntax, syntax)
                for each in proposals
                for syntax in each.transfer_syntaxes
            }
            batch = [job for job in left if not proposed.isdisjoint(self._order(job))]
            if not batch:
                continue
            left = [job for job in left if job not in batch]
            await self._send_batch(archive, batch, proposals, open_jobs)
        for job in left:
            await self.settlement.hold(
                archive, job, open_jobs, "its transfer syntax is never proposed"
            )

    async def _send_batch(
        self,
        archive: Archive,
        batch: list[Job],
        proposals: list[PresentationContextProposal],
        open_jobs: OpenJobs,
    ) -> None:
        association = await self._association(batch, proposals)
        window = association.window.invoked or self.peer.window.operations or len(batch)
        stop = self.configuration.delivery.on_failure == "stop"
        waiting = iter(batch)
        failed = False

        async def sender() -> None:
            nonlocal failed
            for job in waiting:
                if not await self._send(archive, association, job, open_jobs, group) and stop:
                    failed = True
                if failed:
                    return

        async with TaskGroup() as group:
            for _ in range(max(1, min(window, len(batch), _MOST_AT_ONCE))):
                group.start(sender(), f"delivery to {self.peer.name}")
        limit = self.peer.window.objects_per_association
        used_up = limit and self._kept_objects >= limit
        if (
            failed
            or used_up
            or not self.peer.window.reuse
            or self.peer.quirks.association_per_study
        ):
            await self._release_kept()

    async def _association(
        self, batch: Sequence[Job], proposals: list[PresentationContextProposal]
    ) -> Association:
        """The kept association, if it carries all of the batch; else a new one."""
        kept = self._kept
        limit = self.peer.window.objects_per_association
        if (
            kept is not None
            and kept.is_open
            and (not limit or self._kept_objects + len(batch) <= limit)
            and all(self._carries(kept, job) for job in batch)
        ):
            return kept
        await self._release_kept()
        await self._associations.acquire()
        try:
            self._kept = await self._opening.open(self.configuration, proposals)
        except BaseException:
            self._associations.release()
            raise
        self._kept_objects = 0
        observation.info(
            "association opened", association=self._kept.identification, peer=self.peer.name
        )
        return self._kept

    def _order(self, job: Job) -> Sequence[tuple[str, str]]:
        """(abstract syntax, transfer syntax) pairs in which the object may go out, best first."""
        return sending_order(job.sop_class_uid, job.transfer_syntax_uid, self._proposal)

    def _contexts(self, association: Association, job: Job) -> list[PresentationContext]:
        """The contexts that the peer accepted for this object, best first."""
        found = (
            association.contexts.find(abstract_syntax, transfer_syntax, scu=True)
            for abstract_syntax, transfer_syntax in self._order(job)
        )
        return [context for context in found if context is not None]

    def _carries(self, association: Association, job: Job) -> bool:
        """Whether an object goes over this association as well as over any other: in the syntax
        that is best for it, or in another where the peer was asked for that one and refused."""
        best, contexts = self._order(job)[:1], self._contexts(association, job)
        if not contexts or not best:
            return False
        taken = contexts[0]
        abstract_syntax, transfer_syntax = best[0]
        if (taken.abstract_syntax, taken.transfer_syntax) == best[0]:
            return True
        request = association.associate_request
        return request is not None and any(
            (each.abstract_syntax, each.transfer_syntaxes) == (abstract_syntax, (transfer_syntax,))
            for each in request.presentation_contexts
        )

    async def _release_kept(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            self._associations.release()
            await kept.release()

    async def _opened(
        self,
        archive: Archive,
        contexts: Sequence[PresentationContext],
        job: Job,
        open_jobs: OpenJobs,
        group: TaskGroup,
    ) -> tuple[PresentationContext, Outgoing] | None:
        """The object as it can go out, and on which context; None when its job is settled."""
        problem: GantryError | None = None
        for context in contexts:
            try:
                outgoing = await open_outgoing(
                    archive, job, context, self._converter, group, self.configuration
                )
                return context, outgoing
            except GantryError as error:
                # Not readable, not changeable as its route wants (a character that its character
                # set has no code for), or not to be had in this transfer syntax, but perhaps in
                # the next: a matter of this object alone.
                problem = error
                if not isinstance(error, LocalError):
                    break
        if problem is None:
            await self.settlement.hold(archive, job, open_jobs, _NOT_TAKEN, SOP_CLASS_NOT_SUPPORTED)
            return None
        reaction = problem.reaction
        if isinstance(reaction, StatusReaction) and may_pass(reaction.status):
            await self.settlement.try_again(archive, job, open_jobs, str(problem))
        else:
            await self.settlement.hold(archive, job, open_jobs, str(problem))
        return None

    async def _send(
        self,
        archive: Archive,
        association: Association,
        job: Job,
        open_jobs: OpenJobs,
        group: TaskGroup,
    ) -> bool:
        """Send one object; whether the peer has it now."""
        contexts = self._contexts(association, job)
        if contexts:
            await self._bandwidth.take(job.size)
        opened = await self._opened(archive, contexts, job, open_jobs, group)
        if opened is None:
            return False
        context, outgoing = opened
        try:
            response = await c_store(
                association,
                context,
                outgoing.sop_class_uid,
                outgoing.sop_instance_uid,
                outgoing.source,
            )
        except StorageError as error:
            # The rest of its data set will never come: this association is of no use any more.
            association.abort()
            await self.settlement.hold(archive, job, open_jobs, str(error))
            raise PeerError("an object could not be read to its end") from error
        except GantryError as error:
            # It may be this very object that the peer cannot bear: others shall go first now.
            await self.settlement.try_again(archive, job, open_jobs, str(error))
            raise PeerError(error.marked) from error
        except BaseException:
            association.abort()
            raise
        finally:
            outgoing.close()
        self._kept_objects += 1
        hold_warnings = self.configuration.delivery.on_warning == "hold"
        return await self.settlement.settle(
            archive, job, open_jobs, response, hold_warnings=hold_warnings
        )
