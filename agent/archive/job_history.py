"""What became of jobs that are over; the last so many are kept."""

from __future__ import annotations

from collections.abc import Callable

from agent.archive.index import Index

_LONGEST_REASON = 1024
_SLACK = 256


class JobHistory:
    """Finished jobs, in the index; everything runs inside a transaction of the storage worker."""

    def __init__(self, index: Index, now: Callable[[], float], most: int) -> None:
        self._execute = index.execute
        self._now = now
        self._most = most
        self._finished_since_trim = 0

    def close(
        self, number: int, outcome: str, status: int, reason: str
    ) -> tuple[str, int, int | None] | None:
        """A job is over: its kind, destination and instance; None when it is gone."""
        row = self._execute(
            "DELETE FROM job WHERE id = ? RETURNING kind, destination, instance, attempts, created",
            (number,),
        ).fetchone()
        if row is None:
            return None
        kind, destination, instance, attempts, created = row
        self._execute(
            "INSERT OR REPLACE INTO finished_job SELECT ?, ?, ?, ?,"
            " coalesce((SELECT sop_instance_uid FROM instance WHERE id = ?), ''),"
            " ?, ?, ?, ?, ?, ?",
            (
                number,
                kind,
                destination,
                instance,
                instance,
                outcome,
                attempts + (outcome == "done"),
                created,
                self._now(),
                status,
                reason[:_LONGEST_REASON],
            ),
        )
        self._finished_since_trim += 1
        if self._finished_since_trim >= _SLACK:
            self._trim()
        return kind, destination, instance

    def _trim(self) -> None:
        self._finished_since_trim = 0
        self._execute(
            "DELETE FROM finished_job WHERE finished < (SELECT finished FROM finished_job"
            " ORDER BY finished DESC LIMIT 1 OFFSET ?)",
            (self._most,),
        )
