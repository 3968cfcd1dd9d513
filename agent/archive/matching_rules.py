"""How a service class matches: what it hands to the matching engine, which a worker runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """How a service class matches, and what was negotiated.

    `unknown_matches`: an entity that has no value matches any key (C.2.2.1.1 for required keys),
    or none but the universal one (worklists, K.2.2.1.1.1). `date_times`: pairs of tags of DA and TM
    whose ranges are one interval. `timezone` is the entity's offset from UTC in minutes, for
    identifiers that state theirs; None leaves times as they are.
    """

    unknown_matches: bool = True
    date_times: tuple[tuple[int, int], ...] = ()
    fuzzy_names: bool = False
    empty_values: bool = False
    multiple_values: bool = False
    timezone: int | None = None
