"""The one matching engine: keys of an identifier against the attributes of an entity (C.2.2.2).

Worklists, queries of the archive and unified steps all match here; what is different between them
is data, in `MatchingRules`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable

from agent.archive import matching_values as values
from agent.archive.matching_rules import MatchingRules
from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.tags import SPECIFIC_CHARACTER_SET

TIMEZONE_OFFSET_FROM_UTC = 0x00080201
QUERY_RETRIEVE_LEVEL = 0x00080052
QUERY_RETRIEVE_VIEW = 0x00080053
NEVER_KEYS = frozenset(
    (SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET_FROM_UTC, QUERY_RETRIEVE_LEVEL, QUERY_RETRIEVE_VIEW)
)
"""Attributes of an identifier that say how it is meant, and match nothing (C.2.2.2)."""

_EMPTY = '""'
_MULTIPLE = frozenset(("AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"))

_Test = Callable[[Attributes], bool]


class Matching:
    """An identifier made ready to be asked about many entities."""

    def __init__(self, identifier: Attributes, rules: MatchingRules) -> None:
        self.identifier = identifier
        self._rules = rules
        self._shift = _shift_of(identifier, rules)
        self.has_keys = any(tag not in NEVER_KEYS for tag in identifier)
        self._tests = self._compile(identifier)

    def matches(self, entity: Attributes) -> bool:
        """Whether all keys match. An identifier without any key matches nothing (K.4.1.3)."""
        return self.has_keys and all(test(entity) for test in self._tests)

    def returned(self, entity: Attributes) -> Attributes:
        """The identifier of a response: what was asked for, with the entity's values.

        Empty where the entity has none. Of a sequence all, or what its item asks for.
        """
        return _returned(self.identifier, entity)

    def _compile(self, identifier: Attributes) -> list[_Test]:
        tests: list[_Test] = []
        paired: set[int] = set()
        for date, time in self._rules.date_times:
            test = self._date_time(identifier, date, time)
            if test is not None:
                tests.append(test)
                paired |= {date, time}
        for tag in identifier:
            if tag in NEVER_KEYS or tag in paired:
                continue
            key = identifier[tag]
            if key.vr == "SQ":
                inner = self._sequence(tag, identifier)
                if inner is not None:
                    tests.append(inner)
            elif not _is_universal(key):
                tests.append(self._attribute(tag, key))
        return tests

    def _sequence(self, tag: int, identifier: Attributes) -> _Test | None:
        items = identifier.items_of(tag)
        tests = self._compile(items[0]) if items else []
        if not tests:
            return None
        unknown = self._rules.unknown_matches

        def matches(entity: Attributes) -> bool:
            held = entity.items_of(tag)
            if not held:
                return unknown
            # C.2.2.2.6: all keys of the item, in the same item.
            return any(all(test(item) for test in tests) for item in held)

        return matches

    def _attribute(self, tag: int, key: Attribute) -> _Test:
        vr, wanted = key.vr, [str(each) for each in key.values]
        unknown = self._rules.unknown_matches
        if self._rules.empty_values and wanted == [_EMPTY] and vr not in ("UI", "AT"):
            return lambda entity: not entity.has(tag)
        if vr == "UI":
            chosen = frozenset(wanted)
            return lambda entity: (
                not chosen.isdisjoint(entity.texts(tag)) if entity.has(tag) else unknown
            )
        tests = [self._value(vr, each) for each in wanted]
        all_of_them = self._rules.multiple_values and vr in _MULTIPLE
        together = all if all_of_them else any

        def matches(entity: Attributes) -> bool:
            if not entity.has(tag):
                return unknown
            held = entity.texts(tag)
            # C.2.2.2: any value of the entity is enough.
            return together(any(test(value) for value in held) for test in tests)

        return matches

    def _value(self, vr: str, key: str) -> values.Test:
        if vr == "PN":
            return values.fuzzy_name(key) if self._rules.fuzzy_names else values.person_name(key)
        if vr in values.RANGES:
            return values.moment(vr, key)
        if values.is_wild(vr, key):
            return values.wild(key)
        return values.number(key) if vr in ("DS", "IS") else values.exactly(key)

    def _date_time(self, identifier: Attributes, date: int, time: int) -> _Test | None:
        """The pair as one interval, where both are ranges or the timezone has to be adjusted."""
        days, times = identifier.text(date), identifier.text(time)
        is_pair = values.is_range("DA", days) and values.is_range("TM", times)
        if not is_pair and not (self._shift and days):
            return None
        within = _combined(days, times)
        if within is None:
            return None
        first, last = (_moved(each, self._shift) for each in within)
        unknown = self._rules.unknown_matches

        def matches(entity: Attributes) -> bool:
            if not entity.has(date):
                return unknown
            day = values.interval("DA", entity.text(date), single=True)
            clock = values.interval("TM", entity.text(time) or "00", single=True)
            if day is None or clock is None:
                return False
            moment = datetime.datetime.combine(day[0].date(), clock[0].time())
            return first <= moment <= last

        return matches


def _is_universal(key: Attribute) -> bool:
    return key.is_empty or all(str(each) and not str(each).strip("*") for each in key.values)


def _combined(days: str, times: str) -> values.Interval | None:
    """The interval from the first day at the first time to the last day at the last time."""
    day = values.interval("DA", days)
    clock = values.interval("TM", times) if times else None
    if day is None or (times and clock is None):
        return None
    if clock is None:
        return day
    # An open end of the days is open whatever the time says.
    begin_open, end_open = days.strip().startswith("-"), days.strip().endswith("-")
    first = (
        day[0]
        if begin_open
        else day[0].replace(
            hour=clock[0].hour,
            minute=clock[0].minute,
            second=clock[0].second,
            microsecond=clock[0].microsecond,
        )
    )
    last = (
        day[1]
        if end_open
        else day[1].replace(
            hour=clock[1].hour,
            minute=clock[1].minute,
            second=clock[1].second,
            microsecond=clock[1].microsecond,
        )
    )
    return first, last


def _moved(moment: datetime.datetime, minutes: int) -> datetime.datetime:
    try:
        return moment + datetime.timedelta(minutes=minutes)
    except OverflowError:
        return moment


def _shift_of(identifier: Attributes, rules: MatchingRules) -> int:
    """Minutes from the identifier's timezone to the entity's (C.2.2.2, 0008,0201)."""
    stated = identifier.text(TIMEZONE_OFFSET_FROM_UTC)
    if rules.timezone is None or len(stated) != 5 or stated[0] not in "+-":
        return 0
    try:
        minutes = int(stated[1:3]) * 60 + int(stated[3:5])
    except ValueError:
        return 0
    return rules.timezone - (minutes if stated[0] == "+" else -minutes)


def _returned(wanted: Attributes, entity: Attributes) -> Attributes:
    answer = Attributes()
    for tag in wanted:
        if tag in NEVER_KEYS:
            continue
        key, held = wanted[tag], entity.get(tag)
        if held is None:
            answer.put(tag, Attribute(key.vr, ()))
            continue
        asked = wanted.items_of(tag)
        if key.vr == "SQ" and asked and len(asked[0]):
            items = tuple(_returned(asked[0], item) for item in entity.items_of(tag))
            answer.put(tag, Attribute("SQ", items))
        else:
            answer.put(tag, held)
    return answer
