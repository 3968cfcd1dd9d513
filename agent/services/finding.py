"""C-FIND, both roles, for every service class that has it (PS3.7 9.1.2, PS3.4 C.4.1, K.4.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from agent import observation
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import encode_attributes
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES
from agent.errors import GantryError, PeerError, StatusReaction
from agent.loop import Event, TaskGroup, turn
from agent.network.accepted_contexts import PresentationContext
from agent.network.association import Association, IncomingRequest, Response
from agent.network.commands import C_FIND_RQ, c_find_rq
from agent.network.data_set import BytesSource, MemorySink
from agent.network.status import CANCEL, PENDING, PENDING_WITH_WARNINGS, SUCCESS
from agent.quoting import quoted
from agent.services.data_sets import context_for, data_set_of, decoded_from, encoded, sink_for

UNABLE_TO_PROCESS = 0xC000
IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS = 0xA900


@dataclass(slots=True)
class Found:
    """What a query came to.

    `truncated` says that it was stopped at the most that was asked for; `optional_keys_ignored`
    that the peer answered FF01H: it does not match all keys, so filter what it sent.
    """

    response: Response = field(default_factory=lambda: Response(SUCCESS))
    matches: list[Attributes] = field(default_factory=list)
    truncated: bool = False
    optional_keys_ignored: bool = False


async def c_find(
    association: Association,
    sop_class_uid: str,
    identifier: Attributes,
    *,
    most: int = 0,
    priority: int = 0,
    accept: Callable[[Attributes], bool] | None = None,
    name: str = "this query",
) -> Found:
    """Ask, and gather the matches; at `most` (0: no bound) the operation is cancelled (C-CANCEL).

    With `accept` matches go there and are not kept; it says of each whether it counts. Raises
    PeerError when the peer took no context for it, when a match cannot be read, and when the
    association ends.
    """
    context = context_for(association, sop_class_uid, name)
    asked = _asked(association, identifier, context)
    command = c_find_rq(association.next_message_id(), sop_class_uid, priority)
    found = Found()
    enough = Event()
    faults: list[GantryError] = []
    count = 0
    passed_over = False

    def take(response: Response) -> None:
        nonlocal count, passed_over
        if found.truncated or faults:
            # What was under way when we cancelled.
            passed_over = True
            return
        found.optional_keys_ignored |= response.status == PENDING_WITH_WARNINGS
        data = response.data_set
        try:
            match = decoded_from(data if isinstance(data, bytes) else None, context)
        except GantryError as error:
            faults.append(error)
            enough.set()
            return
        if accept is not None:
            count += accept(match)
        else:
            count += 1
            found.matches.append(match)
        if most and count >= most:
            found.truncated = True
            enough.set()

    async def stop() -> None:
        await enough.wait()
        if association.is_open:
            await association.cancel(context, command.message_id)

    async with TaskGroup() as group:
        stopping = group.start(stop(), "cancel C-FIND")
        found.response = await association.request(context, command, asked, on_response=take)
        stopping.cancel()
    if faults:
        raise faults[0]
    # A last match that came by itself is no truncation.
    found.truncated = found.truncated and (passed_over or found.response.status != SUCCESS)
    return found


def _asked(
    association: Association, identifier: Attributes, context: PresentationContext
) -> BytesSource:
    data = encode_attributes(identifier, TRANSFER_SYNTAXES[context.transfer_syntax])
    observation.occasion(
        "query", association=association, context=context, identifier=data, asked_by_us=True
    )
    return BytesSource(data)


def note_query(request: IncomingRequest) -> None:
    """For the audit trail: somebody asks us (PS3.15 A.5.3.10)."""
    sink = request.sink
    observation.occasion(
        "query",
        association=request.association,
        context=request.context,
        identifier=sink.value if isinstance(sink, MemorySink) else b"",
        asked_by_us=False,
    )


@dataclass(frozen=True, slots=True)
class Match:
    """One match of an SCP; `complete` is false where optional keys were not supported (FF01H)."""

    identifier: Attributes
    complete: bool = True


Search = Callable[[IncomingRequest, Attributes], AsyncIterator[Match]]
"""Gives the matches of an identifier; raises GantryError with the status of the failure."""


class FindProvider:
    """Answers C-FIND with what `search` gives, until it ends or the peer cancels."""

    def __init__(self, search: Search, clause: str) -> None:
        self._search = search
        self._clause = clause

    def begin(self, request: IncomingRequest) -> MemorySink | None:
        return sink_for(request, frozenset((C_FIND_RQ,)), self._clause)

    async def perform(self, request: IncomingRequest) -> Response:
        note_query(request)
        try:
            identifier = data_set_of(request)
        except PeerError as error:
            raise PeerError(
                f"{quoted(error.message)}",
                clause=self._clause,
                reaction=StatusReaction(UNABLE_TO_PROCESS, "Identifier cannot be read"),
            ) from error
        async for match in self._search(request, identifier):
            if request.cancelled:
                return Response(CANCEL)
            status = PENDING if match.complete else PENDING_WITH_WARNINGS
            data = encoded(match.identifier, request.context)
            await request.respond(Response(status, data_set=data))
            await turn()
        return Response(CANCEL if request.cancelled else SUCCESS)
