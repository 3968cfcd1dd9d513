"""Which instances a retrieval asks for, in the words of its information model (PS3.4 C.4.2.2.1).

An identifier names one entity of each level above its own, and one or more at it; `selection_of`
reads it. What the index has of that is found in a reader worker (`selected_instances`), counted
first and then page by page, so that a million instances take no memory here.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from agent.archive.information_model import InformationModel
from agent.archive.records import Instance
from agent.dataset.attributes import Attributes, tag_of
from agent.errors import PeerError, StatusReaction
from agent.quoting import quoted

IDENTIFIER_DOES_NOT_MATCH = 0xA900
"""The status of an identifier that is none of its SOP class (Tables C.4-2 and C.4-3)."""

_QUERY_RETRIEVE_LEVEL = 0x0008_0052
_UID = frozenset("0123456789.")
_LONGEST_UID = 64


@dataclass(frozen=True, slots=True)
class Selection:
    """Values of unique keys by keyword, from the root down to the level of the retrieval.

    Of a key above the level there is one value, or none where retrieval is relational.
    `sop_classes` are the classes of the instances that are meant; empty: all.
    """

    level: str
    keys: Mapping[str, tuple[str, ...]]
    sop_classes: frozenset[str] = frozenset()


class Place(NamedTuple):
    """How far the pages of a selection have come: the root, and the last instance of it."""

    root: int = 0
    after: int = 0


class Kind(NamedTuple):
    """Instances of one SOP class in one transfer syntax."""

    sop_class_uid: str
    transfer_syntax_uid: str
    instances: int


@dataclass(frozen=True, slots=True)
class Selected:
    """What a selection came to when it was counted.

    `roots` are the rows, in `table`, whose instances are meant; instances above `last` came later
    and are not. With `variants`, some share their UID with an older one, which is passed over.
    `others` are instances that are not in the index and come last.
    """

    table: str
    roots: array[int]
    last: int
    kinds: tuple[Kind, ...]
    studies: array[int]
    """The rows of the studies that are used."""
    variants: bool = False
    others: tuple[Instance, ...] = ()

    @property
    def total(self) -> int:
        """How many instances there are."""
        return sum(each.instances for each in self.kinds)


class SelectedPage(NamedTuple):
    """Some instances with their files, and where the next page begins; None at the end."""

    instances: tuple[Instance, ...]
    next: Place | None


def selection_of(
    model: InformationModel, identifier: Attributes, *, relational: bool = False
) -> Selection:
    """What an identifier asks for. Attributes that are no unique keys of the model are passed over.

    Raises PeerError with status A900H: no such level, a key that is missing or that has more
    values than its level allows, a key of a level below.
    """
    level = identifier.text(_QUERY_RETRIEVE_LEVEL)
    depth = model.depth_of(level)
    if depth is None:
        said = (
            f"{quoted(repr(level))} is no level of it"
            if level
            else "Query/Retrieve Level is missing"
        )
        raise _refused(f"{model.name}: {said}", _QUERY_RETRIEVE_LEVEL)
    keys: dict[str, tuple[str, ...]] = {}
    for number, each in enumerate(model.levels):
        values = tuple(value for value in identifier.texts(each.unique) if value)
        if number > depth:
            if values:
                raise _refused(f"{each.unique} is a key below the level {level}", each.unique)
            continue
        if not values:
            if number == depth or not relational:
                raise _refused(f"{each.unique} is missing", each.unique)
            continue
        # A list of UIDs is a matter of the level itself, and of UIDs (C.4.2.2.1).
        if len(values) > 1 and (number < depth or each.name == "PATIENT"):
            raise _refused(f"{each.unique} has more than one value", each.unique)
        for value in values:
            _check(each.unique, value)
        keys[each.unique] = tuple(dict.fromkeys(values))
    return Selection(level, keys)


def _check(keyword: str, value: str) -> None:
    if keyword == "PatientID":
        # Single value matching: a wild card would be another kind.
        if "*" in value or "?" in value:
            raise _refused("PatientID is no single value", keyword)
    elif not _UID.issuperset(value) or len(value) > _LONGEST_UID:
        raise _refused(f"{keyword} is no UID", keyword)


def _refused(comment: str, key: int | str) -> PeerError:
    return PeerError(
        comment,
        clause="PS3.4 C.4.2.2.1",
        reaction=StatusReaction(IDENTIFIER_DOES_NOT_MATCH, comment, (tag_of(key),)),
    )
