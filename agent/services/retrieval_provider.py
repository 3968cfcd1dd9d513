"""C-MOVE and C-GET as SCP (PS3.4 C.4.2.3, C.4.3.3, Y.4.1.3, Z.4.2.3).

The provider reads the request, has its sub-operations performed, and answers. A C-CANCEL ends it
at once, save that an object under way may be finished. When the association of the request ends,
its sub-operations end too (the standard leaves that open: C.4.2.3.1, note).
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from agent.archive.object_models import object_selection_of
from agent.archive.selection import Selection, selection_of
from agent.configuration.entity import Entity
from agent.dataset.attributes import Attributes
from agent.errors import PeerError, StatusReaction, StorageError
from agent.loop import Task, TaskGroup, TimedOut, timeout
from agent.network import command as c
from agent.network.association import IncomingRequest, Response
from agent.network.commands import C_MOVE_RQ
from agent.network.data_set import MemorySink
from agent.services.data_sets import data_set_of, extended_information, sink_for
from agent.services.retrieval import (
    COMPOSITE_INSTANCE_ROOT,
    RETRIEVES,
    WITHOUT_BULK_DATA,
    Order,
    Retrievals,
)
from agent.services.sub_operations import UNABLE_TO_CALCULATE_NUMBER_OF_MATCHES, SubOperations

if TYPE_CHECKING:
    from agent.objects.frame_selection import FrameSelection

UNABLE_TO_PROCESS = 0xC000

_LEVEL = 0x0008_0052

_SIGN_OF_LIFE = 10.0
"""Seconds without a Pending response before one is sent all the same."""
_CLAUSES = {C_MOVE_RQ: "PS3.4 C.4.2"}


class RetrievalProvider:
    """Answers C-MOVE and C-GET for one entity."""

    def __init__(self, entity: Entity, retrievals: Retrievals) -> None:
        self._retrievals = retrievals
        self._grace = entity.retrieval.grace

    def begin(self, request: IncomingRequest) -> MemorySink | None:
        field = RETRIEVES[request.context.abstract_syntax].field
        return sink_for(request, frozenset((field,)), _CLAUSES.get(field, "PS3.4 C.4.3"))

    async def perform(self, request: IncomingRequest) -> Response:
        order = self._order(request)
        operations = SubOperations(request)
        try:
            await self._carry_out(self._retrievals.perform(order, operations), operations, order)
        except StorageError as error:
            if not operations.begun:
                raise _refused(
                    UNABLE_TO_CALCULATE_NUMBER_OF_MATCHES, "The index cannot be read"
                ) from error
            operations.fail_rest()
        return operations.final()

    def _order(self, request: IncomingRequest) -> Order:
        try:
            identifier = data_set_of(request)
        except PeerError as error:
            raise _refused(UNABLE_TO_PROCESS, "Identifier cannot be read") from error
        command = request.command
        moves = command.field == C_MOVE_RQ
        model = RETRIEVES[request.context.abstract_syntax].model
        frames = None
        if model is COMPOSITE_INSTANCE_ROOT and identifier.text(_LEVEL) == "FRAME":
            frames = _frames_of(identifier)
            identifier = Attributes(
                QueryRetrieveLevel="IMAGE", SOPInstanceUID=identifier.texts("SOPInstanceUID")
            )
        return Order(
            request.association,
            self._selection(request, identifier),
            str(command.elements[c.MOVE_DESTINATION]).strip() if moves else None,
            command.elements.get(c.PRIORITY, 0),
            frames,
            model is WITHOUT_BULK_DATA,
        )

    def _selection(self, request: IncomingRequest, identifier: Attributes) -> Selection:
        sop_class_uid = request.context.abstract_syntax
        retrieve = RETRIEVES[sop_class_uid]
        if retrieve.model.stored:
            return object_selection_of(retrieve.model, identifier)
        agreed = extended_information(request.association, sop_class_uid)[:1] == b"\1"
        relational = retrieve.is_relational and (
            agreed or request.association.peer in self._retrievals.relational_peers
        )
        # Instances of Y and Z have no level above (Y.6.1.1.1, Z.6.1.1.1).
        return selection_of(retrieve.model, identifier, relational=relational)

    async def _carry_out(
        self, work: Coroutine[Any, Any, None], operations: SubOperations, order: Order
    ) -> None:
        async def stop(working: Task[None]) -> None:
            await operations.cancelled.wait()
            # Half an object cannot be taken back from the association of the request itself.
            limit = None if order.destination is None else self._grace
            with suppress(TimedOut), timeout(limit):
                await operations.idle.wait()
            working.cancel()

        async with TaskGroup() as group:
            working = group.start(work, "sub-operations")
            beside = (
                group.start(operations.keep_telling(_SIGN_OF_LIFE), "signs of life"),
                group.start(stop(working), "cancel"),
            )

            def ended(_: Task[None]) -> None:
                for each in beside:
                    each.cancel()

            working.when_done(ended)


def _frames_of(identifier: Attributes) -> FrameSelection:
    """The frames of one instance. Raises PeerError with AA04H for more, or less, than that."""
    from agent.objects.frame_selection import INVALID_REQUEST, frame_selection_of

    if len([each for each in identifier.texts("SOPInstanceUID") if each]) != 1:
        raise _refused(INVALID_REQUEST, "Frames are those of one SOP Instance UID")
    return frame_selection_of(identifier)


def relational_answer(information: bytes, *, relational: bool) -> bytes | None:
    """The answer to SOP Class Extended Negotiation (C.5.3.1.2): as many bytes as were offered, at
    most the two that there are; conversion of multi-frame images is turned down."""
    agreed = relational and information[:1] == b"\1"
    return bytes((int(agreed), 0))[: len(information)] if information else None


def _refused(status: int, comment: str) -> PeerError:
    return PeerError(comment, clause="PS3.4 C.4", reaction=StatusReaction(status, comment))
