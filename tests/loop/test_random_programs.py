"""Random programs of sleeps, limits, shields, groups and cancellations, against a model of them.

The model says when each program ends; the loop must end it at that moment, and must have left every
block that was entered.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from agent.loop import Loop, ManualClock, TaskGroup, TimedOut, now, shielded, sleep, timeout

# A program: its kind, its seconds (0 where it has none), its parts.
Program = tuple[str, float, list[Any]]


def program(chance: random.Random, depth: int) -> Program:
    kinds = ["sleep"] if depth == 0 else ["limit", "shield", "group", "sequence", "cancel", "sleep"]
    kind = chance.choice(kinds)
    seconds = chance.uniform(0.1, 10)
    number = {"sleep": 0, "group": chance.randint(0, 4), "sequence": chance.randint(1, 4)}
    return kind, seconds, [program(chance, depth - 1) for _ in range(number.get(kind, 1))]


def expected(what: Program, start: float, limit: float) -> tuple[float, bool]:
    """When a program ends, and whether it was cut short, if all is to end at `limit`."""
    kind, seconds, parts = what
    if kind == "sleep":
        return max(start, min(start + seconds, limit)), limit <= start + seconds
    if kind == "sequence":
        for part in parts:
            start, cut = expected(part, start, limit)
            if cut:
                return start, True
        return start, False
    if kind == "shield":
        return expected(parts[0], start, math.inf)[0], False
    if kind == "limit":
        end, cut = expected(parts[0], start, min(limit, start + seconds))
        # Of two limits that have passed, the outer one counts.
        return end, cut and limit <= end
    if limit <= start:
        # Children that are cancelled before they begin never do; a group without any does not wait.
        return start, bool(parts)
    if kind == "cancel":
        end = expected(parts[0], start, min(limit, start + seconds))[0]
        end = max(end, min(limit, start + seconds))
        return end, limit <= end
    ends = [expected(part, start, limit)[0] for part in parts]
    end = max(ends, default=start)
    return end, limit <= end


class Runner:
    """Runs programs, and counts the blocks that are open."""

    def __init__(self) -> None:
        self.entered = 0
        self.left = 0

    async def run(self, what: Program) -> None:
        self.entered += 1
        try:
            await getattr(self, what[0])(what[1], what[2])
        finally:
            self.left += 1

    async def sleep(self, seconds: float, parts: list[Program]) -> None:
        await sleep(seconds)

    async def sequence(self, seconds: float, parts: list[Program]) -> None:
        for part in parts:
            await self.run(part)

    async def shield(self, seconds: float, parts: list[Program]) -> None:
        with shielded():
            await self.run(parts[0])

    async def limit(self, seconds: float, parts: list[Program]) -> None:
        try:
            with timeout(seconds):
                await self.run(parts[0])
        except TimedOut as error:
            assert error.limit == seconds

    async def group(self, seconds: float, parts: list[Program]) -> None:
        async with TaskGroup() as group:
            for part in parts:
                group.start(self.run(part))

    async def cancel(self, seconds: float, parts: list[Program]) -> None:
        async with TaskGroup() as group:
            task = group.start(self.run(parts[0]))
            await sleep(seconds)
            task.cancel()


def test_random_programs_end_when_they_should(count: Callable[[int, int], int]) -> None:
    for seed in range(count(1500, 100_000)):
        chance = random.Random(seed)
        what = program(chance, chance.randint(1, 6))
        runner = Runner()
        loop = Loop(ManualClock(0.0))

        async def main(runner: Runner = runner, what: Program = what) -> float:
            await runner.run(what)
            return now()

        end = loop.run(main())
        assert math.isclose(end, expected(what, 0.0, math.inf)[0], abs_tol=1e-6), (seed, what)
        assert runner.entered == runner.left, (seed, what)
        assert loop._timers.next_at() is None, (seed, what)
