"""Regular expressions that no value can make slow."""

from __future__ import annotations

import re

from agent.configuration.kinds import Mapped

LONGEST = 256


def check_pattern(value: object) -> str:
    """Give the expression back, or raise `ValueError` with what is wrong with it.

    Python's engine backtracks: an expression that repeats what already repeats, or that refers
    back to a group, can need time exponential in the length of a value. Such are refused by their
    form; at most four unbounded repetitions beside each other keep the rest polynomial.
    """
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    if len(value) > LONGEST:
        raise ValueError(f"longer than {LONGEST} characters")
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    _check_repetition(value)
    return value


def _check_repetition(text: str) -> None:
    from re import _parser as parser  # type: ignore[attr-defined]

    unbounded = _walk(parser.parse(text), parser, inside=False)
    if unbounded > 4:
        raise ValueError("more than four repetitions without a limit")


def _walk(items: object, parser: object, *, inside: bool) -> int:
    """Count the repetitions; raise `ValueError` for one within another."""
    unbounded = 0
    for operation, argument in items:  # type: ignore[attr-defined]
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            _low, high, body = argument
            repeats = high > 1
            if repeats and inside:
                raise ValueError("a repetition within a repetition")
            unbounded += int(high > 64) + _walk(body, parser, inside=inside or repeats)
        elif name == "SUBPATTERN":
            unbounded += _walk(argument[-1], parser, inside=inside)
        elif name == "BRANCH":
            if inside:
                raise ValueError("alternatives within a repetition")
            unbounded += sum(_walk(each, parser, inside=inside) for each in argument[1])
        elif name in ("ASSERT", "ASSERT_NOT"):
            unbounded += _walk(argument[1], parser, inside=inside)
        elif name == "ATOMIC_GROUP":
            unbounded += _walk(argument, parser, inside=inside)
        elif name in ("GROUPREF", "GROUPREF_IGNORE", "GROUPREF_EXISTS"):
            raise ValueError("a reference to a group")
    return unbounded


def pattern() -> Mapped:
    """A bounded regular expression."""
    return Mapped(
        f"a regular expression of at most {LONGEST} characters without nested repetition, "
        "alternatives within a repetition, or references to groups",
        check_pattern,
    )
