"""What passes between an association and those who use it: responses, requests, providers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from agent.errors import GantryError, PeerError, StatusReaction
from agent.network import command as c
from agent.network.command import Command
from agent.network.commands import RESPONSE
from agent.network.data_set import DataSetSink, DataSetSource
from agent.network.status import PROCESSING_FAILURE, Category, category, status_text
from agent.quoting import Sentence, quoted

if TYPE_CHECKING:
    from agent.network.association import Association
    from agent.network.negotiation import PresentationContext


@dataclass(slots=True)
class Response:
    """A DIMSE response: its status with what explains it (PS3.7 C.2 to C.5), and its data set.

    `comment` is a `Sentence`; all of a peer's is marked in it. `elements` holds further elements of
    the command set, by element number of group 0000: counters of sub-operations, the UID of a
    created instance. Received data sets are bytes.
    """

    status: int
    comment: str = ""
    offending_elements: tuple[int, ...] = ()
    error_id: int | None = None
    attribute_identifiers: tuple[int, ...] = ()
    elements: Mapping[int, Any] = field(default_factory=dict)
    data_set: bytes | DataSetSource | None = None

    def __post_init__(self) -> None:
        if self.comment:
            self.comment = Sentence(self.comment)

    @property
    def words(self) -> Sentence:
        """The status in words, and the comment."""
        comment = f" {quoted(self.comment)}" if self.comment else ""
        return Sentence(f"{status_text(self.status)}{comment}")

    @property
    def category(self) -> Category:
        return category(self.status)

    @classmethod
    def of(cls, reaction: StatusReaction) -> Response:
        return cls(
            reaction.status,
            reaction.comment,
            reaction.offending_elements,
            reaction.error_id,
            reaction.attribute_identifiers,
        )

    @classmethod
    def received(cls, command: Command, data_set: bytes | None) -> Response:
        elements = command.elements
        return cls(
            command.status,
            f"{quoted(command.error_comment)}",
            elements.get(c.OFFENDING_ELEMENT, ()),
            elements.get(c.ERROR_ID),
            elements.get(c.ATTRIBUTE_IDENTIFIER_LIST, ()),
            elements,
            data_set,
        )

    def command_for(self, request: Command) -> Command:
        """The command set of this response to `request` (PS3.7 9.3, 10.3)."""
        asked = request.elements
        elements: dict[int, Any] = {
            c.MESSAGE_ID_BEING_RESPONDED_TO: asked.get(c.MESSAGE_ID, 0),
            c.STATUS: self.status,
        }
        for affected, requested in _ECHOED:
            value = asked.get(affected) or asked.get(requested)
            if value:
                elements[affected] = value
        for number in (c.EVENT_TYPE_ID, c.ACTION_TYPE_ID):
            if number in asked:
                elements[number] = asked[number]
        if self.comment:
            elements[c.ERROR_COMMENT] = self.comment
        if self.offending_elements:
            elements[c.OFFENDING_ELEMENT] = self.offending_elements
        if self.error_id is not None:
            elements[c.ERROR_ID] = self.error_id
        if self.attribute_identifiers:
            elements[c.ATTRIBUTE_IDENTIFIER_LIST] = self.attribute_identifiers
        elements.update(self.elements)
        return Command(request.field | RESPONSE, elements)


_ECHOED = (
    (c.AFFECTED_SOP_CLASS_UID, c.REQUESTED_SOP_CLASS_UID),
    (c.AFFECTED_SOP_INSTANCE_UID, c.REQUESTED_SOP_INSTANCE_UID),
)


def response_to(error: Exception) -> Response:
    """What the peer is told of an error: its own reaction, or Processing failure (PS3.7 C.5.1)."""
    if isinstance(error, GantryError) and isinstance(error.reaction, StatusReaction):
        return Response.of(error.reaction)
    return Response(PROCESSING_FAILURE, "Processing failure")


class IncomingRequest:
    """An operation that the peer asked for."""

    __slots__ = ("association", "cancelled", "command", "context", "error", "on_cancel", "sink")

    def __init__(
        self, association: Association, context: PresentationContext, command: Command
    ) -> None:
        self.association = association
        self.context = context
        self.command = command
        self.sink: DataSetSink | None = None
        self.cancelled = False
        self.on_cancel: Callable[[], None] | None = None
        """Called when the peer cancels, for what would else not look soon."""
        self.error: GantryError | None = None

    def cancel(self) -> None:
        """The peer has sent C-CANCEL for this operation."""
        self.cancelled = True
        if self.on_cancel is not None:
            self.on_cancel()

    @property
    def message_id(self) -> int:
        return self.command.message_id

    async def respond(self, response: Response) -> None:
        """Send a response before the final one (Pending)."""
        await self.association.send_response(self, response)

    async def respond_each(self, status: int, data_sets: Sequence[bytes]) -> None:
        """A response (Pending) with each of these data sets, written together."""
        await self.association.send_responses(self, Response(status), data_sets)


class ServiceProvider(Protocol):
    """Performs the operations of some presentation contexts."""

    def begin(self, request: IncomingRequest) -> DataSetSink | None:
        """The command is known: choose where the data set goes (None: nowhere).

        A GantryError with a StatusReaction refuses the operation: its data set is drained.
        """

    async def perform(self, request: IncomingRequest) -> Response | None:
        """All of it is there; the final response. None when it was sent with `respond`."""


class AssociationRejected(PeerError):
    """The peer rejected the association; `reject` has its result, source and reason."""

    def __init__(self, reject: Any) -> None:
        from agent.network.rejection import SERVICE_PROVIDER_ACSE, reject_text

        identity = (reject.source, reject.reason) == (SERVICE_PROVIDER_ACSE, 1)
        super().__init__(
            f"the peer rejected the association: {reject_text(reject)}",
            clause="PS3.8 9.3.4",
            value=reject,
            way_out="So peers answer who want a user identity, or another (PS3.7 D.3.3.7.3)."
            if identity
            else "",
        )
        self.reject = reject
