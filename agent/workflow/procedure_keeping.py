"""What the services of procedures do with what peers ask: kept in the archive, then passed on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from agent import observation
from agent.archive.archive import Archive
from agent.archive.commitments import FailedItem
from agent.archive.decision import RESULT, JobPlan, order_of
from agent.archive.worker_entries import set_step_status
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.errors import StorageError
from agent.loop.workers import WorkerPool
from agent.network.association import Association
from agent.services.performed_procedure_step import EVENTS, FINAL, IN_PROGRESS, STATUS, KeptStep
from agent.services.storage_commitment import CommitmentResult, Reference
from agent.workflow.step_report import StepReport

_WORTH_SENDING_AGAIN = frozenset((0x0110, 0x0112, 0x0213))
"""Failure Reasons that another delivery can mend: no such object, processing failed, resources."""


class StepKeeping:
    """Steps that others report to an entity: kept, reported in turn, and told of (F.7 to F.9)."""

    def __init__(
        self,
        entity: Entity,
        archive: Archive,
        pool: WorkerPool,
        wake: Callable[[str], None],
    ) -> None:
        self._entity = entity
        self._archive = archive
        self._pool = pool
        self._wake = wake

    async def create(self, step: KeptStep, calling_title: str) -> bool:
        attributes = with_character_set(step.attributes)
        if not await self._archive.create_step(step.sop_instance_uid, calling_title, attributes):
            return False
        observation.occasion("step", action="C", step=attributes, calling=calling_title)
        await self._pass_on(StepReport("create", step.sop_instance_uid, attributes), IN_PROGRESS)
        await self._schedule(attributes, IN_PROGRESS)
        return True

    async def change(
        self, sop_instance_uid: str, modification: Attributes, calling_title: str
    ) -> str:
        before = await self._archive.change_step(sop_instance_uid, modification)
        if observation.log.is_audited and before == IN_PROGRESS:
            known = await self._archive.step(sop_instance_uid) or modification
            observation.occasion("step", action="U", step=known, calling=calling_title)
        if before == IN_PROGRESS:
            status = modification.text(STATUS)
            event = status if status in FINAL else "UPDATED"
            await self._pass_on(StepReport("set", sop_instance_uid, modification), event)
            if status in FINAL:
                whole = await self._archive.step(sop_instance_uid)
                if whole is not None:
                    await self._schedule(whole, status)
        return before

    async def get(self, sop_instance_uid: str) -> KeptStep | None:
        found = await self._archive.step(sop_instance_uid)
        return None if found is None else KeptStep(sop_instance_uid, found)

    async def _pass_on(self, report: StepReport, event: str) -> None:
        told = StepReport("event", report.uid, event=EVENTS[event])
        order = order_of(report.uid)
        for peer in self._entity.steps.forward:
            await self._archive.add_job(report.plan(peer), order=order)
            self._wake(peer)
        for peer in self._entity.steps.notify:
            await self._archive.add_job(told.plan(peer), order=order)
            self._wake(peer)

    async def _schedule(self, step: Attributes, status: str) -> None:
        """An entry of our own worklist is under way, or over."""
        for item in step.items_of("ScheduledStepAttributesSequence"):
            identifier = item.text("ScheduledProcedureStepID")
            if not identifier:
                continue
            try:
                await self._pool.call(
                    set_step_status,
                    self._entity.worklist.folder,
                    item.text("StudyInstanceUID"),
                    identifier,
                    status,
                )
            except (OSError, StorageError) as error:
                observation.warning("worklist not updated", step=identifier, error=error)


class CommitmentKeeping:
    """Requests that are made of an entity, and the results of its own (J)."""

    def __init__(
        self,
        entity: Entity,
        configuration: Configuration,
        archive: Archive,
        wake: Callable[[str], None],
    ) -> None:
        self._entity = entity
        self._configuration = configuration
        self._archive = archive
        self._wake = wake

    async def asked(
        self, transaction_uid: str, references: Sequence[Reference], association: Association
    ) -> bool:
        peer = self._configuration.peer_calling(association.calling_ae_title)
        name = peer.name if peer is not None else association.peer
        if peer is None or not peer.addresses:
            raise StorageError(
                "nobody with an address is known under this AE title, so the result could not "
                "be sent",
                clause="PS3.4 J.3.3.1.2",
                value=association.calling_ae_title,
                way_out="Add the caller to the configuration as a [[peer]] with its address.",
            )
        payload = json.dumps({"transaction": transaction_uid, "objects": list(references)})
        plan = JobPlan(RESULT, name, payload=payload.encode())
        if not await self._archive.commitment_asked(transaction_uid, plan):
            return False
        observation.info(
            "commitment asked of us",
            association=association.identification,
            peer=name,
            objects=len(references),
        )
        self._wake(name)
        return True

    async def answered(self, result: CommitmentResult, association: Association) -> bool:
        return await settle_commitment(self._configuration, self._archive, result, self._wake)


async def settle_commitment(
    configuration: Configuration,
    archive: Archive,
    result: CommitmentResult,
    wake: Callable[[str], None],
) -> bool:
    """A peer answered our request: jobs are done, or their objects sent again or held.

    False where no such transaction is outstanding: nothing changes (J.3.3.1.3).
    """
    again = frozenset(
        each.name for each in configuration.peers if each.commitment.failure == "deliver"
    )
    failed = [
        FailedItem(
            each.reference.sop_instance_uid,
            each.words,
            bool(again) and each.reason in _WORTH_SENDING_AGAIN,
        )
        for each in result.failed
    ]
    committed = [each.sop_instance_uid for each in result.committed]
    peer = await archive.commitment_answered(result.transaction_uid, committed, failed)
    if not peer:
        observation.warning("commitment of an unknown transaction", uid=result.transaction_uid)
        return False
    taking = configuration.peer(peer)
    if taking is not None and taking.takes_originals and committed:
        await archive.hand_over(peer, committed)
    log = observation.warning if failed else observation.info
    log("commitment answered", peer=peer, committed=len(committed), failed=len(failed))
    wake(peer)
    return True


class AvailabilityKeeping:
    """Notifications of availability: told in the log, which is all that anybody asked for."""

    async def noted(self, notification: Attributes, calling_title: str) -> None:
        return None
