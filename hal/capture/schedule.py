"""The simulator's time: when each frame is due, and what befalls the device in between."""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple

from hal.capture.base import FrameRate


class Incident(Enum):
    """What a script can do to the device."""

    SIGNAL_LOST = "signal lost"
    SIGNAL_RETURNS = "signal returns"
    DEVICE_GONE = "device gone"


class Scripted(NamedTuple):
    """An incident, `at` seconds after `start()`."""

    at: float
    incident: Incident


class FrameSchedule:
    """The slots of a steady rate: slot n is due at `started` + n periods, without drift."""

    def __init__(self, started: float, rate: FrameRate) -> None:
        self.started = started
        self._rate = rate

    def due(self, slot: int) -> float:
        return self.started + slot * self._rate.denominator / self._rate.numerator

    def slots_before(self, moment: float, *, included: bool) -> int:
        """How many slots are due before that moment (or at it); constant work."""
        count = max(0, math.floor((moment - self.started) / self._rate.period) - 1)
        while self.due(count) < moment or (included and self.due(count) == moment):
            count += 1
        return count
