"""Whose objects they are: what an audit message says of the objects that an event was about.

Answered in a reader worker, for the numbers that the node has noted: the node itself never reads a
head. Memory: a row for each study and SOP class.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.archive.audit_records import AuditedStudy, NumberRanges
from agent.archive.reader_worker import ask
from agent.dataset.character_set import decode_text

_COLUMNS = (
    "SELECT study.id, study.study_instance_uid, study.accession_number, study.character_set,"
    " study.instances, patient.patient_id, patient.patient_name, patient.character_set,"
    " instance.sop_class_uid, count(DISTINCT instance.sop_instance_uid)"
    " FROM instance JOIN study ON study.id = instance.study"
    " JOIN patient ON patient.id = study.patient WHERE "
)
_GROUPS = " GROUP BY study.id, instance.sop_class_uid ORDER BY study.id"
_CONDITIONS = {
    "study": "study.study_instance_uid = ?",
    "series": "instance.series IN (SELECT id FROM series WHERE series_instance_uid = ?)",
    "instance": "instance.sop_instance_uid = ?",
}


def audited_studies(
    folder: str, ranges: Sequence[tuple[int, int]] = (), *, level: str = "", uid: str = ""
) -> list[AuditedStudy]:
    """The studies of the objects in these ranges of numbers, or of one study, series or instance.

    Objects that are gone, and those of no patient, are left out. Raises StorageError.
    """
    rows = []
    for first, last in _apart(ranges):
        where = "instance.id BETWEEN ? AND ?"
        rows += ask(folder, f"{_COLUMNS}{where}{_GROUPS}", (first, last))
    if level:
        rows += ask(folder, f"{_COLUMNS}{_CONDITIONS[level]}{_GROUPS}", (uid,))
    found: dict[int, tuple[AuditedStudy, dict[str, int]]] = {}
    for number, uid, accession, study_set, instances, patient, name, patient_set, *kind in rows:
        if number not in found:
            study = AuditedStudy(
                uid,
                decode_text(accession, "SH", study_set),
                instances,
                decode_text(patient, "LO", patient_set),
                decode_text(name, "PN", patient_set),
                (),
            )
            found[number] = study, {}
        counts = found[number][1]
        counts[kind[0]] = counts.get(kind[0], 0) + kind[1]
    return [study._replace(sop_classes=tuple(counts.items())) for study, counts in found.values()]


def _apart(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers, each in one range: what was tried twice is counted once."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def unaudited_objects(folder: str, after: int) -> dict[str, list[tuple[int, int]]]:
    """Objects of patients above this number, by source, as ranges. Raises StorageError."""
    found: dict[str, NumberRanges] = {}
    for number, source in ask(
        folder,
        "SELECT id, source FROM instance WHERE id > ? AND study IS NOT NULL ORDER BY id",
        (after,),
    ):
        found.setdefault(source, NumberRanges()).add(number)
    return {source: numbers.ranges for source, numbers in found.items()}
