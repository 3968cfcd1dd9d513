"""What becomes of objects that were retrieved: delivered on, and what they refer to followed."""

from __future__ import annotations

from agent.archive.archive import Archive
from agent.archive.decision import DELIVER, JobPlan
from agent.archive.records import JobState
from agent.workflow.fetch_record import FetchRecord

NAMED_AT_ONCE = 100
"""Instances that one retrieval names."""
_LEVELS = {"STUDY": "study", "SERIES": "series", "IMAGE": "instance"}


async def hand_on(archive: Archive, record: FetchRecord) -> None:
    """Make the deliveries to the target; those that are waiting already are not made twice."""
    plan = JobPlan(DELIVER, record.target)
    for uid in record.uids:
        await archive.send_again(_LEVELS[record.level], uid, plan, who=f"transfer {record.id}")
    record.is_handed_on = True
    record.waits = f"being delivered to {record.target}"


async def are_delivered(archive: Archive, record: FetchRecord) -> bool:
    """Whether nothing of the study waits for the target any more; else the record says why."""
    page = await archive.jobs(
        destination=record.target, study_instance_uid=record.study, limit=1000
    )
    held = [job for job in page.items if job.state is JobState.HELD]
    if held and len(held) == len(page.items):
        record.waits = f"{len(held)} deliveries to {record.target} are held: {held[0].reason}"
    return not page.items


async def referred(archive: Archive, study: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """Study, series and instances that presentation states and key objects of a study refer to,
    and that are not here; some at once."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for place, series, instance in await archive.references(study):
        wanted.setdefault((place, series), []).append(instance)
    return [
        (place, series, tuple(uids[start : start + NAMED_AT_ONCE]))
        for (place, series), uids in wanted.items()
        for start in range(0, len(uids), NAMED_AT_ONCE)
    ]
