"""Repository queries, both roles: the Study Root in pieces that go on from one another (C.6.4).

As SCP we keep Maximum Number of Records, order by Record Key, and go on from a Prior Record Key
without anything kept between requests. As SCU we go on by ourselves.
"""

from __future__ import annotations

from dataclasses import replace

from agent.archive.query_records import UNABLE_TO_PROCESS, Place, QueryPage, Question
from agent.configuration.entity import Entity
from agent.errors import PeerError, StatusReaction
from agent.loop import turn
from agent.network.association import IncomingRequest, Response
from agent.network.status import CANCEL, PENDING, PENDING_WITH_WARNINGS, SUCCESS
from agent.services.data_sets import data_set_of
from agent.services.query import QueryProvider
from agent.services.service import Support

RESPONSE_LIMIT_REACHED = 0xB001
INVALID_PRIOR_RECORD_KEY = 0xA710
_MAXIMUM_NUMBER_OF_RECORDS = 0x00080429
_AT_ONCE = 50
_PAGE = 1000


class RepositoryQueryProvider(QueryProvider):
    """Answers a repository query from the pages of an archive."""

    def __init__(self, entity: Entity, support: Support) -> None:
        super().__init__(entity, support)
        self._file_access = entity.queries.file_access

    async def perform(self, request: IncomingRequest) -> Response:
        most = self._most(request)
        question = replace(self._question(request), file_access=self._file_access)
        after: Place | None = ()
        sent = 0
        while after is not None:
            if request.cancelled:
                return Response(CANCEL)
            wanted = _PAGE if most is None else min(_PAGE, most - sent)
            # At the limit one match more says whether there are more.
            page = await self._page(question, after, max(1, wanted))
            if wanted <= 0 and page.matches:
                return Response(RESPONSE_LIMIT_REACHED)
            status = PENDING if page.complete else PENDING_WITH_WARNINGS
            for start in range(0, len(page.matches), _AT_ONCE):
                if request.cancelled:
                    return Response(CANCEL)
                await request.respond_each(status, page.matches[start : start + _AT_ONCE])
                await turn()
            sent += len(page.matches)
            after = page.next
        return Response(CANCEL if request.cancelled else SUCCESS)

    @staticmethod
    def _most(request: IncomingRequest) -> int | None:
        """Maximum Number of Records; None where the request has none. Raises PeerError (C000H)."""
        try:
            identifier = data_set_of(request)
        except PeerError as error:
            error.reaction = StatusReaction(UNABLE_TO_PROCESS, "Identifier cannot be read")
            raise
        if not identifier.has(_MAXIMUM_NUMBER_OF_RECORDS):
            return None
        return max(0, identifier.number(_MAXIMUM_NUMBER_OF_RECORDS))

    async def _page(self, question: Question, after: Place, most: int) -> QueryPage:
        try:
            return await super()._page(question, after, most)
        except PeerError as error:
            said = error.reaction
            if isinstance(said, StatusReaction) and said.status == INVALID_PRIOR_RECORD_KEY:
                # Table C.6.4.3-1: without related fields.
                error.reaction = StatusReaction(said.status)
            raise
