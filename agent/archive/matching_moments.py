"""Dates with their times: as one interval, and in another timezone (PS3.4 C.2.2.2.1.3 and .5.4).

Where an identifier states its Timezone Offset From UTC (0008,0201) and that was negotiated, the
moments of an entity are moved to that zone, and there they are matched.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from agent.archive import matching_values as values
from agent.archive.matching_rules import Combination, MatchingRules

_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)$")
# Ends of a range, or one moment, of which none has an offset of its own.
_WITHOUT_OFFSET = re.compile(r"[\d.]{4,}|-[\d.]{6,}|[\d.]{4,}-|[\d.]{4,}-[\d.]{6,}")
_ANY = ("", "*")


class Shift(NamedTuple):
    """The offsets from UTC, in minutes, of an identifier and of the entities it is asked about."""

    identifier: int
    entity: int

    @property
    def minutes(self) -> int:
        """From the entity's zone to the identifier's."""
        return self.identifier - self.entity


def shift_of(stated: str, entity: int | None) -> Shift | None:
    """What (0008,0201) of an identifier comes to; None where nothing is to be moved."""
    found = _OFFSET.fullmatch(stated)
    if entity is None or found is None:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    return Shift(-minutes if found[1] == "-" else minutes, entity)


def pair(
    days: str, times: str, shift: Shift | None, rules: MatchingRules
) -> Callable[[Sequence[str], Sequence[str]], bool] | None:
    """The condition for a date and its time; None where each is matched for itself."""
    together = _are_combined(days, times, rules.combination)
    if not together and (shift is None or (days in _ANY and times in _ANY)):
        return None
    if '""' in (days, times):
        return None
    within = combined(days, times) if together else None
    if together and within is None:
        return None
    unknown = rules.unknown_matches
    minutes = shift.minutes if shift is not None else 0
    day_matches = None if days in _ANY else values.moment("DA", days)
    time_matches = None if times in _ANY else values.moment("TM", times)

    def holds(held_days: Sequence[str], held_times: Sequence[str]) -> bool:
        day, clock = next(iter(held_days), ""), next(iter(held_times), "")
        moments = _moments(day, clock)
        if moments is None:
            # Something is unknown, or not to be read: each for itself, nothing can be moved.
            return _holds(day_matches, day, unknown) and _holds(time_matches, clock, unknown)
        first, last = (_moved(each, minutes) for each in moments)
        if within is not None:
            if not clock:
                return unknown and within[0] <= last and first <= within[1]
            return within[0] <= first <= within[1]
        if not clock:
            return _holds(day_matches, day, unknown) and _holds(time_matches, "", unknown)
        return _holds(day_matches, first.strftime("%Y%m%d"), unknown) and _holds(
            time_matches, first.strftime("%H%M%S.%f"), unknown
        )

    return holds


def in_its_zone(key: str, shift: Shift) -> values.Test:
    """A key of DT, whose moments without an offset are meant in the identifier's zone."""
    within = values.interval("DT", key)
    if within is None:
        return values.exactly(key)
    moved = -shift.identifier if _WITHOUT_OFFSET.fullmatch(key.strip()) else 0
    first, last = (_moved(each, moved) for each in within)

    def matches(value: str) -> bool:
        held = values.interval("DT", value, single=True)
        if held is None:
            return False
        has_offset = _OFFSET.search(value.strip()) is not None
        return first <= _moved(held[0], 0 if has_offset else -shift.entity) <= last

    return matches


def _are_combined(days: str, times: str, combination: Combination) -> bool:
    if combination is Combination.NEVER:
        return False
    if not (values.is_range("DA", days) and values.is_range("TM", times)):
        return False
    return combination is Combination.RANGES or _form(days) == _form(times)


def _form(text: str) -> tuple[bool, bool]:
    text = text.strip()
    return text.startswith("-"), text.endswith("-")


def combined(days: str, times: str) -> values.Interval | None:
    """The interval from the first day at the first time to the last day at the last time."""
    day, clock = values.interval("DA", days), values.interval("TM", times)
    if day is None or clock is None:
        return None
    # An open end of the days is open whatever the time says.
    begin_open, end_open = _form(days)
    first = day[0] if begin_open else datetime.datetime.combine(day[0], clock[0].time())
    last = day[1] if end_open else datetime.datetime.combine(day[1], clock[1].time())
    return first, last


def _moments(day: str, clock: str) -> values.Interval | None:
    """The first and the last moment of a date with its time; all day without one."""
    days = values.interval("DA", day, single=True) if day else None
    if days is None or not clock:
        return days
    times = values.interval("TM", clock, single=True)
    if times is None:
        return None
    return (
        datetime.datetime.combine(days[0], times[0].time()),
        datetime.datetime.combine(days[0], times[1].time()),
    )


def _holds(test: values.Test | None, value: str, unknown: bool) -> bool:
    if test is None:
        return True
    return test(value) if value else unknown


def _moved(moment: datetime.datetime, minutes: int) -> datetime.datetime:
    try:
        return moment + datetime.timedelta(minutes=minutes)
    except OverflowError:
        return moment
