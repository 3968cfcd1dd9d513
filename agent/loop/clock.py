"""Clocks for the loop: the monotonic one, and one that a test moves."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that never go back; where they start means nothing."""

    def now(self) -> float:
        """The present moment in seconds."""
        ...


class MonotonicClock:
    """The kernel's monotonic clock: not moved by a person, NTP, or a battery that is missing."""

    now = staticmethod(time.monotonic)


class ManualClock:
    """A clock that stands still until it is moved.

    A loop that runs on it moves it to the next timer whenever no task can run, so that a timer of
    30 s is tested in no time. What happens outside of the process takes real time all the same:

    - while tasks wait for descriptors, these get `grace` real seconds to become ready before each
      move: enough for the other end of a socket that this loop serves, or a peer that answers;
    - while a call of a worker or a child process is under way, which ends by itself, they get
      `patience` real seconds: a test does not time out because the machine is busy. To test what
      happens when it does not answer in time, make `patience` small.
    """

    def __init__(
        self, start: float = 1000.0, *, grace: float = 0.01, patience: float = 10.0
    ) -> None:
        self._now = start
        self.grace = grace
        self.patience = patience

    def now(self) -> float:
        """The moment to which the clock was moved last."""
        return self._now

    def advance(self, seconds: float) -> None:
        """So many seconds on; timers that are due by then ring in the next lap."""
        self._now += seconds

    def move_to(self, at: float) -> None:
        """To a later moment; an earlier one changes nothing."""
        self._now = max(self._now, at)
