"""Inventory Creation of the Storage Management service class, both roles (PS3.4 KK.2).

N-ACTION asks for an inventory of the studies that match, for its status, or that it be cancelled,
paused or resumed; N-EVENT-REPORT tells of it, on an association that the SCP opens. What a peer
asked for, and what it has to be told, outlives a restart: `Inventories` hands that in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from agent.dataset.attributes import Attributes
from agent.dataset.sop_classes import INVENTORY_CREATION, STORAGE_MANAGEMENT_INSTANCE
from agent.dataset.uid import is_valid_uid
from agent.errors import PeerError
from agent.network import command as c
from agent.network.association import Association, IncomingRequest, Response
from agent.network.commands import (
    N_ACTION_RQ,
    N_EVENT_REPORT_RQ,
    n_action_rq,
    n_event_report_rq,
)
from agent.network.data_set import MemorySink
from agent.network.negotiation import ContextNeed
from agent.network.status import SUCCESS
from agent.network.user_information import RoleSelection
from agent.quoting import quoted
from agent.services.data_sets import (
    MESSAGE_SYNTAXES,
    context_for,
    data_set_of,
    encoded,
    sink_for,
)
from agent.services.storage_commitment import (
    INVALID_ARGUMENT_VALUE,
    NO_SUCH_ACTION,
    NO_SUCH_EVENT_TYPE,
    NO_SUCH_SOP_INSTANCE,
)

INITIATE, REQUEST_STATUS, CANCEL, PAUSE, RESUME = 11, 12, 13, 14, 15
"""Action Type IDs (Table KK.2-1)."""
ACTIONS = {
    "initiate": INITIATE,
    "status": REQUEST_STATUS,
    "cancel": CANCEL,
    "pause": PAUSE,
    "resume": RESUME,
}
TERMINATED_WITH_INSTANCES, INVENTORY_STATUS, TERMINATED_WITHOUT_INSTANCES = 11, 12, 13
"""Event Type IDs (Table KK.2-2)."""
EVENTS = {
    TERMINATED_WITH_INSTANCES: "Inventory Terminated with Instances",
    INVENTORY_STATUS: "Inventory Status",
    TERMINATED_WITHOUT_INSTANCES: "Inventory Terminated without Instances",
}

PROCESSING, PAUSED, COMPLETE, FAILURE, CANCELED = (
    "PROCESSING",
    "PAUSED",
    "COMPLETE",
    "FAILURE",
    "CANCELED",
)
"""Values of Transaction Status (KK.2.1.1)."""
TERMINAL = frozenset((COMPLETE, FAILURE, CANCELED))

LEVELS = ("STUDY", "SERIES", "INSTANCE")
"""Values of Inventory Level (0008,0403)."""

MISTYPED_ARGUMENT = 0x0212
KEYS_NOT_SUPPORTED = 0xB010
"""Statuses of Table KK.2.2.3-1."""

REPORTER = RoleSelection(INVENTORY_CREATION, scu=False, scp=True)
"""What an SCP proposes when it opens the association for its events (KK.1.3.1)."""
_NAME = "Inventory Creation"


class Outcome(NamedTuple):
    """The status of an N-ACTION, with Error Comment, and the keys that are not matched."""

    status: int = SUCCESS
    comment: str = ""
    unsupported: tuple[int, ...] = ()


def inventory_need() -> ContextNeed:
    """What has to be negotiated, in either role."""
    return ContextNeed(INVENTORY_CREATION, MESSAGE_SYNTAXES)


# As SCU.


async def act(association: Association, action: int, information: Attributes) -> Response:
    """N-ACTION on the well-known instance (KK.2.2.2). Raises PeerError."""
    context = context_for(association, INVENTORY_CREATION, _NAME)
    command = n_action_rq(
        association.next_message_id(), INVENTORY_CREATION, STORAGE_MANAGEMENT_INSTANCE, action
    )
    return await association.request(context, command, encoded(information, context))


class InventoryEventProvider:
    """Takes the events of inventories that we asked for (KK.2.3.3)."""

    def __init__(self, take: Callable[[int, Attributes], bool]) -> None:
        """`take` is told of an event, and says whether its transaction is one of ours."""
        self._take = take

    def begin(self, request: IncomingRequest) -> MemorySink | None:
        return sink_for(request, frozenset((N_EVENT_REPORT_RQ,)), "PS3.4 KK.2.3")

    async def perform(self, request: IncomingRequest) -> Response:
        event = request.command.elements.get(c.EVENT_TYPE_ID)
        if event not in EVENTS:
            return Response(NO_SUCH_EVENT_TYPE, "There is no such event")
        if self._take(event, data_set_of(request)):
            return Response(SUCCESS)
        return Response(INVALID_ARGUMENT_VALUE, "Transaction UID is not known")


# As SCP.


async def report(association: Association, event: int, information: Attributes) -> Response:
    """N-EVENT-REPORT (KK.2.3.2). Raises PeerError when we are not SCP on this association, or it
    ends."""
    context = association.contexts.find(INVENTORY_CREATION, scp=True)
    if context is None:
        raise PeerError(
            "the peer takes no events of inventories on this association", clause="PS3.4 KK.1.3.1"
        )
    command = n_event_report_rq(
        association.next_message_id(), INVENTORY_CREATION, STORAGE_MANAGEMENT_INSTANCE, event
    )
    return await association.request(context, command, encoded(information, context))


class Inventories(Protocol):
    """Who makes inventories. What is accepted is durable when a call returns; all raise
    StorageError where it cannot be kept."""

    async def initiate(
        self, transaction: str, information: Attributes, association: Association
    ) -> Outcome:
        """A peer wants an inventory."""

    async def change(self, transaction: str, action: int, information: Attributes) -> Outcome:
        """Status, cancel, pause or resume of one that was initiated."""


class InventoryCreationProvider:
    """Performs N-ACTION."""

    def __init__(self, inventories: Inventories) -> None:
        self._inventories = inventories

    def begin(self, request: IncomingRequest) -> MemorySink | None:
        return sink_for(request, frozenset((N_ACTION_RQ,)), "PS3.4 KK.2.2")

    async def perform(self, request: IncomingRequest) -> Response:
        action: int = request.command.elements.get(c.ACTION_TYPE_ID, 0)
        if action not in ACTIONS.values():
            return Response(NO_SUCH_ACTION, "There is no such action")
        if request.command.requested_sop_instance_uid != STORAGE_MANAGEMENT_INSTANCE:
            return Response(NO_SUCH_SOP_INSTANCE, "Not the well-known instance")
        information = data_set_of(request)
        transaction = information.text("TransactionUID")
        if not is_valid_uid(transaction):
            return Response(INVALID_ARGUMENT_VALUE, "No Transaction UID")
        if action == INITIATE:
            outcome = await self._inventories.initiate(
                transaction, information, request.association
            )
        else:
            outcome = await self._inventories.change(transaction, action, information)
        return Response(
            outcome.status, f"{quoted(outcome.comment)}", attribute_identifiers=outcome.unsupported
        )
