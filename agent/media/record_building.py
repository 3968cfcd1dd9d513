"""The contents of new Directory Records: an object's keys, and what stands in for missing ones.

Archives hold objects without a Study ID or an Instance Number; in a directory they are Type 1. A
value that is missing is taken from what comes closest, or is a number; the object stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from agent.dataset import tags
from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.attributes_encoding import encode_attributes, with_character_set
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from agent.errors import StorageError
from agent.media.directory_records import Key, RecordType

SYNTAX = TRANSFER_SYNTAXES[EXPLICIT_VR_LITTLE_ENDIAN]
"""The one of a DICOMDIR (PS3.10 8.6)."""

_DATES = ("ContentDate", "SeriesDate", "AcquisitionDate", "InstanceCreationDate", "StudyDate")
_TIMES = ("ContentTime", "SeriesTime", "AcquisitionTime", "InstanceCreationTime", "StudyTime")

_NEXT_BEST: dict[str, tuple[str, ...]] = {
    "StudyDate": _DATES,
    "StudyTime": _TIMES,
    "ContentDate": _DATES,
    "ContentTime": _TIMES,
    "PresentationCreationDate": _DATES,
    "PresentationCreationTime": _TIMES,
    "InstanceCreationDate": _DATES,
}
_NUMBERED = frozenset(("StudyID", "SeriesNumber", "InstanceNumber"))
_CONSTANT = {
    "Modality": "OT",
    "ContentLabel": "UNNAMED",
    "CompletionFlag": "PARTIAL",
    "VerificationFlag": "UNVERIFIED",
}

STAND_INS = frozenset(tags.from_text(each) for each in (*_DATES, *_TIMES))
"""Attributes to read beside the keys, for those that may be missing."""


def wanted_of(keys: Iterable[Key]) -> frozenset[int]:
    """The tags to read for these keys."""
    return frozenset(tags.from_text(key.keyword) for key in keys)


def record_content(
    kind: RecordType,
    keys: Iterable[Key],
    found: Attributes,
    number: int,
    reference: Attributes | None = None,
) -> bytes:
    """A record from its Directory Record Type on, in Explicit VR Little Endian.

    `keys` are those of the type and of the profile; `found` what the object has; `number` what
    stands in for a missing number; `reference` the Referenced File ID and what goes with it. Raises
    StorageError for a mandatory key that the object does not have and nothing can stand in for.
    """
    record = Attributes()
    for key in keys:
        value = _value(key, found, number)
        if value is None:
            raise StorageError(
                f"The object has no {key.keyword}, and a {kind.name} record needs it.",
                clause=f"PS3.3 {kind.clause}",
                value=key.keyword,
                way_out="Leave the object out, or have it made anew by what created it.",
            )
        if value.values or key.type == "2":
            record.put(tags.from_text(key.keyword), value)
    record = with_character_set(record, "\\".join(found.texts(tags.SPECIFIC_CHARACTER_SET)))
    record.set(tags.DIRECTORY_RECORD_TYPE, kind.name)
    if reference is not None:
        record.update(reference)
    return encode_attributes(record, SYNTAX)


def _value(key: Key, found: Attributes, number: int) -> Attribute | None:
    """The value for a record; an empty one of Type 1C is left out. None for what must be there."""
    there = found.get(key.keyword)
    if there is not None and not there.is_empty:
        return there
    vr = tags.dictionary_value_representation(tags.from_text(key.keyword))
    if key.type != "1":
        return Attribute(vr, ())
    for other in _NEXT_BEST.get(key.keyword, ()):
        stand_in = found.get(other)
        if stand_in is not None and not stand_in.is_empty:
            return Attribute(vr, stand_in.values[:1])
    if key.keyword in _NEXT_BEST:
        text = time.strftime("%Y%m%d" if vr == "DA" else "%H%M%S")
    elif key.keyword in _NUMBERED:
        text = str(number)
    elif key.keyword in _CONSTANT:
        text = _CONSTANT[key.keyword]
    else:
        return None
    return Attribute(vr, (text,))


def reference_to(
    file_id: str, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str
) -> Attributes:
    """What a record says of the file that it refers to (PS3.3 Table F.3-3)."""
    made = Attributes()
    made.set(tags.REFERENCED_FILE_ID, file_id)
    made.set(tags.REFERENCED_SOP_CLASS_UID_IN_FILE, sop_class_uid)
    made.set(tags.REFERENCED_SOP_INSTANCE_UID_IN_FILE, sop_instance_uid)
    made.set(tags.REFERENCED_TRANSFER_SYNTAX_UID_IN_FILE, transfer_syntax_uid)
    return made
