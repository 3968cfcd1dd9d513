"""The worklist of an entity, from its folder of entries: found in a worker, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator

from agent import observation
from agent.archive.procedure_steps import pack, unpack
from agent.archive.worker_entries import find_entries
from agent.dataset.attributes import Attributes
from agent.loop.workers import WorkerPool
from agent.services.modality_worklist import WorklistQuery

_PAGE = 50


class FolderWorklist:
    """Answers queries; a `Worklist` of `agent.services.modality_worklist`."""

    def __init__(self, folder: str, pool: WorkerPool) -> None:
        self._folder = folder
        self._pool = pool
        self._said: set[str] = set()

    async def find(self, query: WorklistQuery) -> AsyncIterator[Attributes]:
        after: int | None = 0
        identifier = pack(query.identifier)
        while after is not None:
            page = await self._pool.call(
                find_entries,
                self._folder,
                query.called_title,
                identifier,
                query.rules,
                after,
                _PAGE,
            )
            self._say(page.remarks)
            for match in page.matches:
                yield unpack(match)
            after = page.next

    def _say(self, remarks: tuple[str, ...]) -> None:
        """Each file that is passed over is told of once."""
        for remark in remarks:
            if remark not in self._said:
                observation.warning("worklist entry passed over", folder=self._folder, why=remark)
        self._said = set(remarks) or self._said
