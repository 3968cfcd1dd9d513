"""Regular expressions that no value can make slow.

Python's engine backtracks: at worst it tries every way in which an expression can be laid upon a
value. Those ways can be counted from the expression alone, once the length of the value is bounded;
an expression with too many of them is refused when the configuration is read.
"""

from __future__ import annotations

import re
from typing import Any

from agent.configuration.kinds import Mapped

LONGEST_PATTERN = 256
LONGEST_VALUE = 128
MOST_WAYS = 4_000_000
"""Three repetitions without a limit fit; what they can cost is some hundredths of a second."""


def fits(pattern: str, value: str) -> bool:
    """Whether the whole value matches; a value longer than `LONGEST_VALUE` never does."""
    return len(value) <= LONGEST_VALUE and re.fullmatch(pattern, value) is not None


def check_pattern(value: object) -> str:
    """Give the expression back, or raise `ValueError` with what is wrong with it."""
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    if len(value) > LONGEST_PATTERN:
        raise ValueError(f"longer than {LONGEST_PATTERN} characters")
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    # The engine's own reading of the expression; there is no public one.
    from re import _parser as parser  # type: ignore[attr-defined]

    if _ways(parser.parse(value)) > MOST_WAYS:
        raise ValueError("too many ways to match: repetitions within or beside each other")
    return value


def _ways(items: Any) -> int:
    """In how many ways a sequence can be laid upon a value, at most; capped above `MOST_WAYS`."""
    ways = 1
    for operation, argument in items:
        ways = min(ways * _ways_of(str(operation), argument), MOST_WAYS + 1)
    return ways


def _ways_of(name: str, argument: Any) -> int:
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        low, high, body = argument
        return _ways_to_repeat(int(low), min(int(high), LONGEST_VALUE), _ways(body))
    if name == "SUBPATTERN":
        return _ways(argument[-1])
    if name == "BRANCH":
        return sum(_ways(each) for each in argument[1])
    if name in ("ASSERT", "ASSERT_NOT"):
        return _ways(argument[1])
    if name == "ATOMIC_GROUP":
        return _ways(argument)
    if name.startswith("GROUPREF"):
        raise ValueError("a reference to a group")
    return 1


def _ways_to_repeat(low: int, high: int, inner: int) -> int:
    """For each possible count, the ways of the body multiplied that often."""
    if inner == 1:
        return max(high - low, 0) + 1
    ways = 0
    for count in range(low, max(low, high) + 1):
        ways += inner**count if count < 32 else MOST_WAYS + 1
        if ways > MOST_WAYS:
            return MOST_WAYS + 1
    return ways


def pattern() -> Mapped:
    """A bounded regular expression."""
    return Mapped(
        f"a regular expression of at most {LONGEST_PATTERN} characters, without references to "
        "groups, and without repetitions within repetitions",
        check_pattern,
    )
