"""How long things wait for their turn, and how long turns take: a histogram of fixed size."""

from __future__ import annotations

from bisect import bisect_left

# Upper bounds in seconds: 10 microseconds to 84 s, each a quarter octave above the one before.
_BOUNDS = tuple(10e-6 * 2 ** (step / 4) for step in range(93))


class Lag:
    """The lag of a loop: the time that it worked between two polls, in seconds of real time.

    Whatever became ready meanwhile waited at most so long. `over_budget` counts the times that this
    took longer than `budget`. `longest_turn` is the most CPU time in seconds that one task used
    without a break, and `turns_over_budget` how many turns used more than theirs; both are told by
    at most a millisecond too much and leave out turns shorter than that. Memory: one kilobyte.
    """

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.clear()

    def clear(self) -> None:
        """Begin anew: nothing was counted."""
        self.count = 0
        self.over_budget = 0
        self.longest_turn = 0.0
        self.turns_over_budget = 0
        self._buckets = [0] * (len(_BOUNDS) + 1)

    def lap(self, seconds: float) -> None:
        """Count the time from one poll to the next."""
        self.count += 1
        if seconds > self.budget:
            self.over_budget += 1
        self._buckets[bisect_left(_BOUNDS, seconds)] += 1

    def turn(self, seconds: float, budget: float) -> None:
        """Count the CPU time of one turn; the loop tells of long ones only."""
        if seconds > self.longest_turn:
            self.longest_turn = seconds
        if seconds > budget:
            self.turns_over_budget += 1

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
        """The median."""
        return self.quantile(0.5)

    @property
    def p999(self) -> float:
        """What one lap in a thousand exceeds."""
        return self.quantile(0.999)

    def snapshot(self) -> dict[str, float]:
        """All figures by name, for metrics."""
        return {
            "count": self.count,
            "p50": self.p50,
            "p999": self.p999,
            "over_budget": self.over_budget,
            "longest_turn": self.longest_turn,
            "turns_over_budget": self.turns_over_budget,
        }
