"""The one matching engine: keys of an identifier against the attributes of an entity (C.2.2.2).

Worklists, queries of the archive and unified steps all match here; what is different between them
is data, in `MatchingRules`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from agent.archive import matching_values as values
from agent.archive.matching_moments import in_its_zone, pair, shift_of
from agent.archive.matching_names import fuzzy_name, person_name
from agent.archive.matching_rules import MatchingRules
from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.tags import SPECIFIC_CHARACTER_SET
from agent.errors import PeerError, StatusReaction

OUT_OF_RESOURCES = 0xA700
TIMEZONE_OFFSET_FROM_UTC = 0x00080201
QUERY_RETRIEVE_LEVEL = 0x00080052
QUERY_RETRIEVE_VIEW = 0x00080053
NEVER_KEYS = frozenset(
    (SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET_FROM_UTC, QUERY_RETRIEVE_LEVEL, QUERY_RETRIEVE_VIEW)
)
"""Attributes of an identifier that say how it is meant, and match nothing (C.2.2.2)."""

EMPTY_VALUE = '""'
EMPTY_VALUES = frozenset(
    ("AE", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT")
)
"""VRs in which two quotation marks ask for what has no value (C.2.2.2.7)."""
MULTIPLE_VALUES = frozenset(("AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"))
"""VRs in which all of several values have to be there (C.2.2.2.8)."""

MOST_TEXT = 1 << 15
"""Characters of all keys of an identifier, but for UIDs, of which a list may be long: what is
matched by more than equality costs time for each character of a key, and for each entity again."""


class Condition(NamedTuple):
    """One key, or a date and its time, that an entity has to match.

    `holds` is asked with the values of each of `tags`: texts, or the items of a sequence; none
    where the entity has no such attribute.
    """

    tags: tuple[int, ...]
    holds: Callable[..., bool]


class Matching:
    """An identifier made ready to be asked about many entities."""

    def __init__(self, identifier: Attributes, rules: MatchingRules) -> None:
        """Raises PeerError with A700H for an identifier with more than `MOST_TEXT`."""
        self.identifier = identifier
        self._text = 0
        self._inner: dict[int, tuple[Condition, ...]] = {}
        self._rules = rules
        self._shift = shift_of(identifier.text(TIMEZONE_OFFSET_FROM_UTC), rules.timezone)
        self.has_keys = any(tag not in NEVER_KEYS for tag in identifier)
        self.conditions = self._compile(identifier)

    def matches(self, entity: Attributes) -> bool:
        """Whether all keys match. An identifier without any key matches nothing (K.4.1.3)."""
        return self.has_keys and all_hold(self.conditions, entity)

    def returned(self, entity: Attributes) -> Attributes:
        """The identifier of a response: what was asked for, with the entity's values.

        Empty where the entity has none. Of a sequence all, or of its matching items what the item
        of the key asks for (C.2.2.2.6).
        """
        return self._returned(self.identifier, entity)

    def _compile(self, identifier: Attributes) -> tuple[Condition, ...]:
        found: list[Condition] = []
        paired: set[int] = set()
        for date, time in self._rules.date_times:
            holds = pair(identifier.text(date), identifier.text(time), self._shift, self._rules)
            if holds is not None:
                found.append(Condition((date, time), holds))
                paired |= {date, time}
        for tag in identifier:
            if tag in NEVER_KEYS or tag in paired:
                continue
            key = identifier[tag]
            if key.vr == "SQ":
                holds = self._sequence(identifier.items_of(tag))
                if holds is not None:
                    found.append(Condition((tag,), holds))
            elif not is_universal(key):
                self._count(tag, key)
                found.append(Condition((tag,), self._attribute(tag, key)))
        return tuple(found)

    def _count(self, tag: int, key: Attribute) -> None:
        if key.vr == "UI":
            return
        # Each value is a test of its own, however short it is.
        self._text += sum(len(str(each)) + 1 for each in key.values)
        if self._text > MOST_TEXT:
            raise PeerError(
                "the keys of the identifier are longer than any that can match",
                clause="PS3.4 C.2.2.2",
                value=self._text,
                limit=MOST_TEXT,
                reaction=StatusReaction(
                    OUT_OF_RESOURCES, "Keys longer than allowed", offending_elements=(tag,)
                ),
            )

    def _sequence(self, items: Sequence[Attributes]) -> Callable[..., bool] | None:
        conditions = self._inner_conditions(items[0]) if items else ()
        if not conditions:
            return None
        unknown = self._rules.unknown_matches

        def holds(held: Sequence[Attributes]) -> bool:
            if not held:
                return unknown
            # C.2.2.2.6: all keys of the item, in the same item. Text has none, whatever is asked.
            return any(isinstance(item, Attributes) and all_hold(conditions, item) for item in held)

        return holds

    def _attribute(self, tag: int, key: Attribute) -> Callable[..., bool]:
        vr, wanted = key.vr, [str(each) for each in key.values]
        unknown = self._rules.unknown_matches and tag not in self._rules.never_unknown
        if self._rules.empty_values and wanted == [EMPTY_VALUE] and vr in EMPTY_VALUES:
            return lambda held: not any(held)
        if vr == "UI":
            chosen = frozenset(wanted)
            return lambda held: not chosen.isdisjoint(held) if any(held) else unknown
        tests = [self._value(vr, each) for each in wanted]
        if len(tests) == 1:
            (only,) = tests
            # C.2.2.3: any value of the entity is enough.
            return lambda held: any(map(only, held)) if any(held) else unknown
        together = all if self._rules.multiple_values and vr in MULTIPLE_VALUES else any

        def holds(held: Sequence[str]) -> bool:
            if not any(held):
                return unknown
            return together(any(map(test, held)) for test in tests)

        return holds

    def _value(self, vr: str, key: str) -> values.Test:
        if vr == "PN":
            return fuzzy_name(key) if self._rules.fuzzy_names else person_name(key)
        if vr == "DT" and self._shift is not None:
            return in_its_zone(key, self._shift)
        if vr in values.RANGES:
            return values.moment(vr, key)
        if values.is_wild(vr, key):
            return values.wild(key)
        return values.number(key) if vr in ("DS", "IS") else values.exactly(key)

    def _inner_conditions(self, item: Attributes) -> tuple[Condition, ...]:
        """Those of an item of a key, which are the same for every entity."""
        made = self._inner.get(id(item))
        if made is None:
            made = self._inner[id(item)] = self._compile(item)
        return made

    def _returned(self, wanted: Attributes, entity: Attributes) -> Attributes:
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
                conditions = self._inner_conditions(asked[0])
                items = tuple(
                    self._returned(asked[0], item)
                    for item in entity.items_of(tag)
                    if all_hold(conditions, item)
                )
                answer.put(tag, Attribute("SQ", items))
            else:
                answer.put(tag, held)
        return answer


def is_universal(key: Attribute) -> bool:
    """Whether a key matches everything: zero length, or nothing but `*` (C.2.2.2.3, C.2.2.2.4)."""
    return key.is_empty or all(str(each) and not str(each).strip("*") for each in key.values)


def all_hold(conditions: Sequence[Condition], entity: Attributes) -> bool:
    """Whether an entity meets all conditions."""
    return all(each.holds(*[values_of(tag, entity) for tag in each.tags]) for each in conditions)


def values_of(tag: int, entity: Attributes) -> Sequence[Any]:
    """What a condition is asked with."""
    held = entity.get(tag)
    if held is None:
        return ()
    return entity.items_of(tag) if held.vr == "SQ" else entity.texts(tag)
