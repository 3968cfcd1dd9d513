"""Values of VR DT as moments, and moments as values of VR DT (PS3.5 6.2)."""

from __future__ import annotations

import datetime
import re
import time
from typing import NamedTuple

Interval = tuple[datetime.datetime, datetime.datetime]
"""From the first moment to the last, both inside."""

LATEST = datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)
"""The last moment that can be said."""

_DATE_TIME = re.compile(
    r"(?P<digits>\d{4}(?:\d\d){0,4}|\d{14}(?:\.(?P<fraction>\d{1,6}))?)(?P<offset>[+-]\d{4})?"
)


class _Value(NamedTuple):
    """A DT: the moment at which it begins, by its own clock; how many digits it has of the date and
    time and of the fraction of a second; its offset from UTC, None where it does not say it."""

    local: datetime.datetime
    digits: int
    fraction: int
    offset: datetime.timedelta | None


def date_time(at: float) -> str:
    """A time, in seconds since 1970, as DT, in UTC."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(at)) + "+0000"


def moment_of(text: str, timezone: int = 0) -> datetime.datetime | None:
    """The moment at which a DT begins, in UTC; None for what is none.

    `timezone` is the offset in minutes that holds where the value does not say its own. What a
    value leaves out is its beginning: 2025 is the first of January, midnight.
    """
    value = _read(text)
    if value is None:
        return None
    offset = datetime.timedelta(minutes=timezone) if value.offset is None else value.offset
    try:
        return value.local - offset
    except OverflowError:
        return None


def interval_of(text: str) -> Interval | None:
    """The moments that a DT stands for, in UTC where it says its offset; None for what is none.

    2025 is all of that year.
    """
    value = _read(text)
    if value is None:
        return None
    first, last = value.local, _end_of(value)
    if not value.offset:
        return first, last
    try:
        return first - value.offset, last - value.offset
    except OverflowError:
        return None


def _read(text: str) -> _Value | None:
    found = _DATE_TIME.fullmatch(text.strip())
    if found is None:
        return None
    digits, fraction = found["digits"].partition(".")[0], found["fraction"] or ""
    parts = [int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, len(digits), 2))]
    year, month, day, hour, minute, second = (*parts, *(1, 1, 0, 0, 0)[len(parts) - 1 :])
    microsecond = int(fraction.ljust(6, "0"))
    try:
        # A leap second has no moment of its own here.
        local = datetime.datetime(year, month, day, hour, minute, min(second, 59), microsecond)
    except ValueError:
        return None
    return _Value(local, len(digits), len(fraction), _offset_of(found["offset"]))


def _offset_of(text: str | None) -> datetime.timedelta | None:
    if text is None:
        return None
    offset = datetime.timedelta(hours=int(text[1:3]), minutes=int(text[3:5]))
    return -offset if text[0] == "-" else offset


def _end_of(value: _Value) -> datetime.datetime:
    """The last moment of a year, month, day, hour, minute, second or part of it."""
    try:
        return value.local + _length_of(value) - datetime.timedelta(microseconds=1)
    except OverflowError:
        return LATEST


def _length_of(value: _Value) -> datetime.timedelta:
    """How long it lasts. Raises OverflowError where the calendar ends before."""
    first = value.local
    if value.digits == 4:
        return datetime.timedelta(days=366 if _is_leap(first.year) else 365)
    if value.digits == 6:
        return (first.replace(day=28) + datetime.timedelta(days=4)).replace(day=1) - first
    if value.fraction:
        return datetime.timedelta(microseconds=10 ** (6 - value.fraction))
    units = {8: "days", 10: "hours", 12: "minutes", 14: "seconds"}
    return datetime.timedelta(**{units[value.digits]: 1})


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
