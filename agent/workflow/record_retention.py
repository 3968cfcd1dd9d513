"""Retention of records: steps, examinations, commitments and worklist entries whose time is over.

How long each is kept is configured; 0 is for ever. Nothing goes that is open, unreported, or that
an unfinished job is about, and nothing that was written before the clock was set. A few rows go in
each transaction, so that receptions never wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from agent import observation
from agent.archive.archive import Archive
from agent.archive.decision import order_of
from agent.archive.examinations import EXPORT, FETCH
from agent.archive.forgetting import Period
from agent.archive.worker_entries import forget_entries
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.errors import GantryError
from agent.loop import sleep, turn
from agent.loop.workers import WorkerPool
from agent.services.media_creation_table import DONE, FAILURE, IDLE
from agent.workflow.examination_record import ExaminationRecord

FORGOTTEN = observation.metrics.counter(
    "gantry_records_forgotten_total", "Records whose time was over", "kind"
)

_FIRST, _EVERY = 600.0, 3600.0
_AT_ONCE = 200


class RecordRetention:
    """Keeps the records of all archives, and the worklists of a node, within their time.

    `earliest` is a date (seconds since 1970) before which the clock was not set.
    """

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        archives: Mapping[str, Archive],
        pool: WorkerPool,
        earliest: Callable[[], float],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._configuration = configuration
        self._archives = archives
        self._pool = pool
        self._earliest = earliest
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled; not at once, for at its start a node has better things to do."""
        await sleep(_FIRST)
        while True:
            await self.tidy()
            await sleep(_EVERY)

    async def tidy(self) -> None:
        """Look once, and delete what is due. What fails is told of, and costs nobody else it."""
        for name, archive in tuple(self._archives.items()):
            try:
                await self._tidy_archive(name, archive)
            except GantryError as error:
                observation.warning("records not tidied", archive=name, error=error)
        for folder, entities in self._worklists().items():
            try:
                await self._tidy_worklist(folder, entities)
            except GantryError as error:
                observation.warning("worklist not tidied", folder=folder, error=error)

    async def _tidy_archive(self, name: str, archive: Archive) -> None:
        configuration = self._configuration()
        table = configuration.archive(name)
        if table is None:
            return
        mine = [each for each in configuration.entities if each.archive == name]
        serving = [each for each in mine if each.services_of("performed-step", "scp")] or mine
        await self._steps(archive, _longest([each.steps.keep for each in serving]))
        await self._examinations(archive, table.retention.examinations)
        await self._commitments(archive, table.retention.commitments)
        making = [each for each in mine if each.services_of("media-creation", "scp")]
        if making:
            answers = [each.media_creation for each in making]
            over = _longest([each.keep for each in answers])
            await self._media_requests(archive, (DONE, FAILURE), over)
            idle = _longest([each.keep_idle for each in answers])
            await self._media_requests(archive, (IDLE,), idle)

    def _period(self, keep: float) -> Period | None:
        """What is old enough; None: nothing ever."""
        return Period(self._earliest(), self._clock() - keep) if keep else None

    async def _steps(self, archive: Archive, keep: float) -> None:
        period, after, forgotten = self._period(keep), "", 0
        while period is not None:
            count, after = await archive.forget_steps(period, after, _AT_ONCE)
            forgotten += count
            if not after:
                break
            await turn()
        _tell("steps", forgotten, archive.name)

    async def _examinations(self, archive: Archive, keep: float) -> None:
        period, after, forgotten = self._period(keep), 0, 0
        while period is not None:
            rows = await archive.ended_examinations(period, after, _AT_ONCE)
            ended = []
            for row in rows:
                # An export or a retrieval has no step that would be reported.
                steps = [] if row.device in (EXPORT, FETCH) else ExaminationRecord.of(row).steps
                ended.append((row.id, tuple(order_of(each.uid) for each in steps)))
                await turn()
            if ended:
                forgotten += await archive.forget_examinations(ended, period)
            if len(rows) < _AT_ONCE:
                break
            after = rows[-1].id
        _tell("examinations", forgotten, archive.name)

    async def _commitments(self, archive: Archive, keep: float) -> None:
        period, forgotten = self._period(keep), 0
        while period is not None:
            count = await archive.forget_commitments(period, _AT_ONCE)
            forgotten += count
            if count < _AT_ONCE:
                break
            await turn()
        _tell("commitments", forgotten, archive.name)

    async def _media_requests(
        self, archive: Archive, statuses: tuple[str, ...], keep: float
    ) -> None:
        period = self._period(keep)
        if period is not None:
            forgotten = await archive.change_media_requests(
                "forget_media_requests", statuses, *period
            )
            _tell("media requests", forgotten, archive.name)

    def _worklists(self) -> dict[str, list[Entity]]:
        """The folders that are answered from, and by whom."""
        found: dict[str, list[Entity]] = {}
        for each in self._configuration().entities:
            if each.services_of("worklist", "scp"):
                found.setdefault(each.worklist.folder, []).append(each)
        return found

    async def _tidy_worklist(self, folder: str, entities: list[Entity]) -> None:
        keeps = (
            _longest([each.worklist.keep for each in entities]),
            _longest([each.worklist.keep_of_others for each in entities]),
        )
        today = self._clock()
        if today < self._earliest() or not any(keeps):
            return
        forgotten = await self._pool.call(
            forget_entries,
            folder,
            tuple(each.title for each in entities),
            *(today - keep if keep else 0.0 for keep in keeps),
        )
        _tell("worklist entries", forgotten, folder)


def _longest(keeps: list[float]) -> float:
    """Of those who share records the one who keeps them longest; 0 is for ever."""
    return max(keeps) if keeps and all(keeps) else 0.0


def _tell(kind: str, count: int, where: str) -> None:
    if count:
        FORGOTTEN.of(kind).add(count)
        observation.info("records forgotten", kind=kind, count=count, where=where)
