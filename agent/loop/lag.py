"""How long things wait for their turn, and how long turns take: a histogram of fixed size."""

from __future__ import annotations

# Upper bounds in seconds: 10 microseconds to 84 s, each a quarter octave above the one before.
_BOUNDS = tuple(10e-6 * 2 ** (step / 4) for step in range(93))


class Lag:
    """The lag of a loop: the time from a poll for events to the next, in seconds by its clock.

    Whatever became ready meanwhile waited at most so long. `over_budget` counts the laps that took
    longer than `budget`; `longest_turn` is the most CPU time that one task used without a break.
    """

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.count = 0
        self.over_budget = 0
        self.longest_turn = 0.0
        self.turns_over_budget = 0
        self._buckets = [0] * (len(_BOUNDS) + 1)

    def lap(self, seconds: float) -> None:
        self.count += 1
        if seconds > self.budget:
            self.over_budget += 1
        low, high = 0, len(_BOUNDS)
        while low < high:
            middle = (low + high) // 2
            if _BOUNDS[middle] < seconds:
                low = middle + 1
            else:
                high = middle
        self._buckets[low] += 1

    def quantile(self, part: float) -> float:
        """The upper bound of the bucket in which this part of all laps ended; 0 without laps."""
        wanted = part * self.count
        total = 0
        for index, number in enumerate(self._buckets):
            total += number
            if total and total >= wanted:
                return _BOUNDS[min(index, len(_BOUNDS) - 1)]
        return 0.0

    @property
    def p50(self) -> float:
        return self.quantile(0.5)

    @property
    def p999(self) -> float:
        return self.quantile(0.999)

    def snapshot(self) -> dict[str, float]:
        return {
            "count": self.count,
            "p50": self.p50,
            "p999": self.p999,
            "over_budget": self.over_budget,
            "longest_turn": self.longest_turn,
            "turns_over_budget": self.turns_over_budget,
        }
