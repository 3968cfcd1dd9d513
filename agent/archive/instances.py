"""Rows of patients, studies, series and instances: added and taken out, with their counts.

Everything here runs inside a transaction of the storage worker. Adding an object of a known series
is one INSERT and two UPDATEs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.archive.index import Index
from agent.archive.keys import Keys
from agent.archive.records import Flag

_MOST_KNOWN = 4096


@dataclass(frozen=True, slots=True)
class StoredCopy:
    """A copy of an object that is in the archive already."""

    id: int
    sop_class_uid: str
    transfer_syntax_uid: str
    data_set_offset: int
    size: int
    received_digest: bytes | None


@dataclass(frozen=True, slots=True)
class NewInstance:
    """What is to be known of an object besides its keys."""

    number: int
    keys: Keys
    transfer_syntax_uid: str
    data_set_offset: int
    size: int
    received: float
    source: str
    flags: int = 0
    received_digest: bytes | None = None


class InstanceRows:
    """The four levels of the index."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._execute = index.execute
        self._studies: dict[str, tuple[int, bytes]] = {}
        self._series: dict[tuple[int, str], int] = {}

    def forget(self) -> None:
        """Row numbers remembered may be wrong: a transaction was taken back."""
        self._studies.clear()
        self._series.clear()

    def copies(self, sop_instance_uid: str) -> list[StoredCopy]:
        """All that is stored under this UID, oldest first."""
        rows = self._execute(
            "SELECT id, sop_class_uid, transfer_syntax_uid, data_set_offset, bytes, received_digest"
            " FROM instance WHERE sop_instance_uid = ? ORDER BY id",
            (sop_instance_uid,),
        )
        return [StoredCopy(*row) for row in rows]

    def study_of(self, number: int) -> int:
        """The row of the object's study, 0 for one without."""
        row = self._execute("SELECT study FROM instance WHERE id = ?", (number,)).fetchone()
        return 0 if row is None else row[0] or 0

    def flags_of(self, number: int) -> int:
        """The bits of `Flag`, 0 for an object that there is not."""
        row = self._execute("SELECT flags FROM instance WHERE id = ?", (number,)).fetchone()
        return int(row[0]) if row is not None else 0

    def add(self, new: NewInstance) -> int:
        """Add an object; returns the number of its study's row, 0 for an object without a study."""
        keys = new.keys
        study, series, flags = 0, 0, new.flags
        if keys.study_instance_uid:
            study, patient_key = self._study(keys, new.received)
            if patient_key != keys.patient_key:
                flags |= Flag.OTHER_PATIENT
            series = self._series_of(study, keys)
            self._execute(
                "UPDATE study SET instances = instances + 1, bytes = bytes + ?,"
                " changed = max(changed, ?) WHERE id = ?",
                (new.size, new.received, study),
            )
            self._execute("UPDATE series SET instances = instances + 1 WHERE id = ?", (series,))
        self._execute(
            "INSERT INTO instance VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                new.number,
                series or None,
                study or None,
                keys.sop_instance_uid,
                keys.sop_class_uid,
                new.transfer_syntax_uid,
                keys.instance_number,
                keys.number_of_frames,
                keys.content_date,
                keys.content_time,
                keys.character_set,
                new.data_set_offset,
                new.size,
                new.received,
                new.source,
                int(flags),
                new.received_digest,
            ),
        )
        return study

    def remove(self, numbers: Iterable[int]) -> int:
        """Take objects out, with what is empty then; their files are doomed. Returns the bytes."""
        freed = 0
        for number in numbers:
            row = self._execute(
                "DELETE FROM instance WHERE id = ? RETURNING series, study, bytes", (number,)
            ).fetchone()
            if row is None:
                continue
            series, study, size = row
            freed += size
            self._execute("DELETE FROM delivery WHERE instance = ?", (number,))
            self._execute("INSERT OR IGNORE INTO doomed VALUES (?)", (number,))
            if study is not None:
                self._shrink(study, series, size)
        return freed

    def doomed(self, limit: int = 1000) -> list[int]:
        """Files without rows that are still to be deleted."""
        rows = self._execute("SELECT id FROM doomed ORDER BY id LIMIT ?", (limit,))
        return [number for (number,) in rows]

    def doom(self, numbers: Iterable[int]) -> None:
        """Files that no row shall ever stand for are to be deleted."""
        for number in numbers:
            self._execute("INSERT OR IGNORE INTO doomed VALUES (?)", (number,))

    def undoom(self, numbers: Iterable[int]) -> None:
        """Their files are gone."""
        for number in numbers:
            self._execute("DELETE FROM doomed WHERE id = ?", (number,))

    def touch(self, studies: Iterable[int], now: float) -> None:
        """Somebody used these studies."""
        for study in studies:
            self._execute("UPDATE study SET accessed = ? WHERE id = ?", (now, study))

    def describe_again(self, keys: Keys) -> None:
        """A correction changed an object: its study and series, if known, are as it says now."""
        row = self._execute(
            "SELECT id, patient FROM study WHERE study_instance_uid = ?",
            (keys.study_instance_uid,),
        ).fetchone()
        if row is None:
            return
        study, old_patient = row
        patient = self._patient(keys)
        if patient != old_patient:
            self._execute("UPDATE patient SET studies = studies + 1 WHERE id = ?", (patient,))
            self._leave_patient(old_patient)
        self._execute(
            "UPDATE patient SET patient_name = ?, birth_date = ?, sex = ?, character_set = ?"
            " WHERE id = ?",
            (keys.patient_name, keys.birth_date, keys.sex, keys.character_set, patient),
        )
        self._execute(
            "UPDATE study SET patient = ?, study_date = ?, study_time = ?, accession_number = ?,"
            " study_id = ?, study_description = ?, referring_physician_name = ?, character_set = ?"
            " WHERE id = ?",
            (
                patient,
                keys.study_date,
                keys.study_time,
                keys.accession_number,
                keys.study_id,
                keys.study_description,
                keys.referring_physician_name,
                keys.character_set,
                study,
            ),
        )
        self._execute(
            "UPDATE series SET series_description = ?, body_part_examined = ?, character_set = ?"
            " WHERE study = ? AND series_instance_uid = ?",
            (
                keys.series_description,
                keys.body_part_examined,
                keys.character_set,
                study,
                keys.series_instance_uid,
            ),
        )
        self._studies.pop(keys.study_instance_uid, None)

    def _study(self, keys: Keys, now: float) -> tuple[int, bytes]:
        uid = keys.study_instance_uid
        found = self._studies.get(uid)
        if found is not None:
            return found
        row = self._execute(
            "SELECT study.id, patient.key FROM study JOIN patient ON patient.id = study.patient"
            " WHERE study_instance_uid = ?",
            (uid,),
        ).fetchone()
        if row is None:
            patient = self._patient(keys)
            (study,) = self._execute(
                "INSERT INTO study (patient, study_instance_uid, study_date, study_time,"
                " accession_number, study_id, study_description, referring_physician_name,"
                " character_set, received, changed, accessed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (
                    patient,
                    uid,
                    keys.study_date,
                    keys.study_time,
                    keys.accession_number,
                    keys.study_id,
                    keys.study_description,
                    keys.referring_physician_name,
                    keys.character_set,
                    now,
                    now,
                    now,
                ),
            ).fetchone()
            self._execute("UPDATE patient SET studies = studies + 1 WHERE id = ?", (patient,))
            row = (study, keys.patient_key)
        if len(self._studies) >= _MOST_KNOWN:
            self._studies.clear()
        self._studies[uid] = found = (row[0], row[1])
        return found

    def _patient(self, keys: Keys) -> int:
        row = self._execute("SELECT id FROM patient WHERE key = ?", (keys.patient_key,)).fetchone()
        if row is None:
            row = self._execute(
                "INSERT INTO patient (key, patient_id, issuer_of_patient_id, patient_name,"
                " birth_date, sex, character_set) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (
                    keys.patient_key,
                    keys.patient_id,
                    keys.issuer_of_patient_id,
                    keys.patient_name,
                    keys.birth_date,
                    keys.sex,
                    keys.character_set,
                ),
            ).fetchone()
        return int(row[0])

    def _series_of(self, study: int, keys: Keys) -> int:
        uid = keys.series_instance_uid
        found = self._series.get((study, uid))
        if found is not None:
            return found
        row = self._execute(
            "SELECT id FROM series WHERE study = ? AND series_instance_uid = ?", (study, uid)
        ).fetchone()
        if row is None:
            row = self._execute(
                "INSERT INTO series (study, series_instance_uid, modality, series_number,"
                " series_date, series_time, series_description, body_part_examined, character_set)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (
                    study,
                    uid,
                    keys.modality,
                    keys.series_number,
                    keys.series_date,
                    keys.series_time,
                    keys.series_description,
                    keys.body_part_examined,
                    keys.character_set,
                ),
            ).fetchone()
            self._execute("UPDATE study SET series = series + 1 WHERE id = ?", (study,))
        if len(self._series) >= _MOST_KNOWN:
            self._series.clear()
        self._series[study, uid] = found = int(row[0])
        return found

    def _shrink(self, study: int, series: int, size: int) -> None:
        (left,) = self._execute(
            "UPDATE series SET instances = instances - 1 WHERE id = ? RETURNING instances",
            (series,),
        ).fetchone()
        if not left:
            self._execute("DELETE FROM series WHERE id = ?", (series,))
            self._execute("UPDATE study SET series = series - 1 WHERE id = ?", (study,))
            self._series.clear()
        (left, patient) = self._execute(
            "UPDATE study SET instances = instances - 1, bytes = bytes - ? WHERE id = ?"
            " RETURNING instances, patient",
            (size, study),
        ).fetchone()
        if not left:
            self._execute("DELETE FROM study WHERE id = ?", (study,))
            self._studies.clear()
            self._leave_patient(patient)

    def _leave_patient(self, patient: int) -> None:
        (left,) = self._execute(
            "UPDATE patient SET studies = studies - 1 WHERE id = ? RETURNING studies", (patient,)
        ).fetchone()
        if not left:
            self._execute("DELETE FROM patient WHERE id = ?", (patient,))
