"""The durable queue: order, retries, holds, pauses, restarts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.archive import reader_worker
from agent.archive.decision import COMMIT, REPORT, JobPlan
from agent.archive.index import Index
from agent.archive.jobs import JobQueue
from agent.archive.records import JobState
from agent.archive.retry import Again, GiveUp, after_failure
from agent.archive.settings import ArchiveSettings, RetryPolicy
from tests.archive.objects import Rules, Worker, sample


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class QueueAlone:
    """A queue on an index of its own, with a clock that stands still."""

    def __init__(self, folder: Path, policy: RetryPolicy | None = None, history: int = 100) -> None:
        self.index = Index.open(folder)
        self.clock = Clock()
        self.queue = JobQueue(
            self.index,
            policy or RetryPolicy(jitter=0.0),
            now=self.clock,
            history=history,
            chance=lambda: 0.5,
        )

    def add(self, study: int, destination: str = "PACS", **plan: object) -> int:
        return self.queue.add(JobPlan("deliver", destination, **plan), study=study)  # type: ignore[arg-type]

    def claimed(self, limit: int = 10, destination: str = "PACS", **fields: object) -> list[int]:
        return [job.id for job in self.queue.claim(destination, limit, **fields)]  # type: ignore[arg-type]


@pytest.fixture
def alone(tmp_path: Path) -> QueueAlone:
    return QueueAlone(tmp_path)


def test_jobs_come_in_the_order_of_arrival_and_by_destination(alone: QueueAlone) -> None:
    one, two, other = alone.add(1), alone.add(2), alone.add(1, "CLOUD")
    assert alone.claimed() == [one, two]
    assert alone.claimed(destination="CLOUD") == [other]
    assert alone.claimed() == []


def test_higher_priority_goes_first(alone: QueueAlone) -> None:
    low, high = alone.add(1), alone.add(2, priority=5)
    assert alone.claimed() == [high, low]


def test_nothing_overtakes_a_job_of_its_study_that_waits(alone: QueueAlone) -> None:
    first, second, other = alone.add(1), alone.add(1), alone.add(2)
    assert alone.claimed(1) == [first]
    assert alone.claimed() == [other], "while the first is being tried, its study waits"
    assert alone.queue.next_due("PACS") is None, "what is being tried decides when to go on"
    alone.queue.retry(first, reason="A700", delay=30.0)
    assert alone.claimed() == []
    assert alone.queue.next_due("PACS") == 30.0, "and not at once, for the second cannot go"
    assert alone.queue.next_due("PACS", keep_order=False) == 0.0
    assert alone.claimed(keep_order=False) == [second]
    alone.queue.release([second])
    alone.clock.now += 30
    assert alone.claimed() == [first, second]


def test_a_job_that_waits_holds_back_only_those_behind_it(alone: QueueAlone) -> None:
    first = alone.add(1)
    alone.add(1, delay=60.0)
    assert alone.claimed() == [first]


def test_a_held_job_lets_the_others_of_its_study_go(alone: QueueAlone) -> None:
    first, second = alone.add(1), alone.add(1)
    assert alone.claimed(1) == [first]
    alone.queue.hold(first, status=0x0122, reason="SOP class not supported")
    assert alone.claimed() == [second]


def test_a_job_may_be_held_from_the_start_and_let_go(alone: QueueAlone) -> None:
    job = alone.add(1, hold="wait for the physician")
    assert alone.claimed() == []
    assert alone.queue.again([job]) == 1
    assert alone.claimed() == [job]


def test_retries_follow_the_policy_and_then_it_is_held(tmp_path: Path) -> None:
    policy = RetryPolicy(first=5, factor=2, longest=60, jitter=0, attempts=3)
    alone = QueueAlone(tmp_path, policy)
    job = alone.add(1)
    for wait in (5.0, 10.0):
        assert alone.claimed() == [job]
        assert alone.queue.retry(job, status=0xA700, reason="full") == JobState.WAITING
        assert alone.queue.next_due("PACS") == wait
        alone.clock.now += wait
    assert alone.claimed() == [job]
    assert alone.queue.retry(job, status=0xA700, reason="full") == JobState.HELD
    found = alone.queue.job(job)
    assert found is not None
    assert (found.attempts, found.status, found.reason) == (3, 0xA700, "full (tried 3 times)")
    assert alone.queue.next_due("PACS") is None


def test_a_paused_destination_gives_nothing(alone: QueueAlone) -> None:
    job = alone.add(1)
    alone.queue.pause("PACS", True)
    assert alone.claimed() == []
    assert alone.queue.next_due("PACS") is None
    alone.queue.pause("PACS", False)
    assert alone.claimed() == [job]


def test_dropped_and_finished_jobs_are_in_the_history_which_is_short(tmp_path: Path) -> None:
    alone = QueueAlone(tmp_path, history=5)
    jobs = [alone.add(1) for _ in range(300)]
    for job in jobs:
        alone.clock.now += 1
        alone.queue.finish(job, reason="Success")
    assert len(reader_worker.finished_jobs(str(tmp_path), limit=1000).items) < 60
    job = alone.add(2)
    assert alone.queue.drop([job], reason="not wanted") == 1
    page = reader_worker.finished_jobs(str(tmp_path), limit=2)
    assert [each.outcome for each in page.items] == ["dropped", "done"]
    assert page.next == page.items[-1].id


def test_a_job_that_is_being_tried_cannot_be_dropped_by_a_person(alone: QueueAlone) -> None:
    job = alone.add(1)
    alone.claimed()
    assert alone.queue.drop([job]) == 0
    assert alone.queue.again([job]) == 0


def test_what_is_gone_is_no_error(alone: QueueAlone) -> None:
    assert alone.queue.finish(99) is False
    assert alone.queue.retry(99) is None
    assert alone.queue.hold(99) is False


def test_claims_can_be_of_some_kinds_only(alone: QueueAlone) -> None:
    deliver = alone.add(1)
    report = alone.queue.add(JobPlan(REPORT, "PACS", payload=b"{}"))
    assert alone.claimed(kinds=(REPORT,)) == [report]
    assert alone.claimed() == [deliver]


def test_after_a_restart_claims_are_released_and_no_wait_is_absurd(tmp_path: Path) -> None:
    alone = QueueAlone(tmp_path)
    one, two = alone.add(1), alone.add(2)
    assert alone.claimed(1) == [one]
    # The clock stood at the wrong year when this wait was written.
    alone.index.execute("UPDATE job SET next_attempt = 5e9 WHERE id = ?", (two,))
    alone.index.close()
    again = QueueAlone(tmp_path)
    assert again.queue.resume() == 1
    assert again.claimed() == [one]
    due = again.queue.next_due("PACS")
    assert due is not None and due <= RetryPolicy().longest


def test_the_queue_of_the_worker_survives_a_restart(tmp_path: Path) -> None:
    with Worker(tmp_path, Rules(("PACS",))) as worker:
        worker.store(sample("1.2.3.1"), sample("1.2.3.2"))
        one, two = worker.queue("claim", "PACS", 10)
        worker.queue("finish", one.id)
        assert (one.sop_instance_uid, one.study_instance_uid) == ("1.2.3.1", "1.2.3")
    with Worker(tmp_path) as worker:
        assert worker.opened.recovery.released_jobs == 1
        (again,) = worker.queue("claim", "PACS", 10)
        assert again.id == two.id


def test_deliveries_and_commitments_are_remembered(tmp_path: Path) -> None:
    with Worker(tmp_path, Rules(("PACS",))) as worker:
        worker.store(sample())
        (job,) = worker.queue("claim", "PACS", 10)
        worker.queue("finish", job.id)
        assert worker.rows("SELECT delivered > 0, committed FROM delivery") == [(1, None)]
        assert worker.queue("mark_committed", "PACS", ["1.2.3.1", "1.9"]) == 1
        assert worker.rows("SELECT committed > 0 FROM delivery") == [(1,)]
        worker.queue("add", JobPlan(COMMIT, "PACS", payload=b"1.2.3.1"))


def test_lists_have_filters_and_pages(tmp_path: Path) -> None:
    settings = ArchiveSettings(retry=RetryPolicy(jitter=0))
    with Worker(tmp_path, Rules(("PACS", "CLOUD")), settings) as worker:
        worker.store(*(sample(f"1.2.3.{number}") for number in range(1, 6)))
        first, *_ = worker.queue("claim", "PACS", 2)
        worker.queue("retry", first.id, status=0xA700, reason="Out of resources")
        folder = str(tmp_path)
        page = reader_worker.jobs(folder, limit=4)
        assert len(page.items) == 4 and page.next
        assert len(reader_worker.jobs(folder, after=page.next, limit=10).items) == 6
        assert len(reader_worker.jobs(folder, destination="PACS").items) == 5
        (claimed,) = reader_worker.jobs(folder, state=JobState.CLAIMED).items
        assert claimed.sop_instance_uid == "1.2.3.2"
        assert len(reader_worker.jobs(folder, study_instance_uid="1.2.3").items) == 10
        assert reader_worker.jobs(folder, study_instance_uid="1.9").items == ()
        cloud, pacs = reader_worker.destinations(folder)
        assert (cloud.name, cloud.waiting, cloud.oldest > 0) == ("CLOUD", 5, True)
        assert (pacs.waiting, pacs.claimed, pacs.held) == (4, 1, 0)
        assert (pacs.last_status, pacs.last_reason) == (0xA700, "Out of resources")


@given(
    attempts=st.integers(1, 10**6),
    age=st.floats(0, 1e9),
    chance=st.floats(0, 1),
    first=st.floats(0.1, 1e3),
    factor=st.floats(1, 10),
    longest=st.floats(0.1, 1e6),
    jitter=st.floats(0, 1),
)
def test_every_wait_is_within_the_policy(
    attempts: int,
    age: float,
    chance: float,
    first: float,
    factor: float,
    longest: float,
    jitter: float,
) -> None:
    policy = RetryPolicy(first=first, factor=factor, longest=longest, jitter=jitter)
    outcome = after_failure(policy, attempts=attempts, age=age, chance=chance)
    assert isinstance(outcome, Again)
    assert 0 <= outcome.delay <= longest * (1 + jitter) * 1.000001
    given_up = after_failure(
        RetryPolicy(attempts=1, age=0), attempts=attempts, age=age, chance=chance
    )
    assert isinstance(given_up, GiveUp)


def test_a_job_that_is_too_old_is_held() -> None:
    outcome = after_failure(RetryPolicy(age=3600), attempts=1, age=7200, chance=0)
    assert outcome == GiveUp("not delivered for 2.0 hours")
