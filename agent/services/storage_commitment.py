"""The Storage Commitment Push Model, both roles (PS3.4 Annex J).

The answer to a request comes hours or days later, on the same association or on one that the other
side opens; both roles therefore stand on what is kept on disk: `Commitments` hands that in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from agent.configuration.entity import Entity
from agent.dataset.attributes import Attributes
from agent.dataset.sop_classes import STORAGE_COMMITMENT_PUSH_MODEL
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
from agent.network.status import PROCESSING_FAILURE, SUCCESS
from agent.network.user_information import RoleSelection
from agent.services.data_sets import (
    MESSAGE_SYNTAXES,
    context_for,
    data_set_of,
    encoded,
    sink_for,
)
from agent.services.service import Service, Support

WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST_STORAGE_COMMITMENT = 1
ALL_SUCCESSFUL, FAILURES_EXIST = 1, 2

NO_SUCH_ACTION = 0x0123
NO_SUCH_EVENT_TYPE = 0x0113
NO_SUCH_SOP_INSTANCE = 0x0112
INVALID_ARGUMENT_VALUE = 0x0115

FAILURE_REASONS = {
    0x0110: "Processing failure",
    0x0112: "No such object instance",
    0x0119: "Class / Instance conflict",
    0x0122: "Referenced SOP Class not supported",
    0x0131: "Duplicate transaction UID",
    0x0213: "Resource limitation",
}
"""Values of Failure Reason (0008,1197), PS3.3 C.14.1.1."""


class Reference(NamedTuple):
    """One object that a request or a result is about."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An object that is not committed, with the Failure Reason."""

    reference: Reference
    reason: int

    @property
    def words(self) -> str:
        """The reason for people."""
        return f"{self.reason:04X}H {FAILURE_REASONS.get(self.reason, 'Failure')}"


@dataclass(frozen=True, slots=True)
class CommitmentResult:
    """What a report says of a transaction; `retrieve_ae_titles` where the objects can be had."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[Failure, ...]
    retrieve_ae_titles: tuple[str, ...] = ()


def commitment_need() -> ContextNeed:
    """What has to be negotiated, in either role."""
    return ContextNeed(STORAGE_COMMITMENT_PUSH_MODEL, MESSAGE_SYNTAXES)


REPORTER = RoleSelection(STORAGE_COMMITMENT_PUSH_MODEL, scu=False, scp=True)
"""What an SCP proposes when it opens the association for its report (J.3.3.1.2)."""


async def request_commitment(
    association: Association, transaction_uid: str, references: Iterable[Reference]
) -> Response:
    """N-ACTION: ask the peer to keep these (J.3.2.1). Each is named once (J.3.2.1.2).

    Success means that it will answer; by anything else the transaction is over, and its UID must
    not be used again. Raises PeerError when no context was accepted or the association ends.
    """
    context = context_for(association, STORAGE_COMMITMENT_PUSH_MODEL, "Storage Commitment")
    information = Attributes(TransactionUID=transaction_uid)
    information.set("ReferencedSOPSequence", _items(dict.fromkeys(references)))
    command = n_action_rq(
        association.next_message_id(),
        STORAGE_COMMITMENT_PUSH_MODEL,
        WELL_KNOWN_INSTANCE,
        REQUEST_STORAGE_COMMITMENT,
    )
    return await association.request(context, command, encoded(information, context))


async def report_commitment(
    association: Association, result: CommitmentResult, retrieve_ae_title: str = ""
) -> Response:
    """N-EVENT-REPORT: tell the requester (J.3.3.1). Event 1 only where nothing failed.

    Raises PeerError when we are not SCP on this association, or it ends.
    """
    context = association.contexts.find(STORAGE_COMMITMENT_PUSH_MODEL, scp=True)
    if context is None:
        raise PeerError(
            "the peer takes no results of storage commitment on this association",
            clause="PS3.4 J.3.3.1.2",
        )
    information = Attributes(TransactionUID=result.transaction_uid)
    if retrieve_ae_title:
        information.set("RetrieveAETitle", retrieve_ae_title)
    if result.committed or not result.failed:
        information.set("ReferencedSOPSequence", _items(result.committed))
    if result.failed:
        failed = _items(each.reference for each in result.failed)
        for item, failure in zip(failed, result.failed, strict=True):
            item.set("FailureReason", failure.reason)
        information.set("FailedSOPSequence", failed)
    command = n_event_report_rq(
        association.next_message_id(),
        STORAGE_COMMITMENT_PUSH_MODEL,
        WELL_KNOWN_INSTANCE,
        FAILURES_EXIST if result.failed else ALL_SUCCESSFUL,
    )
    return await association.request(context, command, encoded(information, context))


def _items(references: Iterable[Reference]) -> list[Attributes]:
    return [
        Attributes(
            ReferencedSOPClassUID=each.sop_class_uid, ReferencedSOPInstanceUID=each.sop_instance_uid
        )
        for each in references
    ]


def _references(information: Attributes, sequence: str) -> list[Reference]:
    return [
        Reference(item.text("ReferencedSOPClassUID"), item.text("ReferencedSOPInstanceUID"))
        for item in information.items_of(sequence)
    ]


def result_of(information: Attributes) -> CommitmentResult:
    """A report as it was received; Retrieve AE Title inside or outside the items (J.3.3.1.1)."""
    failed = tuple(
        Failure(
            Reference(item.text("ReferencedSOPClassUID"), item.text("ReferencedSOPInstanceUID")),
            item.number("FailureReason", PROCESSING_FAILURE),
        )
        for item in information.items_of("FailedSOPSequence")
    )
    titles = dict.fromkeys(
        title
        for place in (information, *information.items_of("ReferencedSOPSequence"))
        for title in place.texts("RetrieveAETitle")
        if title
    )
    return CommitmentResult(
        information.text("TransactionUID"),
        tuple(_references(information, "ReferencedSOPSequence")),
        failed,
        tuple(titles),
    )


class Commitments(Protocol):
    """What is kept of transactions; every call is durable when it returns."""

    async def asked(
        self, transaction_uid: str, references: Sequence[Reference], association: Association
    ) -> bool:
        """A peer asks us to commit; False where this transaction is known already.

        Raises StorageError where it cannot be kept, which refuses the request."""

    async def answered(self, result: CommitmentResult, association: Association) -> bool:
        """A peer answered us; False where we know no such transaction: nothing has changed."""


class CommitmentProvider:
    """Takes requests as SCP, and results as SCU."""

    def __init__(self, commitments: Commitments) -> None:
        self._commitments = commitments

    def begin(self, request: IncomingRequest) -> MemorySink | None:
        fields = frozenset((N_ACTION_RQ, N_EVENT_REPORT_RQ))
        return sink_for(request, fields, "PS3.4 J.3.1")

    async def perform(self, request: IncomingRequest) -> Response:
        information = data_set_of(request)
        transaction = information.text("TransactionUID")
        if request.command.field == N_EVENT_REPORT_RQ:
            return await self._reported(request, information)
        if request.command.elements.get(c.ACTION_TYPE_ID) != REQUEST_STORAGE_COMMITMENT:
            return Response(NO_SUCH_ACTION, "There is no such action")
        if request.command.requested_sop_instance_uid != WELL_KNOWN_INSTANCE:
            return Response(NO_SUCH_SOP_INSTANCE, "Not the well-known instance")
        references = _references(information, "ReferencedSOPSequence")
        if not is_valid_uid(transaction) or not references:
            return Response(INVALID_ARGUMENT_VALUE, "No Transaction UID, or nothing to commit")
        if len(set(references)) < len(references):
            return Response(INVALID_ARGUMENT_VALUE, "An instance is named more than once")
        if not await self._commitments.asked(transaction, references, request.association):
            return Response(PROCESSING_FAILURE, "Transaction UID was used before")
        return Response(SUCCESS)

    async def _reported(self, request: IncomingRequest, information: Attributes) -> Response:
        event = request.command.elements.get(c.EVENT_TYPE_ID)
        if event not in (ALL_SUCCESSFUL, FAILURES_EXIST):
            return Response(NO_SUCH_EVENT_TYPE, "There is no such event")
        result = result_of(information)
        if await self._commitments.answered(result, request.association):
            return Response(SUCCESS)
        return Response(PROCESSING_FAILURE, "Transaction UID is not known")


def _provider(entity: Entity, support: Support) -> CommitmentProvider:
    return CommitmentProvider(support.commitments_of(entity))


SERVICE = Service(
    name="commitment",
    meaning="N-ACTION, N-EVENT-REPORT: who is responsible",
    clause="J",
    roles=("scu", "scp"),
    sop_classes=frozenset((STORAGE_COMMITMENT_PUSH_MODEL,)),
    default_sop_classes=(STORAGE_COMMITMENT_PUSH_MODEL,),
    provider=_provider,
    called_as_scu=True,
)
