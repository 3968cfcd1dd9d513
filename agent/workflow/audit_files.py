"""Files that a command reads, sends, receives or writes, gathered into one message for a study.

Whose a file is, is read from its head. Memory: at most 1,000 studies, some hundred bytes each; what
was gathered is told when there are more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from agent.dataset import tags
from agent.dataset.byte_source import FileBytes
from agent.dataset.character_set import decode_text
from agent.dataset.file_meta import read_file_meta
from agent.dataset.head import scan_head
from agent.errors import GantryError
from agent.security.audit_message import AuditObject
from agent.workflow.audit_participants import patient_object, study_object

_MOST = 1000
_WANTED = frozenset(
    (
        tags.SPECIFIC_CHARACTER_SET,
        tags.SOP_CLASS_UID,
        tags.ACCESSION_NUMBER,
        tags.PATIENT_NAME,
        tags.PATIENT_ID,
        tags.STUDY_INSTANCE_UID,
    )
)


class Way(NamedTuple):
    """What became of files: an act, the other side where there is one, and why it failed."""

    act: str
    title: str = ""
    address: str = ""
    reason: str = ""


class _Patient(NamedTuple):
    study: str
    accession_number: str
    patient_id: str
    patient_name: str


@dataclass(slots=True)
class Gathered:
    """Files of one way; `objects` are those of a message for each study."""

    way: Way
    when: float
    studies: dict[_Patient, dict[str, int]] = field(default_factory=dict)

    def objects(self) -> Iterator[tuple[AuditObject, AuditObject]]:
        """Each study with its patient."""
        for who, classes in self.studies.items():
            study = study_object(who.study, who.accession_number, tuple(classes.items()))
            yield study, patient_object(who.patient_id, who.patient_name)


class FilesGathered:
    """Gathers files, and hands them to `tell`, way by way."""

    def __init__(self, tell: Callable[[Gathered], None]) -> None:
        self._tell = tell
        self._gathered: dict[Way, Gathered] = {}
        self._number = 0

    def note(self, way: Way, file: Path | int) -> None:
        """One more, by its path or its descriptor; what is no DICOM file is nobody's."""
        known = _look_into(file)
        if known is None:
            return
        who, sop_class = known
        found = self._gathered.setdefault(way, Gathered(way, 0.0))
        found.when = time.time()
        if who not in found.studies:
            self._number += 1
        classes = found.studies.setdefault(who, {})
        classes[sop_class] = classes.get(sop_class, 0) + 1
        if self._number >= _MOST:
            self.end()

    def end(self) -> None:
        """Tell of all."""
        for each in self._gathered.values():
            self._tell(each)
        self._gathered.clear()
        self._number = 0


def _look_into(file: Path | int) -> tuple[_Patient, str] | None:
    try:
        if isinstance(file, int):
            return _of(file)
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _of(descriptor)
        finally:
            os.close(descriptor)
    except (GantryError, OSError):
        return None


def _of(descriptor: int) -> tuple[_Patient, str]:
    meta = read_file_meta(descriptor)
    head = scan_head(FileBytes(descriptor, meta.data_set_offset), meta.encoding, _WANTED)
    charset = head.values.get(tags.SPECIFIC_CHARACTER_SET)

    def text(tag: int, vr: str) -> str:
        return decode_text(head.values.get(tag, b""), vr, charset).strip(" \0")

    who = _Patient(
        text(tags.STUDY_INSTANCE_UID, "UI"),
        text(tags.ACCESSION_NUMBER, "SH"),
        text(tags.PATIENT_ID, "LO"),
        text(tags.PATIENT_NAME, "PN"),
    )
    return who, meta.media_storage_sop_class_uid or text(tags.SOP_CLASS_UID, "UI")
