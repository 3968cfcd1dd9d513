"""The durable queue from the node's side: each call is a change that the storage worker commits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.archive.decision import JobPlan
from agent.archive.layout import object_path
from agent.archive.records import Job, JobState
from agent.archive.storage_client import StorageClient


class QueueClient(StorageClient):
    """Jobs, for those who carry them out and for a person.

    All raise StorageError when the index cannot be written; then nothing has changed.
    """

    async def claim(
        self,
        destination: str,
        limit: int,
        *,
        kinds: tuple[str, ...] = (),
        keep_order: bool = True,
    ) -> list[Job]:
        """Up to `limit` jobs that are due, see `agent.archive.jobs.JobQueue.claim`."""
        jobs: list[Job] = await self._queue(
            "claim", destination, limit, kinds=kinds, keep_order=keep_order
        )
        return jobs

    def path_of(self, job: Job) -> Path:
        """The file of a job's object."""
        return object_path(self.folder, job.instance_id)

    async def add_job(self, plan: JobPlan, *, order: int = 0) -> int:
        """A job that is not about one object; returns its number. Those of one `order` (above 0)
        for one destination are done one after the other."""
        number: int = await self._queue("add", plan, study=-order)
        return number

    async def finish(
        self, job_id: int, *, status: int = 0, reason: str = "", then: JobPlan | None = None
    ) -> bool:
        """The peer has confirmed it; `status` and `reason` are its words, for the history. `then`
        is a job that its object has after that."""
        done: bool = await self._queue("finish", job_id, status=status, reason=reason, then=then)
        return done

    async def retry(
        self,
        job_id: int,
        at: float | None = None,
        reason: str = "",
        *,
        status: int = 0,
        delay: float | None = None,
    ) -> JobState | None:
        """It failed and may pass: again after `delay` seconds, or at a time of day, or by policy.

        Returns waiting, or held when the policy gives up; None when the job is gone.
        """
        if at is not None and delay is None:
            delay = max(0.0, at - time.time())
        state: JobState | None = await self._queue(
            "retry", job_id, status=status, reason=reason, delay=delay
        )
        return state

    async def hold(self, job_id: int, reason: str = "", *, status: int = 0) -> bool:
        """It cannot pass, or shall not now: a person decides."""
        held: bool = await self._queue("hold", job_id, status=status, reason=reason)
        return held

    async def release(self, job_ids: Sequence[int]) -> None:
        """They were claimed and not tried."""
        await self._queue("release", tuple(job_ids))

    async def again(self, job_ids: Sequence[int]) -> int:
        """A person wants them tried now, held ones too; returns how many."""
        changed: int = await self._queue("again", tuple(job_ids))
        return changed

    async def drop(self, job_ids: Sequence[int], reason: str = "") -> int:
        """Nobody wants them done; returns how many."""
        dropped: int = await self._queue("drop", tuple(job_ids), reason=reason)
        return dropped

    async def pause(self, destination: str) -> None:
        """Give out no jobs for a destination; survives a restart."""
        await self._queue("pause", destination, True)

    async def resume(self, destination: str) -> None:
        """Give out its jobs again."""
        await self._queue("pause", destination, False)

    async def next_due(
        self, destination: str, *, kinds: tuple[str, ...] = (), keep_order: bool = True
    ) -> float | None:
        """Seconds until `claim` has something to give, 0: now; None when nothing is to come but
        by a new object, a finished job or a person."""
        due: float | None = await self._queue(
            "next_due", destination, kinds=kinds, keep_order=keep_order
        )
        return due

    async def mark_committed(self, destination: str, sop_instance_uids: Sequence[str]) -> int:
        """A peer committed to keep these; returns how many it had been sent."""
        marked: int = await self._queue("mark_committed", destination, tuple(sop_instance_uids))
        return marked

    async def _queue(self, name: str, *arguments: Any, **fields: Any) -> Any:
        return await self._call(name, arguments, fields)
