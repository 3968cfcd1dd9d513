"""Delivery to one peer: its queue, its associations, its moods.

A dead peer keeps nobody waiting but itself: each destination has its own task, its own back-off,
and its own place in the queue.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress

from agent import observation
from agent.archive.archive import Archive
from agent.archive.decision import DELIVER
from agent.archive.records import Job
from agent.archive.retry import Again, after_failure
from agent.archive.settings import RetryPolicy
from agent.configuration.configuration import Configuration
from agent.configuration.peer import Peer
from agent.errors import GantryError, PeerError, StorageError
from agent.loop import Event, Limit, TaskGroup, TimedOut, now, shielded, sleep_until, timeout
from agent.network.association import Association
from agent.network.connection import Resolve
from agent.network.negotiation import propose
from agent.network.status import Category, category, status_text
from agent.network.tls import client_context
from agent.network.transport import open_association
from agent.network.user_information import UserInformation
from agent.services.offer import implementation_of
from agent.services.storage import c_store, capability_of
from agent.services.storage_negotiation import (
    Proposal,
    common_extended_items,
    context_needs,
    extended_items,
    sending_order,
)
from agent.workflow.outgoing import open_outgoing

DELIVERED = observation.metrics.counter(
    "gantry_delivered_total", "Objects that a peer confirmed", "peer"
)
FAILED = observation.metrics.counter("gantry_delivery_failures_total", "Tries that failed", "peer")
LAST_SUCCESS = observation.metrics.gauge(
    "gantry_delivery_last_success_seconds", "Time of the last confirmed object", "peer"
)


class Destination:
    """One peer and all that is to be delivered to it."""

    def __init__(
        self,
        peer: Peer,
        configuration: Configuration,
        archives: Mapping[str, Archive],
        associations: Limit,
        resolve: Resolve | None,
    ) -> None:
        self.peer = peer
        self.failures = 0
        self.last_reason = ""
        self.last_success = 0.0
        self.delivered = 0
        self._configuration = configuration
        self._archives = archives
        self._associations = associations
        self._resolve = resolve
        self._work = Event()
        self._hurried = Event()
        self._kept: Association | None = None
        self._kept_objects = 0
        self._free_at = 0.0
        entity = configuration.entity(peer.entity)
        self._capability = (
            capability_of(entity) if entity and entity.services_of("storage", "scp") else None
        )
        retry = peer.retry or configuration.delivery.retry
        self._policy = RetryPolicy(
            retry.first, retry.factor, retry.longest, retry.jitter, retry.attempts, retry.age
        )
        self._proposal = Proposal(
            tuple(peer.transfer_syntaxes), tuple(peer.never_propose), conversion=False
        )

    def wake(self) -> None:
        """There may be something to do."""
        self._work.set()

    def hurry(self) -> None:
        """A person wants it tried now: do not wait for the back-off."""
        self._hurried.set()
        self._work.set()

    async def run(self) -> None:
        """Deliver until cancelled; what was claimed then goes back to the queue."""
        try:
            while True:
                worked = False
                for archive in self._archives.values():
                    worked = await self._deliver_from(archive) or worked
                if not worked:
                    await self._wait()
        finally:
            with shielded():
                await self._release_kept()

    async def _wait(self) -> None:
        """Until there is something to do: woken, a job is due, or the kept association is idle."""
        due = [await archive.next_due(self.peer.name) for archive in self._archives.values()]
        waits = [each for each in due if each is not None]
        limit = min([3600.0, *(max(0.01, each) for each in waits)])
        if self._kept is not None:
            limit = min(limit, max(0.01, self.peer.window.idle))
        self._work.clear()
        try:
            with timeout(limit):
                await self._work.wait()
        except TimedOut:
            await self._release_kept()

    async def _deliver_from(self, archive: Archive) -> bool:
        jobs = await archive.claim(
            self.peer.name, self._configuration.delivery.batch, kinds=(DELIVER,)
        )
        if not jobs:
            return False
        open_jobs = {job.id for job in jobs}
        try:
            await self._deliver(archive, jobs, open_jobs)
            self.failures = 0
        except PeerError as error:
            await self._after_failure(archive, open_jobs, error)
        finally:
            if open_jobs:
                with shielded():
                    await archive.release(sorted(open_jobs))
        return True

    async def _after_failure(self, archive: Archive, open_jobs: set[int], error: PeerError) -> None:
        """The peer as a whole failed: the jobs go back untouched, and the peer gets its time."""
        self.failures += 1
        self.last_reason = str(error)
        FAILED.of(self.peer.name).add()
        await self._release_kept()
        await archive.release(sorted(open_jobs))
        open_jobs.clear()
        again = after_failure(self._policy, attempts=self.failures, age=0.0, chance=random.random())
        wait = again.delay if isinstance(again, Again) else self._policy.longest
        observation.warning(
            "delivery failed", peer=self.peer.name, error=error, failures=self.failures, wait=wait
        )
        self._hurried.clear()
        with suppress(TimedOut), timeout(wait):
            await self._hurried.wait()

    async def _deliver(self, archive: Archive, jobs: list[Job], open_jobs: set[int]) -> None:
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
            batch = [
                job for job in left if (job.sop_class_uid, job.transfer_syntax_uid) in proposed
            ]
            if not batch:
                continue
            left = [job for job in left if job not in batch]
            await self._send_batch(archive, batch, open_jobs)
        for job in left:
            await self._hold(archive, job, open_jobs, "its transfer syntax is never proposed")

    async def _send_batch(self, archive: Archive, batch: list[Job], open_jobs: set[int]) -> None:
        association = await self._association(batch)
        window = association.window.invoked or self.peer.window.operations or 1
        waiting = iter(batch)

        async def sender() -> None:
            for job in waiting:
                await self._send(archive, association, job, open_jobs)

        async with TaskGroup() as group:
            for _ in range(max(1, min(window, len(batch)))):
                group.start(sender(), f"delivery to {self.peer.name}")
        limit = self.peer.window.objects_per_association
        used_up = limit and self._kept_objects >= limit
        if not self.peer.window.reuse or used_up or self.peer.quirks.association_per_study:
            await self._release_kept()

    async def _association(self, batch: Sequence[Job]) -> Association:
        """The kept association, if it carries all of the batch; else a new one."""
        kept = self._kept
        if (
            kept is not None
            and kept.is_open
            and all(kept.contexts.find(j.sop_class_uid, j.transfer_syntax_uid) for j in batch)
        ):
            return kept
        await self._release_kept()
        needs = context_needs(
            ((job.sop_class_uid, job.transfer_syntax_uid) for job in batch), self._proposal
        )
        proposals = propose(needs)[0]
        classes = list(dict.fromkeys(each.abstract_syntax for each in proposals))
        class_uid, version_name = implementation_of(self._configuration)
        entity = self._configuration.entity(self.peer.entity)
        extended = not self.peer.quirks.plain_negotiation and (
            entity is None or entity.extended_negotiation
        )
        operations = self.peer.window.operations
        await self._associations.acquire()
        try:
            self._kept = await open_association(
                self._addresses(),
                called_ae_title=self.peer.title,
                calling_ae_title=self.peer.calling_title,
                proposals=proposals,
                information=UserInformation(
                    self.peer.maximum_pdu,
                    class_uid,
                    version_name,
                    asynchronous_operations_window=None if operations == 1 else (operations, 1),
                    extended=extended_items(classes, self._capability) if extended else (),
                    common_extended=common_extended_items(classes) if extended else (),
                ),
                timers=self.peer.timers,
                socket=self.peer.socket,
                ssl_context=client_context(self.peer.tls),
                server_name=self.peer.tls.server_name if self.peer.tls else "",
                longest_sent_pdu=self.peer.longest_sent_pdu,
                resolve=self._resolve,
            )
        except BaseException:
            self._associations.release()
            raise
        self._kept_objects = 0
        observation.info(
            "association opened", association=self._kept.identification, peer=self.peer.name
        )
        return self._kept

    def _addresses(self) -> list[tuple[str, int]]:
        return [(each.host, each.port) for each in self.peer.addresses]

    async def _release_kept(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            self._associations.release()
            await kept.release()

    async def _send(
        self, archive: Archive, association: Association, job: Job, open_jobs: set[int]
    ) -> None:
        context = None
        for abstract_syntax, syntax in sending_order(
            job.sop_class_uid, job.transfer_syntax_uid, self._proposal
        ):
            context = association.contexts.find(abstract_syntax, syntax, scu=True)
            if context is not None:
                break
        if context is None:
            await self._hold(
                archive,
                job,
                open_jobs,
                "the peer does not take this SOP class in this transfer syntax",
            )
            return
        await self._keep_to_bandwidth(job.size)
        try:
            outgoing = open_outgoing(archive.path_of(job), job, context.abstract_syntax)
        except StorageError as error:
            await self._hold(archive, job, open_jobs, str(error))
            return
        try:
            response = await c_store(
                association,
                context,
                outgoing.sop_class_uid,
                outgoing.sop_instance_uid,
                outgoing.source,
            )
        except StorageError as error:
            await self._hold(archive, job, open_jobs, str(error))
            raise PeerError("an object could not be read to its end") from error
        except GantryError as error:
            raise PeerError(str(error)) from error
        finally:
            outgoing.close()
        self._kept_objects += 1
        said = f"{status_text(response.status)} {response.comment}".strip()
        await self._settle(archive, job, open_jobs, response.status, said)

    async def _settle(
        self, archive: Archive, job: Job, open_jobs: set[int], status: int, said: str
    ) -> None:
        """What the peer's answer makes of the job (PS3.4 Table B.2-1)."""
        kind = category(status)
        if kind is Category.SUCCESS or (
            kind is Category.WARNING and self._configuration.delivery.on_warning == "done"
        ):
            open_jobs.discard(job.id)
            await archive.finish(job.id, status=status, reason=said)
            self.delivered += 1
            self.last_success = now()
            DELIVERED.of(self.peer.name).add()
            return
        self.last_reason = said
        FAILED.of(self.peer.name).add()
        observation.warning("object refused", peer=self.peer.name, job=job.id, status=said)
        if status & 0xFF00 == 0xA700 or status in (0x0110, 0x0213):
            open_jobs.discard(job.id)
            await archive.retry(job.id, reason=said, status=status)
            return
        await self._hold(archive, job, open_jobs, said, status)

    async def _hold(
        self, archive: Archive, job: Job, open_jobs: set[int], reason: str, status: int = 0
    ) -> None:
        self.last_reason = reason
        open_jobs.discard(job.id)
        await archive.hold(job.id, reason, status=status)

    async def _keep_to_bandwidth(self, size: int) -> None:
        rate = self.peer.window.bandwidth
        if rate:
            if self._free_at > now():
                await sleep_until(self._free_at)
            self._free_at = max(self._free_at, now()) + size / rate
