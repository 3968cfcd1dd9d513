"""A query compiled: what is asked of each table of the index, and what of the objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from agent.archive import query_keys as keys
from agent.archive.matching import NEVER_KEYS, Condition, Matching, is_universal
from agent.archive.query_filters import Filter, filter_of
from agent.archive.query_identifier import QueryIdentifier, read_identifier
from agent.archive.query_keys import INSTANCE, PATIENT, SERIES, STUDY, TABLES, Column
from agent.archive.query_records import Question
from agent.dataset import tags
from agent.dataset.attributes import Attributes
from agent.dataset.character_set import decode_text

_PARENT = ("0", "patient", "study", "series")
_UIDS = (STUDY, SERIES, INSTANCE)
_REPRESENTATIVE = (
    "(SELECT min(id) FROM instance WHERE series = (SELECT min(series.id) FROM series JOIN study"
    " ON study.id = series.study WHERE study.patient = patient.id))",
    "(SELECT min(id) FROM instance WHERE series ="
    " (SELECT min(id) FROM series WHERE study = study.id))",
    "(SELECT min(id) FROM instance WHERE series = series.id)",
    "instance.id",
)
# An object that is there in several versions is one instance: the one that came first.
_FIRST_VERSION = (
    "(flags & 1 = 0 OR NOT EXISTS (SELECT 1 FROM instance AS earlier WHERE"
    " earlier.sop_instance_uid = instance.sop_instance_uid"
    " AND earlier.series = instance.series AND earlier.id < instance.id))"
)


class Test(NamedTuple):
    """A condition of the engine on columns of one row, by their positions."""

    holds: Callable[..., bool]
    positions: tuple[int, ...]


@dataclass(slots=True)
class TablePlan:
    """What is wanted of one table.

    `asked` are positions in `columns` whose values are returned.
    """

    table: int
    columns: list[Column] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    uids: tuple[str, ...] = ()
    """The values that its unique key may have, where they are UIDs and the query names them."""
    dates: tuple[str, str] | None = None
    """Between which days, of a study, where the query says it."""
    selection: str = ""

    def position_of(self, column: Column) -> int:
        if column not in self.columns:
            self.columns.append(column)
        return self.columns.index(column)


@dataclass(slots=True)
class QueryPlan:
    """A query for entities of `table`, from the table `first` down.

    `read` are the attributes that are read from objects, `matching` holds the conditions on these,
    and what is returned of them.
    """

    identifier: QueryIdentifier
    tables: list[TablePlan]
    first: int
    read: frozenset[int]
    matching: Matching
    object_conditions: tuple[Condition, ...]
    patient_id: str | None
    has_keys: bool

    @property
    def table(self) -> int:
        return self.identifier.table


def plan_of(question: Question) -> QueryPlan:
    """Raises PeerError for an identifier that does not keep the rules."""
    identifier = read_identifier(question)
    supported = Attributes()
    for tag in identifier.attributes:
        if tag in NEVER_KEYS or tag in identifier.keys:
            supported.put(tag, identifier.attributes[tag])
    rules = replace(question.rules, never_unknown=identifier.unique)
    matching = Matching(supported, rules)
    tables = [TablePlan(table) for table in range(len(TABLES))]
    kept = keys.columns()
    read: set[int] = set()
    for tag in identifier.keys:
        column = kept.get(tag)
        if column is None:
            read.add(tag)
        else:
            plan = tables[column.table]
            plan.asked.append(plan.position_of(column))
    object_conditions = []
    for condition in matching.conditions:
        columns = [kept[tag] for tag in condition.tags if tag in kept]
        if len(columns) != len(condition.tags):
            object_conditions.append(condition)
            continue
        plan = tables[columns[0].table]
        plan.tests.append(Test(condition.holds, tuple(map(plan.position_of, columns))))
        for column in columns:
            key = supported.get(column.tag)
            # The walk asks for UIDs itself, by their index.
            is_asked = key is not None and column.tag not in identifier.unique
            made = filter_of(column, key) if is_asked and key is not None else None
            if made is not None:
                plan.filters.append(made)
                if column.tag == tags.STUDY_DATE:
                    plan.dates = made[1]
    for table in _UIDS:
        key = supported.get(keys.UNIQUE[table])
        if table <= identifier.table and key is not None and not is_universal(key):
            tables[table].uids = tuple(dict.fromkeys(map(str, key.values)))
    if question.record_keys:
        plan = tables[identifier.table]
        plan.asked.append(plan.position_of(keys.record_key(identifier.table)))
    if question.ordered:
        tables[identifier.table].filters += _below(tables[: identifier.table])
    for plan in tables:
        plan.selection = _selection(plan, bool(read) and plan.table == identifier.table)
    return QueryPlan(
        identifier,
        tables,
        identifier.table if question.ordered else _first(tables, identifier.table),
        frozenset(read),
        matching,
        tuple(object_conditions),
        _patient_id(supported),
        bool(identifier.keys) or question.record_keys,
    )


def texts_of(raw: bytes, column: Column, character_set: bytes) -> tuple[str, ...]:
    """The values of a column, as the matching engine wants them."""
    if not raw:
        return ()
    if column.text:
        text = decode_text(raw, column.vr, character_set)
    else:
        text = raw.decode("utf-8", "replace")
    return tuple(each.strip(" ") for each in text.split("\\")) if "\\" in text else (text,)


def _first(tables: Sequence[TablePlan], last: int) -> int:
    """Where the walk begins: the deepest table of which UIDs are given, else the highest on which
    there is a condition."""
    named = [plan.table for plan in tables[: last + 1] if plan.uids]
    if named:
        return named[-1]
    return next((plan.table for plan in tables[: last + 1] if plan.tests), last)


def _below(above: Sequence[TablePlan]) -> list[Filter]:
    """That an entity belongs to those above it that are named, for a walk that does not come by
    them."""
    found: list[Filter] = []
    for plan in above:
        if plan.uids:
            name = TABLES[plan.table]
            uids = f"SELECT id FROM {name} WHERE {name}_instance_uid IN"
            found.append(
                (f"{name} IN ({uids} (SELECT value FROM json_each(?)))", (json.dumps(plan.uids),))
            )
    return found


def _patient_id(supported: Attributes) -> str | None:
    key = supported.get(tags.PATIENT_ID)
    if key is None or is_universal(key) or len(key.values) != 1:
        return None
    text = str(key.values[0])
    return text if text.isascii() and not any(each in text for each in '*?"') else None


def _selection(plan: TablePlan, with_object: bool) -> str:
    name = TABLES[plan.table]
    fields = [f"{name}.id", _PARENT[plan.table], f"{name}.character_set"]
    fields += [f"CAST({each.expression} AS BLOB)" for each in plan.columns]
    if with_object:
        fields.append(_REPRESENTATIVE[plan.table])
    return f"SELECT {', '.join(fields)} FROM {name}"


def base_conditions(table: int, is_last: bool) -> list[str]:
    """What every entity of a table is asked, so that it has its unique key (C.2.2.1.1)."""
    if table == INSTANCE:
        return ["series IS NOT NULL", _FIRST_VERSION]
    if table == SERIES:
        return ["series_instance_uid <> ''"]
    return ["patient_id <> x''"] if table == PATIENT and is_last else []
