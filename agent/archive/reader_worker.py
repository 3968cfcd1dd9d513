"""Questions to the index, answered in a reader worker: read-only, in pages by key.

Each function is called by name in a worker process, with the archive's folder first. The connection
stays open as long as the worker lives. A page is one short transaction, so a reader never holds up
the writer's log. Texts are decoded here, where character tables may be loaded.

All raise StorageError when the index cannot be read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.archive import index_failure
from agent.archive.index import connect
from agent.archive.job_rows import SELECTION, job_of
from agent.archive.layout import INDEX
from agent.archive.records import (
    Correction,
    Counts,
    DestinationSummary,
    FinishedJob,
    Flag,
    Instance,
    Item,
    Job,
    JobState,
    Page,
    Series,
    Study,
)
from agent.dataset.character_set import decode_text


@dataclass(slots=True)
class _Open:
    """An object that is being read."""

    inode: tuple[int, int]
    connection: sqlite3.Connection


_connections: dict[str, _Open] = {}


def studies(
    folder: str,
    before: int | None = None,
    limit: int = 100,
    *,
    study_instance_uid: str = "",
    patient_id: str = "",
    study_date_from: str = "",
    study_date_to: str = "",
) -> Page[Study]:
    """Studies, the last that came first; all, or those that fit."""
    conditions: list[str] = []
    values: list[Any] = []
    for condition, value in (
        ("study_instance_uid = ?", study_instance_uid),
        ("patient.patient_id = ?", patient_id.encode()),
        ("study_date >= ?", study_date_from),
        ("study_date <= ?", study_date_to),
        ("study.id < ?", before),
    ):
        if value:
            conditions.append(condition)
            values.append(value)
    rows = _ask(
        folder,
        "SELECT study.id, study_instance_uid, study_date, study_time, accession_number, study_id,"
        " study_description, referring_physician_name, patient_id, issuer_of_patient_id,"
        " patient_name, birth_date, sex, received, changed, accessed, series, instances, bytes,"
        " study.character_set, patient.character_set"
        f" FROM study JOIN patient ON patient.id = study.patient {_where(conditions)}"
        " ORDER BY study.id DESC LIMIT ?",
        (*values, limit),
    )
    return _page([_study(row) for row in rows], limit, lambda study: study.id)


def series(folder: str, study: int, after: int = 0, limit: int = 1000) -> Page[Series]:
    """The series of a study (its `id`), in the order in which they came."""
    rows = _ask(
        folder,
        "SELECT id, series_instance_uid, modality, series_number, series_date, series_time,"
        " series_description, body_part_examined, instances, character_set"
        " FROM series WHERE study = ? AND id > ? ORDER BY id LIMIT ?",
        (study, after, limit),
    )
    found = [Series(*[*row[:6], decode_text(row[6], "LO", row[9]), *row[7:9]]) for row in rows]
    return _page(found, limit, lambda each: each.id)


def instances(
    folder: str,
    *,
    study: int = 0,
    series: int = 0,
    sop_instance_uid: str = "",
    after: int = 0,
    limit: int = 1000,
) -> Page[Instance]:
    """Objects in the order in which they came: of a study or series (by `id`), a UID, or all."""
    conditions, values = ["instance.id > ?"], [after]
    for condition, value in (
        ("instance.study = ?", study),
        ("instance.series = ?", series),
        ("sop_instance_uid = ?", sop_instance_uid),
    ):
        if value:
            conditions.append(condition)
            values.append(value)  # type: ignore[arg-type]
    rows = _ask(
        folder,
        "SELECT instance.id, sop_instance_uid, sop_class_uid, transfer_syntax_uid,"
        " instance_number, number_of_frames, coalesce(study_instance_uid, ''),"
        " coalesce(series_instance_uid, ''), data_set_offset, instance.bytes, instance.received,"
        " source, flags FROM instance LEFT JOIN study ON study.id = instance.study"
        f" LEFT JOIN series ON series.id = instance.series {_where(conditions)}"
        " ORDER BY instance.id LIMIT ?",
        (*values, limit),
    )
    found = [Instance(*[*row[:12], Flag(row[12])]) for row in rows]
    return _page(found, limit, lambda each: each.id)


def counts(folder: str) -> Counts:
    """How much there is. The cost does not grow with the number of objects."""
    ((patients, studies_, series_, instances_),) = _ask(
        folder,
        "SELECT (SELECT count(*) FROM patient), count(*), coalesce(sum(series), 0),"
        " coalesce(sum(instances), 0) FROM study",
    )
    ((others,),) = _ask(folder, "SELECT count(*) FROM instance WHERE study IS NULL")
    size = _ask(folder, "SELECT value FROM state WHERE name = 'bytes'")
    return Counts(patients, studies_, series_, instances_ + others, int(size[0][0]) if size else 0)


def jobs(
    folder: str,
    *,
    destination: str = "",
    state: JobState | None = None,
    kind: str = "",
    study_instance_uid: str = "",
    after: int = 0,
    limit: int = 100,
) -> Page[Job]:
    """Jobs that are not finished, in the order in which they were made; all, or those that fit."""
    conditions: list[str] = ["job.id > ?"]
    values: list[Any] = [after]
    for condition, value in (
        ("destination.name = ?", destination),
        ("job.state = ?", None if state is None else int(state)),
        ("kind = ?", kind),
        ("study_instance_uid = ?", study_instance_uid),
    ):
        if value not in ("", None):
            conditions.append(condition)
            values.append(value)
    rows = _ask(
        folder, f"{SELECTION} {_where(conditions)} ORDER BY job.id LIMIT ?", (*values, limit)
    )
    return _page([job_of(row) for row in rows], limit, lambda job: job.id)


def finished_jobs(folder: str, before: int | None = None, limit: int = 100) -> Page[FinishedJob]:
    """The history of jobs, those that were made last first."""
    rows = _ask(
        folder,
        "SELECT finished_job.id, kind, name, sop_instance_uid, outcome, attempts, created,"
        " finished, status, reason FROM finished_job"
        " JOIN destination ON destination.id = finished_job.destination"
        f" {_where(['finished_job.id < ?'] if before else [])}"
        " ORDER BY finished_job.id DESC LIMIT ?",
        (before, limit) if before else (limit,),
    )
    return _page([FinishedJob(*row) for row in rows], limit, lambda job: job.id)


def destinations(folder: str) -> tuple[DestinationSummary, ...]:
    """The queue of each destination that ever had a job, by name."""
    # The subqueries run over indexes only.
    count = (
        "(SELECT count(*) FROM job INDEXED BY job_ready"
        " WHERE job.destination = destination.id AND state = {:d})"
    )
    rows = _ask(
        folder,
        f"SELECT name, paused, {count.format(JobState.WAITING)},"
        f" {count.format(JobState.CLAIMED)}, {count.format(JobState.HELD)},"
        " coalesce((SELECT created FROM job WHERE job.id = (SELECT min(id) FROM job"
        " INDEXED BY job_ready WHERE job.destination = destination.id)), 0),"
        " last_success, last_failure, last_status, last_reason FROM destination ORDER BY name",
    )
    return tuple(DestinationSummary(name, bool(paused), *rest) for name, paused, *rest in rows)


def corrections(folder: str, before: int | None = None, limit: int = 100) -> Page[Correction]:
    """The log of corrections, the last first."""
    rows = _ask(
        folder,
        "SELECT id, time, action, level, uid, who, instances, detail FROM correction"
        f" {_where(['id < ?'] if before else [])} ORDER BY id DESC LIMIT ?",
        (before, limit) if before else (limit,),
    )
    return _page([Correction(*row) for row in rows], limit, lambda each: each.id)


def ask(folder: str, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a statement, for the modules of the archive that ask more."""
    return _ask(folder, statement, values)


def _ask(folder: str, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    try:
        return open_connection(folder).execute(statement, values).fetchall()
    except (sqlite3.Error, OSError) as error:
        forget_connection(folder)
        raise index_failure.of_any(error, "read the index") from error


def forget_connection(folder: str) -> None:
    """The index could not be read: open it anew the next time."""
    forgotten = _connections.pop(folder, None)
    if forgotten is not None:
        forgotten.connection.close()


def open_connection(folder: str) -> sqlite3.Connection:
    """The connection to this index that the worker keeps. Raises sqlite3.Error and OSError."""
    path = Path(folder) / INDEX
    status = path.stat()
    inode = (status.st_dev, status.st_ino)
    found = _connections.get(folder)
    if found is not None and found.inode != inode:
        # The index was rebuilt, or another volume is mounted there.
        found.connection.close()
        found = None
    if found is None:
        found = _connections[folder] = _Open(inode, connect(path, read_only=True))
    return found.connection


def _where(conditions: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _page(items: list[Item], limit: int, key: Callable[[Item], int]) -> Page[Item]:
    return Page(tuple(items), key(items[-1]) if items and len(items) == limit else None)


def _study(row: tuple[Any, ...]) -> Study:
    texts = ((4, "SH"), (5, "SH"), (6, "LO"), (7, "PN"), (8, "LO"), (9, "LO"), (10, "PN"))
    values = list(row[:19])
    for column, vr in texts:
        character_set = row[19] if column < 8 else row[20]
        values[column] = decode_text(values[column], vr, character_set)
    return Study(*values)
