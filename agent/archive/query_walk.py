"""The walk of a query through the index: from the first table that is asked about, level by level.

It is the relational search method of C.4.1.3.2.2, and the hierarchical one for queries that name
one entity at each higher level. It stands at a place, a row of each table, and can go on from there
at any time with another connection; a statement reads a bounded number of rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from agent.archive.query_keys import INSTANCE, PATIENT, SERIES, STUDY, TABLES
from agent.archive.query_plan import QueryPlan, TablePlan, base_conditions, texts_of
from agent.archive.query_records import Place

_ROWS = 400
"""Rows that one statement gives."""
_SCANNED = 20_000
"""Rows that one statement looks at where nothing but their order leads to them."""
_FEW_STUDIES = 2000
"""Studies of some days that are looked up by their date; of more the table is walked through."""
_REMEMBERED = 1024
_FROM_EACH = 64

_UID_INDEX = {
    STUDY: ("study_instance_uid", "sqlite_autoindex_study_1"),
    SERIES: ("series_instance_uid", "series_uid"),
    INSTANCE: ("sop_instance_uid", "instance_uid"),
}
_BY_PARENT = {
    STUDY: ("patient", "study_patient"),
    SERIES: ("study", "sqlite_autoindex_series_1"),
    INSTANCE: ("series", "instance_series"),
}
_PATIENTS_NAMED = (
    "patient.id IN (SELECT id FROM patient WHERE patient_id IN (?, x'') UNION ALL SELECT id FROM"
    " patient INDEXED BY patient_read_otherwise WHERE instr(patient_id, x'5C') > 0"
    " OR instr(patient_id, x'1B') > 0)"
)
_STUDIES_OF_DAYS = (
    "SELECT id FROM study INDEXED BY study_date WHERE study_date BETWEEN ? AND ?"
    " UNION ALL SELECT id FROM study INDEXED BY study_read_otherwise WHERE length(study_date) <> 8"
)


class Entity:
    """One row: its place, its values as bytes in its character set, and those above it.

    `encoded` is for whoever writes responses of it.
    """

    __slots__ = ("character_set", "encoded", "foreign", "id", "parent", "representative", "values")

    def __init__(self, row: tuple[Any, ...], columns: int) -> None:
        self.id: int = row[0]
        self.parent: int = row[1]
        self.character_set: bytes = row[2] if isinstance(row[2], bytes) else b""
        self.values: tuple[bytes, ...] = tuple(each or b"" for each in row[3 : 3 + columns])
        self.representative: int | None = row[3 + columns] if len(row) > 3 + columns else None
        self.encoded: list[bytes] | None = None
        self.foreign: frozenset[bytes] = frozenset()


Path = dict[int, Entity]
"""The entities of a match by table, from the highest that the query is about."""


class Walk:
    """The entities of a plan in the order of their places."""

    def __init__(self, connection: sqlite3.Connection, plan: QueryPlan) -> None:
        self._execute = connection.execute
        self._plan = plan
        self._ancestors: dict[tuple[int, int], Entity | None] = {}
        self._top = min(
            (each.table for each in plan.tables if each.columns or each.tests), default=plan.first
        )

    def matches(self, after: Place) -> Iterator[tuple[Place, Path | None]]:
        """Matches behind a place, and now and then None for a place at which nothing was found, so
        that the caller can stop there."""
        yield from self._descend(self._plan.first, 0, after, (), {})

    def _descend(
        self, table: int, parent: int, after: Place, above: Place, path: Path
    ) -> Iterator[tuple[Place, Path | None]]:
        plan = self._plan.tables[table]
        depth = len(above)
        last = table == self._plan.table
        # Behind the row where the place ends, or within the row through which it goes.
        start = after[depth] if depth < len(after) else 0
        inside = len(after) > depth + 1
        for entity in self._rows(plan, parent, start - inside, last):
            if isinstance(entity, int):
                yield (*above, entity), None
                continue
            place = (*above, entity.id)
            if not self._holds(plan, entity):
                continue
            found = self._with_ancestors(table, entity) if not above else {**path, table: entity}
            if found is None:
                continue
            if last:
                yield place, found
            else:
                deeper = after if inside and entity.id == start else ()
                yield from self._descend(table + 1, entity.id, deeper, place, found)
                yield place, None

    def _rows(self, plan: TablePlan, parent: int, after: int, last: bool) -> Iterator[Entity | int]:
        """Rows behind `after` in their order; numbers say how far was looked without finding."""
        table = plan.table
        name = TABLES[table]
        conditions = base_conditions(table, last)
        given: list[Any] = []
        hint = ""
        window = 0
        if parent:
            column, index = _BY_PARENT[table]
            hint = f" INDEXED BY {index}"
            conditions.insert(0, f"{name}.{column} = ?")
            given.append(parent)
        elif plan.uids:
            column, index = _UID_INDEX[table]
            hint = f" INDEXED BY {index}"
            conditions.insert(0, f"{column} IN (SELECT value FROM json_each(?))")
            given.append(json.dumps(plan.uids))
        elif table == PATIENT and self._plan.patient_id is not None:
            conditions.insert(0, _PATIENTS_NAMED)
            given.append(self._plan.patient_id.encode())
        elif plan.dates is not None and self._are_few(plan.dates):
            conditions.insert(0, f"study.id IN ({_STUDIES_OF_DAYS})")
            given += plan.dates
        else:
            window = _SCANNED
        for condition, values in plan.filters:
            conditions.append(condition)
            given += values
        conditions.append(f"{name}.id > ?")
        if window:
            conditions.append(f"{name}.id <= ?")
        statement = (
            f"{plan.selection}{hint} WHERE {' AND '.join(conditions)} ORDER BY {name}.id LIMIT ?"
        )
        end = self._last(name) if window else 0
        count = _FROM_EACH
        while True:
            bound = (after, after + window) if window else (after,)
            rows = self._execute(statement, (*given, *bound, count)).fetchall()
            for row in rows:
                yield Entity(row, len(plan.columns))
            if len(rows) == count:
                after = rows[-1][0]
            elif window and after + window < end:
                after += window
            else:
                return
            count = _ROWS
            yield after

    def _are_few(self, dates: tuple[str, str]) -> bool:
        count = f"SELECT count(*) FROM (SELECT 1 FROM ({_STUDIES_OF_DAYS}) LIMIT ?)"
        (found,) = self._execute(count, (*dates, _FEW_STUDIES + 1)).fetchone()
        return bool(found <= _FEW_STUDIES)

    def _last(self, name: str) -> int:
        (found,) = self._execute(f"SELECT max(id) FROM {name}").fetchone()
        return found or 0

    def _holds(self, plan: TablePlan, entity: Entity) -> bool:
        for holds, positions in plan.tests:
            columns = plan.columns
            if not holds(
                *[
                    texts_of(entity.values[each], columns[each], entity.character_set)
                    for each in positions
                ]
            ):
                return False
        return True

    def _with_ancestors(self, table: int, entity: Entity) -> Path | None:
        """The path to an entity at which the walk began; None where one above does not match."""
        path = {table: entity}
        below = entity
        for above in range(table - 1, self._top - 1, -1):
            found = self._ancestor(above, below.parent)
            if found is None:
                return None
            path[above] = below = found
        return path

    def _ancestor(self, table: int, number: int) -> Entity | None:
        known = self._ancestors.get((table, number), self)
        if known is not self:
            return known  # type: ignore[return-value]
        plan = self._plan.tables[table]
        row = self._execute(f"{plan.selection} WHERE {TABLES[table]}.id = ?", (number,)).fetchone()
        found = None if row is None else Entity(row, len(plan.columns))
        if found is not None and not self._holds(plan, found):
            found = None
        if len(self._ancestors) >= _REMEMBERED:
            self._ancestors.clear()
        self._ancestors[table, number] = found
        return found
