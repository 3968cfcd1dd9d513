"""The instances of a selection, from the index: counted, then page by page, in a reader worker.

A selection is first brought down to rows of one table (`study`, `series` or `instance`); each page
goes on within one of them by key. Transactions are short: nothing here holds up the writer.

All raise StorageError when the index cannot be read.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.archive.layout import object_path
from agent.archive.object_models import COLOR_PALETTE
from agent.archive.reader_worker import ask
from agent.archive.records import Flag, Instance
from agent.archive.selection import Kind, Place, Selected, SelectedPage, Selection
from agent.archive.well_known_palettes import well_known_palettes
from agent.dataset.character_set import encode_text
from agent.errors import GantryError

_KEYS = {
    "StudyInstanceUID": "study.study_instance_uid",
    "SeriesInstanceUID": "series.series_instance_uid",
    "SOPInstanceUID": "instance.sop_instance_uid",
}
_TABLES = {"PATIENT": "study", "STUDY": "study", "SERIES": "series", "IMAGE": "instance"}
_FROM = {
    "study": "study",
    "series": "series JOIN study ON study.id = series.study",
    # An object without a study is found by its own UID alone (PS3.4 GG).
    "instance": (
        "instance LEFT JOIN study ON study.id = instance.study"
        " LEFT JOIN series ON series.id = instance.series"
    ),
}
_COLUMN = {"study": "instance.study", "series": "instance.series", "instance": "instance.id"}
_AT_ONCE = 500
"""Values of one statement; SQLite takes 999 in its older versions."""
_NEWEST_ONLY = (
    " AND NOT EXISTS (SELECT 1 FROM instance AS later WHERE later.sop_instance_uid ="
    " instance.sop_instance_uid AND later.id > instance.id AND later.id <= ?"
    " AND later.study IS instance.study)"
)


def select(folder: str, selection: Selection) -> Selected:
    """Count what a selection asks for."""
    table = _TABLES[selection.level]
    roots = _roots(folder, table, selection)
    newest = ask(folder, "SELECT coalesce(max(id), 0) FROM instance")[0][0]
    kinds, variants = _kinds(folder, table, roots, newest, variants=False)
    if variants:
        kinds, _ = _kinds(folder, table, roots, newest, variants=True)
    others = _others(folder, selection)
    kinds += tuple(Kind(each.sop_class_uid, each.transfer_syntax_uid, 1) for each in others)
    studies = _studies(folder, table, roots)
    return Selected(table, roots, newest, kinds, studies, variants, others)


def selected_page(folder: str, selected: Selected, place: Place, limit: int) -> SelectedPage:
    """At most `limit` instances from `place` on, in the order of the roots, then of arrival."""
    found: list[Instance] = []
    root, after = place
    while root < len(selected.roots):
        wanted = limit - len(found)
        rows = _page(folder, selected, selected.roots[root], after, wanted)
        found += rows
        if len(rows) == wanted:
            return SelectedPage(tuple(found), Place(root, rows[-1].id))
        root, after = root + 1, 0
    return SelectedPage(tuple(found), None)


def _page(folder: str, selected: Selected, root: int, after: int, limit: int) -> list[Instance]:
    statement = (
        "SELECT instance.id, sop_instance_uid, sop_class_uid, transfer_syntax_uid,"
        " instance_number, number_of_frames, coalesce(study_instance_uid, ''),"
        " coalesce(series_instance_uid, ''), data_set_offset, instance.bytes, instance.received,"
        " source, flags FROM instance LEFT JOIN study ON study.id = instance.study"
        " LEFT JOIN series ON series.id = instance.series"
        f" WHERE {_COLUMN[selected.table]} = ? AND instance.id > ? AND instance.id <= ?"
    )
    values: list[Any] = [root, after, selected.last]
    if selected.variants:
        statement += _NEWEST_ONLY
        values.append(selected.last)
    rows = ask(folder, f"{statement} ORDER BY instance.id LIMIT ?", (*values, limit))
    home = Path(folder)
    return [Instance(*[*row[:12], Flag(row[12]), str(object_path(home, row[0]))]) for row in rows]


def _kinds(
    folder: str, table: str, roots: array[int], last: int, *, variants: bool
) -> tuple[tuple[Kind, ...], bool]:
    counted: Counter[tuple[str, str]] = Counter()
    flagged = 0
    for some in _some(roots):
        statement = (
            "SELECT sop_class_uid, transfer_syntax_uid, count(*), max(flags & ?) FROM instance"
            f" WHERE {_COLUMN[table]} IN ({_marks(some)}) AND instance.id <= ?"
        )
        values: list[Any] = [int(Flag.VARIANT), *some, last]
        if variants:
            statement += _NEWEST_ONLY
            values.append(last)
        for sop_class, syntax, count, flag in ask(
            folder, f"{statement} GROUP BY sop_class_uid, transfer_syntax_uid", values
        ):
            counted[sop_class, syntax] += count
            flagged |= flag
    return tuple(Kind(*pair, count) for pair, count in counted.items()), bool(flagged)


def _others(folder: str, selection: Selection) -> tuple[Instance, ...]:
    """Well-known colour palettes that are asked for and that nobody has stored."""
    if not selection.sop_classes & COLOR_PALETTE.stored:
        return ()
    there = well_known_palettes()
    asked = [uid for uid in selection.keys.get("SOPInstanceUID", ()) if uid in there]
    known = "SELECT 1 FROM instance WHERE sop_instance_uid = ? LIMIT 1"
    return tuple(there[uid] for uid in asked if not ask(folder, known, (uid,)))


def _studies(folder: str, table: str, roots: array[int]) -> array[int]:
    if table == "study":
        return roots
    found: set[int] = set()
    for some in _some(roots):
        statement = f"SELECT DISTINCT study FROM {table} WHERE id IN ({_marks(some)})"
        found.update(row[0] for row in ask(folder, statement, tuple(some)) if row[0])
    return array("q", sorted(found))


def _roots(folder: str, table: str, selection: Selection) -> array[int]:
    """The rows that are meant, in the order in which they were asked for."""
    conditions: list[str] = []
    values: list[Any] = []
    wanted: tuple[str, ...] = ()
    column = ""
    for keyword, texts in selection.keys.items():
        if keyword == "PatientID":
            patients = _patients(folder, texts[0])
            conditions.append(f"study.patient IN ({_marks(patients)})")
            values += patients
        elif _TABLES[selection.level] == _table_of(keyword):
            column, wanted = _KEYS[keyword], texts
        else:
            conditions.append(f"{_KEYS[keyword]} = ?")
            values.append(texts[0])
    if selection.sop_classes:
        conditions.append(f"sop_class_uid IN ({_marks(selection.sop_classes)})")
        values += selection.sop_classes
    found = array("q")
    for some in _some(wanted) if wanted else ((),):
        tests = [*conditions, *([f"{column} IN ({_marks(some)})"] if some else [])]
        rows = ask(
            folder,
            f"SELECT {table}.id, {column or 'NULL'} FROM {_FROM[table]}"
            f" WHERE {' AND '.join(tests)} ORDER BY {table}.id",
            (*values, *some),
        )
        order = {text: number for number, text in enumerate(some)}
        rows.sort(key=lambda row: order.get(row[1], 0))
        found.extend(row[0] for row in rows)
    return found


def _table_of(keyword: str) -> str:
    return _KEYS[keyword].partition(".")[0]


def _patients(folder: str, patient_id: str) -> list[int]:
    """The patients with this ID, of whatever issuer: there is no way to name one (C.4.2.1.4.1)."""
    encodings = {patient_id.encode("ascii")} if patient_id.isascii() else set()
    if not encodings:
        for (character_set,) in ask(folder, "SELECT DISTINCT character_set FROM patient"):
            try:
                encodings.add(encode_text(patient_id, "LO", character_set))
            except GantryError:
                # This character set has no such character: nobody of that name is written in it.
                continue
    found: list[int] = []
    for each in encodings:
        # The key begins with the ID and a zero byte, so that its index finds it.
        rows = ask(
            folder,
            "SELECT id FROM patient WHERE key >= ? AND key < ? AND patient_id = ?",
            (each + b"\0", each + b"\1", each),
        )
        found += [row[0] for row in rows]
    return found


def _some(values: Any) -> Iterator[Any]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def _marks(values: Any) -> str:
    return ", ".join("?" * len(values))
