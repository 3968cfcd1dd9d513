"""Rows of jobs as the queue and those who ask about it read them, and the clock they go by."""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.archive.records import Job, JobState

SELECTION = (
    "SELECT job.id, kind, destination.name, state, -rank, attempts, created, next_attempt, status,"
    " reason, payload, coalesce(job.instance, 0), coalesce(sop_instance_uid, ''),"
    " coalesce(sop_class_uid, ''), coalesce(transfer_syntax_uid, ''),"
    " coalesce(study_instance_uid, ''), coalesce(data_set_offset, 0), coalesce(instance.bytes, 0)"
    " FROM job JOIN destination ON destination.id = job.destination"
    " LEFT JOIN instance ON instance.id = job.instance"
    " LEFT JOIN study ON study.id = job.study"
)
"""Jobs as `job_of` reads them; a WHERE may follow."""


def steady_clock() -> Callable[[], float]:
    """The time of day now, and from here on what the steady clock adds to it."""
    start = time.time() - time.monotonic()
    return lambda: start + time.monotonic()


def job_of(row: tuple[object, ...]) -> Job:
    """A job from a row of `SELECTION`."""
    number, kind, destination, state, *rest = row
    return Job(number, kind, destination, JobState(state), *rest)  # type: ignore[arg-type]
