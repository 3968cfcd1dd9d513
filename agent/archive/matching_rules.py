"""How a service class matches: what it hands to the matching engine, which a worker runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Combination(Enum):
    """When the ranges of a date and its time are one interval."""

    NEVER = "never"
    SAME_FORM = "same form"
    """Both from and to, both from, or both to (C.2.2.2.5.4)."""
    RANGES = "ranges"
    """Whatever form of range either has (K.6.1.2.2)."""


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """How a service class matches, and what was negotiated.

    `unknown_matches`: an entity that has no value matches any key (C.2.2.1.2 for required keys),
    or none but the universal one (worklists, K.2.2.1.1.1). `never_unknown`: keys whose entity
    always has a value, the unique ones (C.2.2.1.1). `date_times`: pairs of tags of DA and TM, which
    belong together. `timezone` is the entity's offset from UTC in minutes, for identifiers that
    state theirs; None leaves times as they are.
    """

    unknown_matches: bool = True
    never_unknown: frozenset[int] = frozenset()
    date_times: tuple[tuple[int, int], ...] = ()
    combination: Combination = Combination.RANGES
    fuzzy_names: bool = False
    empty_values: bool = False
    multiple_values: bool = False
    timezone: int | None = None
