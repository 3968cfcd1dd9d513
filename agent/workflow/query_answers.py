"""The queries that an entity answers: pages of its archive, and which peers may do what."""

from __future__ import annotations

from agent.archive.archive import Archive
from agent.archive.object_models import OBJECT_MODELS
from agent.archive.query_records import Place, QueryPage, Question
from agent.configuration.configuration import Configuration
from agent.dataset.sop_classes import REPOSITORY_QUERY


class ArchiveQueries:
    """Answers queries; a `Queries` of `agent.services.query`."""

    def __init__(self, configuration: Configuration, archive: Archive) -> None:
        self._configuration = configuration
        self._archive = archive

    def allows_relational(self, peer: str) -> bool:
        found = self._configuration.peer(peer) if peer else None
        return found is not None and found.quirks.relational_unnegotiated

    async def page(self, question: Question, after: Place, most: int) -> QueryPage:
        if question.sop_class_uid in OBJECT_MODELS:
            return await self._archive.object_query_page(question, after, most)
        if question.sop_class_uid == REPOSITORY_QUERY:
            return await self._archive.repository_page(question, after, most)
        return await self._archive.query_page(question, after, most)
