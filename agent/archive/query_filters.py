"""Conditions in SQL: never narrower than the matching engine, which has the last word.

The index keeps text as bytes in the object's own character set, several values in one field, and
nothing at all for what is unknown. So a filter lets through what is equal in ASCII, what is empty
(C.2.2.1.2), and whatever may be read otherwise: values with an escape sequence or a backslash.
Keys that go beyond ASCII, and names, are left to the engine.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

from agent.archive import matching_values as values
from agent.archive.matching import EMPTY_VALUE, is_universal
from agent.archive.query_keys import Column
from agent.dataset.attributes import Attribute

Filter = tuple[str, tuple[Any, ...]]

_TEXTS = frozenset(("CS", "LO", "SH"))
_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,15}")
_LONGEST_LIST = 100


def filter_of(column: Column, key: Attribute) -> Filter | None:
    """A condition that every row meets which can match this key; None where there is none to be
    had."""
    if is_universal(key) or "(" in column.expression:
        return None
    wanted = [str(each) for each in key.values]
    if EMPTY_VALUE in wanted or len(wanted) > _LONGEST_LIST:
        return None
    if column.vr == "UI":
        return _among(column, [each.encode() for each in wanted])
    if column.vr == "DA" and len(wanted) == 1:
        return _dates(column, wanted[0])
    if column.vr == "IS" and all(map(_WHOLE_NUMBER.fullmatch, wanted)):
        marks = ", ".join("?" * len(wanted))
        expression = column.expression
        return (
            f"(CAST({expression} AS REAL) IN ({marks}) OR {expression} = '')",
            tuple(float(each) for each in wanted),
        )
    if column.vr in _TEXTS and all(each.isascii() for each in wanted):
        if not any(values.is_wild(column.vr, each) for each in wanted):
            return _among(column, [each.encode() for each in wanted])
        if len(wanted) == 1:
            return _beginning(column, re.split(r"[*?]", wanted[0])[0])
    return None


def _among(column: Column, wanted: list[bytes]) -> Filter:
    marks = ", ".join("?" * len(wanted))
    given = tuple(wanted) if column.text else tuple(each.decode() for each in wanted)
    return f"({column.expression} IN ({marks}) OR {_odd(column)})", given


def _beginning(column: Column, prefix: str) -> Filter | None:
    if not prefix:
        return None
    given = prefix.encode() if column.text else prefix
    return (
        f"(substr({column.expression}, 1, {len(prefix)}) = ? OR {_odd(column)})",
        (given,),
    )


def _odd(column: Column) -> str:
    """Empty, of several values, or with escape sequences."""
    name = column.expression
    if not column.text:
        return f"{name} = '' OR instr({name}, '\\') > 0"
    return f"{name} = x'' OR instr({name}, x'5C') > 0 OR instr({name}, x'1B') > 0"


def _dates(column: Column, key: str) -> Filter | None:
    within = values.interval("DA", key)
    if within is None:
        return None
    # A day more on either side: a timezone may move it.
    first, last = (_moved(each, days) for each, days in zip(within, (-1, 1), strict=True))
    name = column.expression
    return (
        f"({name} BETWEEN ? AND ? OR {name} = '' OR length({name}) <> 8)",
        (first.strftime("%Y%m%d").zfill(8), last.strftime("%Y%m%d").zfill(8)),
    )


def _moved(moment: datetime.datetime, days: int) -> datetime.datetime:
    try:
        return moment + datetime.timedelta(days=days)
    except OverflowError:
        return moment
