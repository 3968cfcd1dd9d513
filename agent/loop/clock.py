"""Clocks for the loop: the monotonic one, and one that a test moves."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that never go back; where they start means nothing."""

    def now(self) -> float: ...


class MonotonicClock:
    """The kernel's monotonic clock: not moved by a person, NTP, or a battery that is missing."""

    def now(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is moved.

    A loop that runs on it moves it to the next timer whenever no task can run and no descriptor is
    ready, so that a timer of 30 s is tested in no time. It gives descriptors that are being waited
    on `grace` real seconds to become ready before each such move.
    """

    def __init__(self, start: float = 1000.0, *, grace: float = 0.01) -> None:
        self._now = start
        self.grace = grace

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds

    def move_to(self, at: float) -> None:
        """To a later moment; an earlier one changes nothing."""
        self._now = max(self._now, at)
