"""Settlement: what the answer of a peer, or the want of one, makes of a job (PS3.4 Table B.2-1)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from agent import observation
from agent.archive.archive import Archive
from agent.archive.commitments import Delivered
from agent.archive.decision import COMMIT, JobPlan
from agent.archive.records import Job
from agent.archive.retry import Again, after_failure
from agent.archive.settings import RetryPolicy
from agent.configuration.procedure import Commitment
from agent.dataset.tags import format_tag
from agent.network.exchange import Response
from agent.network.status import Category, may_pass
from agent.quoting import Sentence, quoted

DELIVERED = observation.metrics.counter(
    "gantry_delivered_total", "Objects that a peer confirmed", "peer"
)
FAILED = observation.metrics.counter("gantry_delivery_failures_total", "Tries that failed", "peer")
LAST_SUCCESS = observation.metrics.gauge(
    "gantry_delivery_last_success_seconds", "Time of the last confirmed object", "peer"
)

OpenJobs = dict[int, Job]
"""Jobs that were claimed and are not settled yet, by number."""


class Settlement:
    """Settles the jobs of one peer: each is finished, tried again or held, with the peer's words.

    A settled job is taken out of the `open_jobs` that are handed in.
    """

    def __init__(
        self,
        peer: str,
        policy: RetryPolicy,
        commitment: Commitment | None = None,
        asked: Callable[[str], None] = lambda peer: None,
    ) -> None:
        """`commitment` says who is asked to commit to what was delivered; `asked` is told of it."""
        self.policy = policy
        self.last_reason = ""
        self.delivered = 0
        self._peer = peer
        self._commitment = commitment
        self._asked = asked

    async def settle(
        self,
        archive: Archive,
        job: Job,
        open_jobs: OpenJobs,
        response: Response,
        *,
        hold_warnings: bool,
    ) -> bool:
        """By a final response; whether the peer has the object.

        A warning says that it is stored, also where a person shall look at it first.
        """
        kind, status, said = response.category, response.status, _words_of(response)
        is_warning = kind is Category.WARNING
        if kind is Category.SUCCESS or (is_warning and not hold_warnings):
            if is_warning:
                observation.warning(
                    "object stored with a warning",
                    peer=self._peer,
                    job=job.id,
                    sop_instance_uid=job.sop_instance_uid,
                    status=said,
                )
            open_jobs.pop(job.id, None)
            _note(archive, job)
            then = self._commit(job)
            await archive.finish(job.id, status=status, reason=said, then=then)
            if then is not None:
                self._asked(then.destination)
            self.delivered += 1
            DELIVERED.of(self._peer).add()
            LAST_SUCCESS.of(self._peer).set(time.time())
            return True
        FAILED.of(self._peer).add()
        observation.warning(
            "object refused",
            peer=self._peer,
            job=job.id,
            status=said,
            see="gantry queue",
        )
        if may_pass(status):
            await self.try_again(archive, job, open_jobs, said, status)
        else:
            await self.hold(archive, job, open_jobs, said, status)
        return is_warning

    def _commit(self, job: Job) -> JobPlan | None:
        table = self._commitment
        if table is None or table.each == "never" or not job.sop_instance_uid:
            return None
        return JobPlan(
            COMMIT,
            table.peer or self._peer,
            job.priority,
            delay=table.gather if table.each == "study" else 0.0,
            payload=Delivered(self._peer, job.payload).pack(),
        )

    async def try_again(
        self, archive: Archive, job: Job, open_jobs: OpenJobs, reason: str, status: int = 0
    ) -> None:
        """By the peer's own policy, which may give it up to a person."""
        self.last_reason = reason
        open_jobs.pop(job.id, None)
        _note(archive, job, reason)
        await retry_or_hold(archive, self.policy, job, reason, status)

    async def hold(
        self, archive: Archive, job: Job, open_jobs: OpenJobs, reason: str, status: int = 0
    ) -> None:
        """For a person to decide."""
        self.last_reason = reason
        open_jobs.pop(job.id, None)
        _note(archive, job, reason)
        await archive.hold(job.id, reason, status=status)


def _note(archive: Archive, job: Job, reason: str = "") -> None:
    if observation.log.is_audited:
        observation.occasion("object settled", archive=archive.name, job=job, reason=reason)


async def retry_or_hold(
    archive: Archive, policy: RetryPolicy, job: Job, reason: str, status: int = 0
) -> None:
    """Put a job that failed back for later; once the policy gives it up, hold it for a person."""
    outcome = after_failure(
        policy,
        attempts=job.attempts + 1,
        age=time.time() - job.created,
        chance=random.random(),
    )
    if isinstance(outcome, Again):
        await archive.retry(job.id, reason=reason, status=status, delay=outcome.delay)
    else:
        await archive.hold(job.id, f"{reason} ({outcome.why})", status=status)


def _words_of(response: Response) -> Sentence:
    """The status with all that the peer said to explain it (PS3.7 C.4, C.5)."""
    if not response.offending_elements:
        return response.words
    tags = ", ".join(map(format_tag, response.offending_elements))
    return Sentence(f"{quoted(response.words)} of {tags}")
