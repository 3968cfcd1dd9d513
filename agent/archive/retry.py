"""When a job that failed is tried again: pure arithmetic, with the chance handed in."""

from __future__ import annotations

from dataclasses import dataclass

from agent.archive.settings import RetryPolicy


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after so many seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Hold the job for a person, and say why."""

    why: str


def after_failure(
    policy: RetryPolicy, *, attempts: int, age: float, chance: float
) -> Again | GiveUp:
    """What follows the failure number `attempts` (from 1) of a job that is `age` seconds old.

    `chance` is a random number from 0 to 1: it spreads the waits, so that jobs that failed
    together do not all come back at once.
    """
    if policy.attempts and attempts >= policy.attempts:
        return GiveUp(f"tried {attempts} times")
    if policy.age and age >= policy.age:
        return GiveUp(f"not delivered for {age / 3600:.1f} hours")
    # Beyond 2**64 no policy waits longer, and floats would overflow.
    wait = policy.longest
    exponent = max(attempts - 1, 0)
    if exponent < 64:
        wait = min(policy.first * policy.factor**exponent, policy.longest)
    return Again(max(0.0, wait * (1 + policy.jitter * (2 * chance - 1))))
