"""The values of an object that the index keeps, taken from the head of its data set."""

from __future__ import annotations

from typing import NamedTuple

from agent.dataset import tags
from agent.dataset.head import Head

INDEXED = frozenset(
    (
        tags.SPECIFIC_CHARACTER_SET,
        tags.SOP_CLASS_UID,
        tags.SOP_INSTANCE_UID,
        tags.STUDY_DATE,
        tags.SERIES_DATE,
        tags.CONTENT_DATE,
        tags.STUDY_TIME,
        tags.SERIES_TIME,
        tags.CONTENT_TIME,
        tags.ACCESSION_NUMBER,
        tags.MODALITY,
        tags.REFERRING_PHYSICIAN_NAME,
        tags.STUDY_DESCRIPTION,
        tags.SERIES_DESCRIPTION,
        tags.PATIENT_NAME,
        tags.PATIENT_ID,
        tags.ISSUER_OF_PATIENT_ID,
        tags.PATIENT_BIRTH_DATE,
        tags.PATIENT_SEX,
        tags.BODY_PART_EXAMINED,
        tags.STUDY_INSTANCE_UID,
        tags.SERIES_INSTANCE_UID,
        tags.STUDY_ID,
        tags.SERIES_NUMBER,
        tags.INSTANCE_NUMBER,
        tags.NUMBER_OF_FRAMES,
    )
)

# Longer than any of these values may be; what a peer sends beyond it is not worth a disk.
_LONGEST_TEXT = 1024
_LONGEST_CODE = 256


class Keys(NamedTuple):
    """Values without their padding: bytes where the character set governs them, else text."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    character_set: bytes
    patient_id: bytes
    issuer_of_patient_id: bytes
    patient_name: bytes
    birth_date: str
    sex: str
    study_date: str
    study_time: str
    accession_number: bytes
    study_id: bytes
    study_description: bytes
    referring_physician_name: bytes
    modality: str
    series_number: str
    series_date: str
    series_time: str
    series_description: bytes
    body_part_examined: str
    instance_number: str
    number_of_frames: str
    content_date: str
    content_time: str

    @property
    def patient_key(self) -> bytes:
        """What tells patients apart: ID and issuer; without an ID, name and birth date too."""
        parts = [self.patient_id, self.issuer_of_patient_id]
        if not self.patient_id:
            parts += [self.patient_name, self.birth_date.encode(errors="replace")]
        return b"\0".join(parts)


def keys_of(head: Head) -> Keys:
    """The keys in a head that was scanned for `INDEXED`."""
    values = head.values

    def text(tag: int) -> bytes:
        value = values.get(tag)
        return value.strip(b" \0")[:_LONGEST_TEXT] if value else b""

    def code(tag: int) -> str:
        value = values.get(tag)
        return value.strip(b" \0")[:_LONGEST_CODE].decode("ascii", "replace") if value else ""

    return Keys(
        sop_class_uid=code(tags.SOP_CLASS_UID),
        sop_instance_uid=code(tags.SOP_INSTANCE_UID),
        study_instance_uid=code(tags.STUDY_INSTANCE_UID),
        series_instance_uid=code(tags.SERIES_INSTANCE_UID),
        character_set=text(tags.SPECIFIC_CHARACTER_SET),
        patient_id=text(tags.PATIENT_ID),
        issuer_of_patient_id=text(tags.ISSUER_OF_PATIENT_ID),
        patient_name=text(tags.PATIENT_NAME),
        birth_date=code(tags.PATIENT_BIRTH_DATE),
        sex=code(tags.PATIENT_SEX),
        study_date=code(tags.STUDY_DATE),
        study_time=code(tags.STUDY_TIME),
        accession_number=text(tags.ACCESSION_NUMBER),
        study_id=text(tags.STUDY_ID),
        study_description=text(tags.STUDY_DESCRIPTION),
        referring_physician_name=text(tags.REFERRING_PHYSICIAN_NAME),
        modality=code(tags.MODALITY),
        series_number=code(tags.SERIES_NUMBER),
        series_date=code(tags.SERIES_DATE),
        series_time=code(tags.SERIES_TIME),
        series_description=text(tags.SERIES_DESCRIPTION),
        body_part_examined=code(tags.BODY_PART_EXAMINED),
        instance_number=code(tags.INSTANCE_NUMBER),
        number_of_frames=code(tags.NUMBER_OF_FRAMES),
        content_date=code(tags.CONTENT_DATE),
        content_time=code(tags.CONTENT_TIME),
    )
