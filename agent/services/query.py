"""Queries of Query/Retrieve, both roles: C-FIND over patients, studies, series and instances.

PS3.4 C.4.1 and C.6: the Patient Root, the Study Root, and the retired Patient/Study Only for old
peers. Here is what is negotiated, and the SCP, which answers from an archive;
`agent.services.query_request` is the SCU, `query_offer` describes both to the rest of the house.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Protocol

from agent.archive.information_model import PATIENT_ROOT, PATIENT_STUDY_ONLY, REPOSITORY, STUDY_ROOT
from agent.archive.matching_rules import MatchingRules
from agent.archive.query_keys import agreed_rules
from agent.archive.query_records import (
    OUT_OF_RESOURCES,
    UNABLE_TO_PROCESS,
    Place,
    QueryPage,
    Question,
)
from agent.configuration.entity import Entity
from agent.errors import GantryError, StatusReaction, StorageError
from agent.loop import TaskGroup, turn
from agent.network.association import Association, IncomingRequest, Response
from agent.network.commands import C_FIND_RQ
from agent.network.data_set import MemorySink
from agent.network.negotiation import ContextNeed, ExtendedAnswer
from agent.network.status import CANCEL, PENDING, PENDING_WITH_WARNINGS, SUCCESS
from agent.network.user_information import ExtendedNegotiation
from agent.quoting import quoted
from agent.services.data_sets import MESSAGE_SYNTAXES, extended_information, sink_for
from agent.services.finding import note_query
from agent.services.service import Support

MODEL_NAMES: Mapping[str, str] = {
    "patient": PATIENT_ROOT.find,
    "study": STUDY_ROOT.find,
    "patient-study-only": PATIENT_STUDY_ONLY.find,
    "repository": REPOSITORY.find,
}
"""What a person calls an information model -> the SOP class of its C-FIND."""

_FIRST_PAGE, _PAGE, _AT_ONCE = 5, 1000, 50
"""Matches of the first page, which shall be there at once; of others; and of what is written
together."""


@dataclass(frozen=True, slots=True)
class Options:
    """What may be agreed on by SOP Class Extended Negotiation, byte by byte (Table C.5-1)."""

    relational: bool = False
    date_time: bool = False
    fuzzy: bool = False
    timezone: bool = False
    view: bool = False
    empty: bool = False
    multiple: bool = False

    @classmethod
    def of(cls, information: bytes) -> Options:
        """From an item; bytes that are not there are 0 (C.5.1.1)."""
        return cls(*(each == 1 for each in information[: len(fields(cls))]))

    def encode(self) -> bytes:
        """As few bytes as say it; one where only relational queries are asked for."""
        said = bytes(int(getattr(self, each.name)) for each in fields(self))
        return said.rstrip(b"\0") or b"\0"


SUPPORTED = Options(True, True, True, True, False, True, True)
"""All but the Query/Retrieve View: images are answered as they were received."""
SWITCHES = tuple(each.name for each in fields(Options) if getattr(SUPPORTED, each.name))
"""The names of the options that we have."""


def query_need(sop_class_uid: str) -> ContextNeed:
    """What has to be negotiated for a query."""
    return ContextNeed(sop_class_uid, MESSAGE_SYNTAXES)


def query_extended(sop_class_uid: str, options: Options) -> ExtendedNegotiation | None:
    """The item of the request; None where nothing is asked for."""
    if options == Options():
        return None
    return ExtendedNegotiation(sop_class_uid, options.encode())


def agreed_options(association: Association, sop_class_uid: str) -> Options:
    """What both sides said (C.5.1.1)."""
    return Options.of(extended_information(association, sop_class_uid))


def rules_for(options: Options, timezone: int | None) -> MatchingRules:
    """How keys are matched under these options; `timezone` is our own offset in minutes."""
    agreed = [each.name for each in fields(options) if getattr(options, each.name)]
    return agreed_rules(agreed, timezone)


class Queries(Protocol):
    """Where the SCP's answers come from."""

    def allows_relational(self, peer: str) -> bool:
        """Whether this peer asks relational queries without negotiating them."""

    async def page(self, question: Question, after: Place, most: int) -> QueryPage:
        """Matches behind a place. Raises PeerError for the identifier, StorageError."""


class QueryProvider:
    """Answers C-FIND from the pages of an archive, until they end or the peer cancels."""

    def __init__(self, entity: Entity, support: Support) -> None:
        self._queries = support.queries_of(entity)
        self._support = support
        self._title = entity.queries.retrieve_title or entity.title

    def begin(self, request: IncomingRequest) -> MemorySink | None:
        return sink_for(request, frozenset((C_FIND_RQ,)), "PS3.4 C.4.1")

    async def perform(self, request: IncomingRequest) -> Response:
        question = self._question(request)
        page = await self._page(question, (), _FIRST_PAGE)
        # The next page is looked for while one goes out. Memory: two pages.
        async with TaskGroup() as group:
            while page.next is not None and not request.cancelled:
                coming = group.start(self._next(question, page.next), "page of a query")
                await self._send(request, page)
                if not request.cancelled:
                    found = await coming.join()
                    if isinstance(found, GantryError):
                        raise found
                    page = found
            group.cancel()
        await self._send(request, page)
        return Response(CANCEL if request.cancelled else SUCCESS)

    async def _next(self, question: Question, after: Place) -> QueryPage | GantryError:
        """A page, or why there is none: which must not interrupt what is being sent."""
        try:
            return await self._page(question, after, _PAGE)
        except GantryError as error:
            return error

    async def _send(self, request: IncomingRequest, page: QueryPage) -> None:
        """The matches of a page as responses, unless the peer cancels meanwhile."""
        status = PENDING if page.complete else PENDING_WITH_WARNINGS
        for start in range(0, len(page.matches), _AT_ONCE):
            if request.cancelled:
                return
            await request.respond_each(status, page.matches[start : start + _AT_ONCE])
            await turn()

    def _question(self, request: IncomingRequest) -> Question:
        note_query(request)
        association, context = request.association, request.context
        options = agreed_options(association, context.abstract_syntax)
        relational = options.relational or self._queries.allows_relational(association.peer)
        sink = request.sink
        return Question(
            context.abstract_syntax,
            sink.value if isinstance(sink, MemorySink) else b"",
            context.transfer_syntax,
            self._title,
            rules_for(options, self._support.timezone),
            relational,
        )

    async def _page(self, question: Question, after: Place, most: int) -> QueryPage:
        try:
            return await self._queries.page(question, after, most)
        except StorageError as error:
            reaction = StatusReaction(OUT_OF_RESOURCES, "The archive cannot be read now")
            raise StorageError(
                f"{quoted(error.message)}",
                clause="PS3.4 C.4.1.1.4",
                value=error.value,
                reaction=reaction,
            ) from error
        except GantryError as error:
            said = error.reaction
            if isinstance(said, StatusReaction) and said.offending_elements:
                raise
            error.reaction = StatusReaction(UNABLE_TO_PROCESS, "Identifier cannot be processed")
            raise


def extended_answer(entity: Entity) -> ExtendedAnswer:
    """How the SCP answers an item of extended negotiation."""
    offered = replace(
        SUPPORTED, **{each: False for each in SWITCHES if each not in entity.queries.options}
    )

    def answer(asked: bytes) -> bytes | None:
        # One byte is answered by one, more by as many as we know (C.5.1.1).
        if not asked:
            return None
        wanted = Options.of(asked)
        return bytes(
            int(getattr(wanted, each.name) and getattr(offered, each.name))
            for each in fields(Options)
        )[: len(asked)]

    return answer
