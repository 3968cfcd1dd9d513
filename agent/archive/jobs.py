"""The durable queue: what is still to be done, for each destination, in order.

Within a study jobs for one destination are given out in the order of arrival: one that waits for
its next try, or is being tried, holds back those behind it. One that is held for a person does not.
Everything here runs inside a transaction of the storage worker.

Times in `next_attempt` are those of the queue's own clock: the time of day when the worker started,
and from there on the steady clock. A clock that is set while the node runs moves nothing; at start
no job waits longer than the policy's longest wait.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from agent.archive.decision import COMMIT, DELIVER, JobPlan
from agent.archive.index import Index
from agent.archive.job_history import JobHistory
from agent.archive.job_rows import SELECTION, job_of
from agent.archive.records import Job, JobState
from agent.archive.retry import Again, after_failure
from agent.archive.settings import RetryPolicy

_LONGEST_REASON = 1024


class JobQueue:
    """The jobs of one archive. `now` gives the time in seconds, `chance` a number from 0 to 1."""

    def __init__(
        self,
        index: Index,
        policy: RetryPolicy,
        *,
        now: Callable[[], float],
        history: int = 10_000,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._execute = index.execute
        self._policy = policy
        self._now = now
        self._history = JobHistory(index, now, history)
        self._chance = chance
        self._destinations: dict[str, int] = {}

    def forget(self) -> None:
        """Row numbers remembered may be wrong: a transaction was taken back."""
        self._destinations.clear()

    def resume(self) -> int:
        """After a restart: jobs that were being tried wait again. Returns how many."""
        claimed = self._execute(
            "UPDATE job SET state = ? WHERE state = ?", (JobState.WAITING, JobState.CLAIMED)
        ).rowcount
        latest = self._now() + self._policy.longest * (1 + self._policy.jitter)
        self._execute(
            "UPDATE job SET next_attempt = ? WHERE state = ? AND next_attempt > ?",
            (latest, JobState.WAITING, latest),
        )
        return claimed

    def add(self, plan: JobPlan, *, instance: int = 0, study: int = 0) -> int:
        """Make a job; returns its number. Jobs that are about no object but have an order among
        themselves share a negative `study`."""
        now = self._now()
        (number,) = self._execute(
            "INSERT INTO job (kind, destination, instance, study, state, rank, created,"
            " next_attempt, reason, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                plan.kind,
                self._destination(plan.destination),
                instance or None,
                study,
                JobState.HELD if plan.hold else JobState.WAITING,
                -plan.priority,
                now,
                now + plan.delay,
                plan.hold[:_LONGEST_REASON],
                plan.payload,
            ),
        ).fetchone()
        return int(number)

    def is_open(self, plan: JobPlan, instance: int) -> bool:
        """Whether this object has such a job that is not finished."""
        row = self._execute(
            "SELECT 1 FROM job WHERE instance = ? AND destination = ? AND kind = ?",
            (instance, self._destination(plan.destination), plan.kind),
        ).fetchone()
        return row is not None

    def is_known(self, plan: JobPlan, instance: int) -> bool:
        """Whether this object has such a job that is not finished, or was delivered there."""
        if plan.kind != DELIVER or self.is_open(plan, instance):
            return self.is_open(plan, instance)
        row = self._execute(
            "SELECT 1 FROM delivery WHERE instance = ? AND destination = ?",
            (instance, self._destination(plan.destination)),
        ).fetchone()
        return row is not None

    def claim(
        self,
        destination: str,
        limit: int,
        *,
        kinds: tuple[str, ...] = (),
        keep_order: bool = True,
    ) -> list[Job]:
        """Take up to `limit` jobs that are due, those of higher priority first.

        They belong to the caller until finished, retried, held or released, or until a restart.
        With `keep_order` nothing overtakes a job of its study. A paused destination gives none.
        """
        chosen = self._choose(self._destination(destination), limit, kinds, keep_order)
        for number in chosen:
            self._execute("UPDATE job SET state = ? WHERE id = ?", (JobState.CLAIMED, number))
        return [job for number in chosen if (job := self.job(number)) is not None]

    def next_due(
        self, destination: str, *, kinds: tuple[str, ...] = (), keep_order: bool = True
    ) -> float | None:
        """Seconds until `claim` has something to give, 0 when it has now.

        None when nothing waits, or only what waits for jobs that are being tried, or when the
        destination is paused: ask again when one is finished.
        """
        number = self._destination(destination)
        if self._is_paused(number):
            return None
        if self._choose(number, 1, kinds, keep_order):
            return 0.0
        now = self._now()
        row = self._execute(
            "SELECT min(next_attempt) FROM job INDEXED BY job_due"
            f" WHERE destination = ? AND state = ? AND next_attempt > ?{_of(kinds)}",
            (number, JobState.WAITING, now, *kinds),
        ).fetchone()
        return None if row[0] is None else float(row[0]) - now

    def _is_paused(self, destination: int) -> bool:
        row = self._execute("SELECT paused FROM destination WHERE id = ?", (destination,))
        return bool(row.fetchone()[0])

    def _choose(
        self, destination: int, limit: int, kinds: tuple[str, ...], keep_order: bool
    ) -> list[int]:
        if self._is_paused(destination):
            return []
        now = self._now()
        blocked = self._blocked(destination, now, kinds) if keep_order else {}
        chosen: list[int] = []
        for number, study, kind in self._execute(
            "SELECT id, study, kind FROM job INDEXED BY job_ready WHERE destination = ?"
            " AND state = ? AND next_attempt <= ? ORDER BY rank, id",
            (destination, JobState.WAITING, now),
        ):
            if (kinds and kind not in kinds) or blocked.get(study, number) < number:
                continue
            chosen.append(number)
            if len(chosen) >= limit:
                break
        return chosen

    def _blocked(self, destination: int, now: float, kinds: tuple[str, ...]) -> dict[int, int]:
        """The first job of each study that may not be overtaken; 0, no study, has no order.

        Jobs of other kinds are no matter: a commitment that is waited for keeps no object back.
        """
        rows = self._execute(
            "SELECT study, min(id) FROM ("
            "SELECT study, id, kind FROM job INDEXED BY job_due WHERE destination = ?1"
            " AND state = ?2 UNION ALL SELECT study, id, kind FROM job INDEXED BY job_due"
            " WHERE destination = ?1 AND state = ?3 AND next_attempt > ?4)"
            f" WHERE study != 0{_of(kinds)} GROUP BY study",
            (destination, JobState.CLAIMED, JobState.WAITING, now, *kinds),
        )
        return dict(rows.fetchall())

    def job(self, number: int) -> Job | None:
        """One job that is not finished; None when there is none of this number."""
        row = self._execute(f"{SELECTION} WHERE job.id = ?", (number,)).fetchone()
        return None if row is None else job_of(row)

    def finish(
        self, number: int, *, status: int = 0, reason: str = "", then: JobPlan | None = None
    ) -> bool:
        """The peer has confirmed it: it goes to the history, and the delivery is recorded.

        `then` is a job that follows for the same object. False when it is gone: its object was
        deleted meanwhile.
        """
        now = self._now()
        closed = self._history.close(number, "done", status, reason)
        if closed is None:
            return False
        kind, destination, instance = closed
        if then is not None and instance is not None:
            row = self._execute("SELECT study FROM instance WHERE id = ?", (instance,)).fetchone()
            if row is not None:
                study = row[0] or 0
                made = self.add(then, instance=instance, study=study)
                self._gather(made, then, study)
        if kind == DELIVER and instance is not None:
            self._execute(
                "INSERT INTO delivery (instance, destination, delivered) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET delivered = excluded.delivered, committed = NULL",
                (instance, destination, now),
            )
        elif kind == COMMIT and instance is not None:
            self._commit_delivery(instance, destination, now)
        self._execute("UPDATE destination SET last_success = ? WHERE id = ?", (now, destination))
        return True

    def _gather(self, number: int, plan: JobPlan, study: int) -> None:
        """A delayed job is due with the first of its kind that waits for the same study."""
        if plan.delay and study:
            self._execute(
                "UPDATE job SET next_attempt = coalesce((SELECT min(next_attempt) FROM job"
                " INDEXED BY job_due WHERE destination = ?1 AND state = ?2 AND next_attempt > ?3"
                " AND study = ?4 AND kind = ?5 AND reason = ''), next_attempt) WHERE id = ?6",
                (
                    self._destination(plan.destination),
                    JobState.WAITING,
                    self._now(),
                    study,
                    plan.kind,
                    number,
                ),
            )

    def mark_committed(self, destination: str, sop_instance_uids: Iterable[str]) -> int:
        """The peer has committed to keep these (PS3.4 annex J); returns how many were known."""
        number, now, marked = self._destination(destination), self._now(), 0
        for uid in sop_instance_uids:
            rows = self._execute("SELECT id FROM instance WHERE sop_instance_uid = ?", (uid,))
            for (instance,) in rows.fetchall():
                marked += self._commit_delivery(instance, number, now)
        return marked

    def _commit_delivery(self, instance: int, destination: int, now: float) -> int:
        return self._execute(
            "UPDATE delivery SET committed = ? WHERE instance = ? AND destination = ?",
            (now, instance, destination),
        ).rowcount

    def retry(
        self, number: int, *, status: int = 0, reason: str = "", delay: float | None = None
    ) -> JobState | None:
        """It failed and may yet pass: wait `delay` seconds, or as the policy says.

        Returns where the job is then: waiting, or held when the policy gives up; None when it is
        gone.
        """
        job, now = self.job(number), self._now()
        if job is None:
            return None
        attempts, state = job.attempts + 1, JobState.WAITING
        if delay is None:
            outcome = after_failure(
                self._policy, attempts=attempts, age=now - job.created, chance=self._chance()
            )
            if isinstance(outcome, Again):
                delay = outcome.delay
            else:
                state, delay = JobState.HELD, 0.0
                reason = f"{reason} ({outcome.why})" if reason else outcome.why
        self._update(number, state, attempts, now + delay, status, reason)
        self._failed(job.destination, now, status, reason)
        return state

    def wait(self, number: int, delay: float, reason: str) -> None:
        """Not before `delay` seconds, without counting a try: something is expected meanwhile."""
        self._execute(
            "UPDATE job SET state = ?, next_attempt = ?, reason = ? WHERE id = ?",
            (JobState.WAITING, self._now() + delay, reason[:_LONGEST_REASON], number),
        )

    def finish_without(self, number: int, reason: str) -> None:
        """It is over, and nothing is recorded as delivered or committed by it."""
        self._history.close(number, "dropped", 0, reason)

    def hold(self, number: int, *, status: int = 0, reason: str = "") -> bool:
        """It cannot pass, or shall not now: a person decides. False when it is gone."""
        job, now = self.job(number), self._now()
        if job is None:
            return False
        attempts = job.attempts + (job.state == JobState.CLAIMED)
        self._update(number, JobState.HELD, attempts, now, status, reason)
        if job.state == JobState.CLAIMED:
            self._failed(job.destination, now, status, reason)
        return True

    def release(self, numbers: Iterable[int]) -> None:
        """They were claimed and not tried: they are due again, nothing is counted."""
        for number in numbers:
            self._execute(
                "UPDATE job SET state = ? WHERE id = ? AND state = ?",
                (JobState.WAITING, number, JobState.CLAIMED),
            )

    def again(self, numbers: Iterable[int]) -> int:
        """A person wants them tried now; the count of tries starts anew. Returns how many."""
        now, changed = self._now(), 0
        for number in numbers:
            changed += self._execute(
                "UPDATE job SET state = ?, attempts = 0, next_attempt = ? WHERE id = ?"
                " AND state != ?",
                (JobState.WAITING, now, number, JobState.CLAIMED),
            ).rowcount
        return changed

    def drop(self, numbers: Iterable[int], *, reason: str = "") -> int:
        """Nobody wants them done any more; those being tried stay. Returns how many."""
        dropped = 0
        for number in numbers:
            row = self._execute("SELECT state FROM job WHERE id = ?", (number,)).fetchone()
            if row is not None and row[0] != JobState.CLAIMED:
                self._history.close(number, "dropped", 0, reason)
                dropped += 1
        return dropped

    def drop_of_instance(self, instance: int, reason: str) -> int:
        """Drop all jobs of an object that goes, those being tried too. Returns how many."""
        rows = self._execute("SELECT id FROM job WHERE instance = ?", (instance,)).fetchall()
        for (number,) in rows:
            self._history.close(number, "dropped", 0, reason)
        return len(rows)

    def count_of_instance(self, instance: int) -> int:
        """How many jobs of an object are not finished."""
        row = self._execute("SELECT count(*) FROM job WHERE instance = ?", (instance,)).fetchone()
        return int(row[0])

    def move_to(self, instance: int, successor: int, study: int) -> None:
        """The jobs of an object are about its rewritten form from now on, in that one's study."""
        self._execute(
            "UPDATE job SET instance = ?, study = ? WHERE instance = ?",
            (successor, study, instance),
        )

    def pause(self, destination: str, paused: bool) -> None:
        """Give out no jobs for this destination, or give them out again."""
        number = self._destination(destination)
        self._execute("UPDATE destination SET paused = ? WHERE id = ?", (int(paused), number))

    def _destination(self, name: str) -> int:
        found = self._destinations.get(name)
        if found is None:
            self._execute("INSERT OR IGNORE INTO destination (name) VALUES (?)", (name,))
            row = self._execute("SELECT id FROM destination WHERE name = ?", (name,)).fetchone()
            found = self._destinations[name] = int(row[0])
        return found

    def _update(
        self, number: int, state: JobState, attempts: int, at: float, status: int, reason: str
    ) -> None:
        self._execute(
            "UPDATE job SET state = ?, attempts = ?, next_attempt = ?, status = ?, reason = ?"
            " WHERE id = ?",
            (state, attempts, at, status, reason[:_LONGEST_REASON], number),
        )

    def _failed(self, destination: str, now: float, status: int, reason: str) -> None:
        self._execute(
            "UPDATE destination SET last_failure = ?, last_status = ?, last_reason = ?"
            " WHERE name = ?",
            (now, status, reason[:_LONGEST_REASON], destination),
        )


def _of(kinds: tuple[str, ...]) -> str:
    return f" AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
