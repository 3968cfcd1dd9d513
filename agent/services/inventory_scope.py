"""The Scope of Inventory of a request: which studies it means (PS3.4 KK.2.2.1.1, PS3.3 C.38.2).

Range, list of UID, empty value and general matching keys become one identifier of a Study Root
query, under the mechanisms that the request names; the keys of series and instances, which the
relational one allows, become a second one, that each study is asked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from agent.archive.matching import EMPTY_VALUE, EMPTY_VALUES
from agent.archive.query_keys import LEVELS as QUERY_LEVELS
from agent.archive.query_keys import PATIENT, STUDY, table_of
from agent.configuration.query import OPTIONS
from agent.dataset import tags
from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.character_set import DEFINED_TERMS
from agent.services.inventory_creation import (
    KEYS_NOT_SUPPORTED,
    LEVELS,
    MISTYPED_ARGUMENT,
    Outcome,
)

RANGE, UIDS, EMPTY, GENERAL = (
    "RangeMatchingSequence",
    "ListOfUIDMatchingSequence",
    "EmptyValueMatchingSequence",
    "GeneralMatchingSequence",
)
MATCHING_LEVELS = QUERY_LEVELS[STUDY:]
"""Of what the lowest keys of a relational scope may be."""
MECHANISMS = "ExtendedMatchingMechanisms"
TIMEZONE = "TimezoneOffsetFromUTC"
RELATIONAL, TIMEZONE_ADJUST = "RELATIONAL", "TIMEZONE_ADJUST"
"""The mechanisms that want another attribute of the item (Table C.38.2-1)."""
_NAMES = {
    "RELATIONAL": "relational",
    "DATETIME": "date_time",
    "FUZZY": "fuzzy",
    "TIMEZONE": "timezone",
    "EMPTY": "empty",
    "MULTIPLE": "multiple",
}
"""The first word of each of the enumerated values, which tells them apart -> its option."""
_VALUES = {RANGE: ("DA", "DT", "TM"), UIDS: ("UI",), EMPTY: tuple(sorted(EMPTY_VALUES))}
"""What the keys of a sequence are, where not any (PS3.4 C.2.2.2.7 says it for empty values)."""


class Scope(NamedTuple):
    """`identifier` are the keys of a query at the STUDY level, `below` those that each study is
    asked besides, if any, at their level; `item` is the scope as an inventory states it, with the
    keys that are matched only (KK.2.2.3); empty: all studies. `mechanisms` are options of queries,
    by their names in the configuration."""

    identifier: Attributes
    item: Attributes
    below: Attributes
    mechanisms: tuple[str, ...] = ()


def scope_of(information: Attributes, offered: Collection[str] = OPTIONS) -> tuple[Scope, Outcome]:
    """What is asked for, and the answer to the request: 0000H, B010H, or 0212H.

    `offered` are the options that may be used.
    """
    items = information.items_of("ScopeOfInventorySequence")
    asked = items[0] if items else Attributes()
    mechanisms = tuple(map(_mechanism, asked.texts(MECHANISMS)))
    scope = Scope(
        Attributes(QueryRetrieveLevel="STUDY", StudyInstanceUID=""),
        Attributes(),
        Attributes(),
        tuple(each for each in OPTIONS if each in mechanisms),
    )
    refusal = _refusal(information, items, mechanisms, offered)
    if refusal:
        return scope, Outcome(MISTYPED_ARGUMENT, refusal)
    level = asked.text(tags.QUERY_RETRIEVE_LEVEL) if "relational" in mechanisms else "STUDY"
    unsupported: list[int] = []
    for sequence in (RANGE, UIDS, EMPTY, GENERAL):
        kept = Attributes()
        for item in asked.items_of(sequence)[:1]:
            for tag in item:
                key = item[tag]
                table = _table_of(tag, key.vr, sequence, QUERY_LEVELS.index(level))
                if table is None:
                    unsupported.append(tag)
                    continue
                kept.put(tag, key)
                keys = scope.identifier if table in (PATIENT, STUDY) else scope.below
                keys.put(tag, _as_queried(key, sequence))
        if len(kept):
            scope.item.set(sequence, [kept])
    for keyword in (MECHANISMS, TIMEZONE):
        if asked.has(keyword):
            scope.item.set(keyword, asked.texts(keyword))
    if "relational" in mechanisms:
        scope.item.set("QueryRetrieveLevel", level)
    for keys in (scope.identifier, scope.below) if "timezone" in mechanisms else ():
        keys.set(TIMEZONE, asked.text(TIMEZONE))
    if set(scope.below) <= {tags.TIMEZONE_OFFSET_FROM_UTC}:
        scope = scope._replace(below=Attributes())
    else:
        scope.below.set("QueryRetrieveLevel", level)
    if unsupported:
        comment = "Keys that are not supported for matching"
        return scope, Outcome(KEYS_NOT_SUPPORTED, comment, tuple(sorted(set(unsupported))))
    return scope, Outcome()


def _refusal(
    information: Attributes,
    items: tuple[Attributes, ...],
    mechanisms: tuple[str, ...],
    offered: Collection[str],
) -> str:
    """Why a request cannot be agreed to, if so (KK.2.2.3)."""
    if information.text("InventoryLevel") not in LEVELS:
        return "Inventory Level is not supported"
    if len(items) > 1:
        return "Scope of Inventory has more than one item"
    asked = items[0] if items else Attributes()
    terms = {each for each in asked.texts(tags.SPECIFIC_CHARACTER_SET) if each}
    if not terms <= DEFINED_TERMS | {"ISO_IR 6"}:
        return "Specific Character Set is not supported"
    if not set(mechanisms) <= set(offered):
        return "Extended Matching Mechanisms are not supported"
    if asked.items_of(EMPTY) and "empty" not in mechanisms:
        return "Empty Value Matching is not among the mechanisms"
    if "timezone" in mechanisms and not asked.has(TIMEZONE):
        return "Timezone Offset From UTC is missing"
    level = asked.text(tags.QUERY_RETRIEVE_LEVEL)
    if "relational" in mechanisms and level not in MATCHING_LEVELS:
        return "Query/Retrieve Level of the relational matching is missing"
    return ""


def _mechanism(term: str) -> str:
    """The option that a term means; the term itself where there is none."""
    return _NAMES.get(term.partition("_")[0], term)


def _table_of(tag: int, vr: str, sequence: str, lowest: int) -> int | None:
    """The entities that are asked for a key of this sequence (Table KK.2-1); None where it is not
    supported, or is of an entity below the lowest."""
    known = tags.dictionary_value_representation(tag)
    if (vr == "SQ") != (known == "SQ") or vr not in _VALUES.get(sequence, (vr,)):
        return None
    table = table_of(tag, vr, lowest)
    return table if table is not None and table <= lowest else None


def _as_queried(key: Attribute, sequence: str) -> Attribute:
    """A key as it is in a query. Of a range two values are the two ends; one is a range as it is
    in a query, or a moment. What is to be empty says so."""
    if sequence == EMPTY:
        return Attribute(key.vr, (EMPTY_VALUE,))
    if sequence == RANGE and len(key.values) == 2:
        begin, end = map(str, key.values)
        return Attribute(key.vr, (f"{begin}-{end}",))
    return key
