"""The Scope of Inventory of a request: which studies it means (PS3.4 KK.2.2.1.1, PS3.3 C.38.2).

Range, list of UID and general matching keys become one identifier of a Study Root query; beyond
these nothing is supported, and said so.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.archive.query_keys import PATIENT, STUDY, table_of
from agent.dataset import tags
from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.character_set import DEFINED_TERMS
from agent.services.inventory_creation import (
    KEYS_NOT_SUPPORTED,
    LEVELS,
    MISTYPED_ARGUMENT,
    Outcome,
)

RANGE, UIDS, GENERAL = (
    "RangeMatchingSequence",
    "ListOfUIDMatchingSequence",
    "GeneralMatchingSequence",
)
_MECHANISMS = "ExtendedMatchingMechanisms"
_VALUES = {RANGE: ("DA", "DT", "TM"), UIDS: ("UI",)}
"""What the keys of a sequence are, where not any."""


class Scope(NamedTuple):
    """`identifier` are the keys of a query at the STUDY level; `item` is the scope as an inventory
    states it, with the keys that are matched only (KK.2.2.3); empty: all studies."""

    identifier: Attributes
    item: Attributes


def scope_of(information: Attributes) -> tuple[Scope, Outcome]:
    """What is asked for, and the answer to the request: 0000H, B010H, or 0212H."""
    identifier = Attributes(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    scope = Scope(identifier, Attributes())
    if information.text("InventoryLevel") not in LEVELS:
        return scope, _refused("Inventory Level is not supported")
    items = information.items_of("ScopeOfInventorySequence")
    if len(items) > 1:
        return scope, _refused("Scope of Inventory has more than one item")
    asked = items[0] if items else Attributes()
    terms = {each for each in asked.texts(tags.SPECIFIC_CHARACTER_SET) if each}
    if not terms <= DEFINED_TERMS | {"ISO_IR 6"}:
        return scope, _refused("Specific Character Set is not supported")
    if asked.has(_MECHANISMS) or asked.items_of("EmptyValueMatchingSequence"):
        return scope, _refused("Extended Matching Mechanisms are not supported")
    unsupported: list[int] = []
    for sequence in (RANGE, UIDS, GENERAL):
        kept = Attributes()
        for item in asked.items_of(sequence)[:1]:
            for tag in item:
                key = item[tag]
                if not _is_supported(tag, key.vr, sequence):
                    unsupported.append(tag)
                    continue
                kept.put(tag, key)
                identifier.put(tag, _ranged(key) if sequence == RANGE else key)
        if len(kept):
            scope.item.set(sequence, [kept])
    if asked.has("TimezoneOffsetFromUTC"):
        scope.item.put(0x00080201, asked["TimezoneOffsetFromUTC"])
    if unsupported:
        comment = "Keys that are not supported for matching"
        return scope, Outcome(KEYS_NOT_SUPPORTED, comment, tuple(sorted(set(unsupported))))
    return scope, Outcome()


def _is_supported(tag: int, vr: str, sequence: str) -> bool:
    """Whether the studies can be asked for it, and in this sequence (Table KK.2-1)."""
    known = tags.dictionary_value_representation(tag)
    if table_of(tag, vr, STUDY) not in (PATIENT, STUDY) or (vr == "SQ") != (known == "SQ"):
        return False
    return vr in _VALUES.get(sequence, (vr,))


def _ranged(key: Attribute) -> Attribute:
    """Two values are the two ends of a range; one is a range as it is in a query, or a moment."""
    if len(key.values) == 2:
        begin, end = map(str, key.values)
        return Attribute(key.vr, (f"{begin}-{end}",))
    return key


def _refused(comment: str) -> Outcome:
    return Outcome(MISTYPED_ARGUMENT, comment)
