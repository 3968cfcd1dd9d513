"""What peers are told of the inventories that they asked for: jobs of the queue (PS3.4 KK.2.3)."""

from __future__ import annotations

from agent.archive.decision import INVENTORY, JobPlan, order_of
from agent.archive.inventory_requests import InventoryState
from agent.archive.object_models import INVENTORY as INVENTORY_MODEL
from agent.archive.procedure_steps import pack, unpack
from agent.dataset.attributes import Attributes
from agent.network.association import Association, Response
from agent.services.inventory_creation import (
    INVENTORY_STATUS,
    TERMINATED_WITH_INSTANCES,
    TERMINATED_WITHOUT_INSTANCES,
    report,
)


def status_event(state: InventoryState) -> tuple[JobPlan, int]:
    """Event 12: how far a transaction is; the job, and its order."""
    return _job(state, INVENTORY_STATUS, _told(state, with_records=True))


def end_event(state: InventoryState, root: str, retrieve_title: str) -> tuple[JobPlan, int]:
    """Event 11, with the root instance and where it can be had, or 13 where there is none."""
    if not root:
        return _job(state, TERMINATED_WITHOUT_INSTANCES, _told(state))
    told = _told(state, with_records=True)
    (sop_class_uid,) = INVENTORY_MODEL.stored
    told.set("ReferencedSOPClassUID", sop_class_uid)
    told.set("ReferencedSOPInstanceUID", root)
    # KK.2.3.1.1: either this, or Retrieve URL.
    told.set("RetrieveAETitle", retrieve_title)
    return _job(state, TERMINATED_WITH_INSTANCES, told)


def _told(state: InventoryState, *, with_records: bool = False) -> Attributes:
    told = Attributes(TransactionUID=state.transaction, TransactionStatus=state.status)
    if state.comment:
        told.set("TransactionStatusComment", state.comment)
    if with_records:
        told.set("TotalNumberOfStudyRecords", state.records)
    return told


def _job(state: InventoryState, event: int, told: Attributes) -> tuple[JobPlan, int]:
    payload = bytes((event,)) + pack(told)
    return JobPlan(INVENTORY, state.peer, payload=payload), order_of(state.transaction)


async def report_event(association: Association, payload: bytes) -> Response:
    """Send the event of a job. Raises PeerError."""
    return await report(association, payload[0], unpack(payload[1:]))
