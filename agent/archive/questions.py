"""Questions to an archive from the node's side: answered in reader workers, in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from agent.archive.records import (
    Candidate,
    Conditions,
    Correction,
    Counts,
    DestinationSummary,
    FinishedJob,
    Instance,
    Job,
    Page,
    Series,
    Study,
)
from agent.archive.worker_entries import answer
from agent.errors import LocalError
from agent.loop.workers import WorkerPool

if TYPE_CHECKING:
    from agent.archive.audit_records import AuditedStudy
    from agent.archive.query_records import Place as QueryPlace
    from agent.archive.query_records import QueryPage, Question
    from agent.archive.selection import Place, Selected, SelectedPage, Selection


class Questions:
    """What there is. All raise StorageError when the index cannot be read."""

    def __init__(self, folder: Path, pool: WorkerPool | None) -> None:
        self._folder = str(folder)
        self._pool = pool

    async def studies(
        self,
        before: int | None = None,
        limit: int = 100,
        *,
        study_instance_uid: str = "",
        patient_id: str = "",
        study_date_from: str = "",
        study_date_to: str = "",
    ) -> Page[Study]:
        """Studies, the last that came first: all, or those that fit."""
        fields = {
            "study_instance_uid": study_instance_uid,
            "patient_id": patient_id,
            "study_date_from": study_date_from,
            "study_date_to": study_date_to,
        }
        return cast("Page[Study]", await self._ask("studies", before, limit, **fields))

    async def series(self, study: int, after: int = 0, limit: int = 1000) -> Page[Series]:
        """The series of a study (its `id`), in the order in which they came."""
        return cast("Page[Series]", await self._ask("series", study, after, limit))

    async def instances(self, **fields: Any) -> Page[Instance]:
        """Objects in the order in which they came; fields `study`, `series` (by `id`),
        `sop_instance_uid`, `after`, `limit`."""
        return cast("Page[Instance]", await self._ask("instances", **fields))

    async def references(self, study_instance_uid: str) -> list[tuple[str, str, str]]:
        """Study, series and instance of what the presentation states and key objects of a study
        refer to, and is not here."""
        found = await self._ask("references", study_instance_uid)
        return cast("list[tuple[str, str, str]]", found)

    async def jobs(self, **fields: Any) -> Page[Job]:
        """Jobs that are not finished; fields `destination`, `state`, `kind`,
        `study_instance_uid`, `after`, `limit`."""
        return cast("Page[Job]", await self._ask("jobs", **fields))

    async def finished_jobs(self, before: int | None = None, limit: int = 100) -> Page[FinishedJob]:
        """The history of jobs, the last first."""
        return cast("Page[FinishedJob]", await self._ask("finished_jobs", before, limit))

    async def destinations(self) -> tuple[DestinationSummary, ...]:
        """The queue of each destination that ever had a job."""
        return cast("tuple[DestinationSummary, ...]", await self._ask("destinations"))

    async def counts(self) -> Counts:
        """How much there is."""
        return cast("Counts", await self._ask("counts"))

    async def corrections(self, before: int | None = None, limit: int = 100) -> Page[Correction]:
        """The log of corrections, the last first."""
        return cast("Page[Correction]", await self._ask("corrections", before, limit))

    async def candidates(
        self, conditions: Conditions, limit: int = 500, skip: frozenset[int] = frozenset()
    ) -> list[Candidate]:
        """Objects that retention may delete, first those that should go first."""
        return cast("list[Candidate]", await self._ask("candidates", conditions, limit, skip))

    async def audited_studies(
        self, ranges: Sequence[tuple[int, int]] = (), *, level: str = "", uid: str = ""
    ) -> list[AuditedStudy]:
        """Whose the objects in these ranges of numbers are, or those of one study, series or
        instance; what is gone is left out."""
        found = await self._ask("audited_studies", tuple(ranges), level=level, uid=uid)
        return cast("list[AuditedStudy]", found)

    async def unaudited_objects(self, after: int) -> dict[str, list[tuple[int, int]]]:
        """Objects of patients above this number, as ranges, by what the index says of their
        source."""
        found = await self._ask("unaudited_objects", after)
        return cast("dict[str, list[tuple[int, int]]]", found)

    async def query_page(self, question: Question, after: QueryPlace, most: int) -> QueryPage:
        """The matches of a query behind a place. Raises PeerError for its identifier."""
        return cast("QueryPage", await self._ask("query_page", question, after, most))

    async def object_query_page(
        self, question: Question, after: QueryPlace, most: int
    ) -> QueryPage:
        """The same of a query of non-patient objects."""
        return cast("QueryPage", await self._ask("object_query_page", question, after, most))

    async def repository_page(self, question: Question, after: QueryPlace, most: int) -> QueryPage:
        """The same of a repository query. Raises PeerError with A710H for its Prior Record Key."""
        return cast("QueryPage", await self._ask("repository_page", question, after, most))

    async def select(self, selection: Selection) -> Selected:
        """Count what a retrieval asks for; its pages are given by `selected_page`."""
        return cast("Selected", await self._ask("select", selection))

    async def selected_page(
        self, selected: Selected, place: Place, limit: int = 500
    ) -> SelectedPage:
        """The next instances of a selection, from `place` on."""
        # Only the roots that this page can need go to the worker.
        roots = selected.roots[place.root : place.root + limit]
        page: SelectedPage = await self._ask(
            "selected_page",
            replace(selected, roots=roots, studies=roots[:0], others=()),
            place._replace(root=0),
            limit,
        )
        if page.next is not None:
            return page._replace(next=page.next._replace(root=page.next.root + place.root))
        rest = place.root + len(roots)
        if rest >= len(selected.roots):
            return page._replace(instances=page.instances + selected.others)
        return page._replace(next=place._replace(root=rest, after=0))

    async def _ask(self, question: str, *arguments: Any, **fields: Any) -> Any:
        if self._pool is None:
            raise LocalError("This archive was opened without a pool of workers for questions.")
        return await self._pool.call(answer, self._folder, question, arguments, fields)
