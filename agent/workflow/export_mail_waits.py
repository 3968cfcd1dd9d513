"""When a mail that could not be sent is tried again, and when that has gone on for too long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from agent.configuration.connection import Retry
from agent.workflow.export_record import ExportRecord
from agent.workflow.export_settings import MAIL


class MailWaits:
    """Those of all exports; other targets than mails wait by no rule of this."""

    def __init__(self, retry: Callable[[], Retry], clock: Callable[[], float] = time.time) -> None:
        self._retry = retry
        self._clock = clock
        self._tries: dict[int, tuple[int, float]] = {}
        """Failures in this life, and the moment at which it is tried again, by export."""

    def is_over(self, record: ExportRecord, why: Exception) -> bool:
        """Note a failure; whether it was the last, the reason is in the record then."""
        if record.target.kind != MAIL:
            return False
        retry, now = self._retry(), self._clock()
        count = self._tries.get(record.id, (0, 0.0))[0] + 1
        age = now - record.begun
        if (retry.attempts and count >= retry.attempts) or (retry.age and age >= retry.age):
            record.reason = f"given up after {count} tries in {age / 3600:.1f} h: {why}"
            return True
        wait = min(retry.first * retry.factor ** min(count - 1, 64), retry.longest)
        wait *= 1 + random.uniform(-retry.jitter, retry.jitter)
        self._tries[record.id] = count, now + wait
        return False

    def is_early(self, record: ExportRecord) -> bool:
        """Whether the next try is not due yet."""
        due = self._tries.get(record.id)
        return due is not None and self._clock() < due[1]

    def until_next(self, seconds: float | None) -> float | None:
        """The seconds until the next try, or `seconds`, whatever is sooner; None for never."""
        now = self._clock()
        waits = [max(0.0, due - now) for _, due in self._tries.values()]
        return min([*waits, seconds] if seconds is not None else waits, default=None)

    def forget(self, record: ExportRecord) -> None:
        """It is over."""
        self._tries.pop(record.id, None)
