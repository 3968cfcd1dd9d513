"""What is refused before a file-set is begun, and before an object is looked at more closely."""

from __future__ import annotations

import os
from pathlib import Path

from agent.dataset.file_meta import read_file_meta
from agent.errors import LocalError, StorageError
from agent.media.application_profiles import Profile, check_image, wanted_for
from agent.media.directory_records import RecordType, record_type_of
from agent.media.envelope import Envelope
from agent.media.examining import Examined
from agent.media.file_ids import DICOMDIR, FileNames, is_file_set_id, open_file
from agent.media.object_keys import read_keys
from agent.quoting import quoted


def check_wishes(
    folder: Path, profile: Profile, file_set_id: str, update: bool, anew: str = ""
) -> None:
    """Raises LocalError for a file-set that cannot be made, or not be updated, in this folder;
    `anew` is the name of a directory that is to be replaced."""
    if update and not profile.updates:
        raise LocalError(
            f"{profile.name} has no File-set Updater.", clause=profile.clause, value=profile.name
        )
    if not is_file_set_id(file_set_id):
        raise LocalError(
            f"{quoted(repr(file_set_id))} is no File-set ID.",
            clause="PS3.10 8.5",
            value=file_set_id,
            limit=16,
            way_out="Use up to 16 of A-Z, 0-9 and _.",
        )
    if not (update or anew) and FileNames(folder).real_name(DICOMDIR) is not None:
        raise LocalError(
            f"{quoted(folder)} has a file-set already.",
            value=str(folder),
            way_out="Update it (--update), or take another folder.",
        )


def check_security(profile: Profile, envelope: Envelope | None) -> None:
    """Raises LocalError for a secure profile without an envelope, and one without for another."""
    if profile.secure and envelope is None:
        raise LocalError(
            f"{profile.name} wants Secure DICOM files, and nobody is named who could open them.",
            clause="PS3.15 D.1",
            value=profile.name,
            way_out="Name the certificate of a recipient, or a password.",
        )
    if envelope is not None and not profile.secure:
        raise LocalError(
            f"{profile.name} has no Secure DICOM files.",
            clause=profile.clause,
            value=profile.name,
            way_out="Use a secure profile, as STD-GEN-SEC-CD.",
        )


def check_file(profile: Profile, path: Path) -> None:
    """`check_image` of a Part 10 file. Raises OSError, and PeerError where it cannot be parsed."""
    if not profile.forms:
        return
    descriptor = open_file(path)
    try:
        meta = read_file_meta(descriptor)
        sop_class_uid = meta.media_storage_sop_class_uid
        if wanted := wanted_for(profile, sop_class_uid):
            found = read_keys(descriptor, meta, wanted)
            check_image(profile, sop_class_uid, found, meta.encoding_uid)
    finally:
        os.close(descriptor)


def kind_of(found: Examined) -> RecordType:
    """The Directory Record that an object has. Raises StorageError where it can have none."""
    kind = record_type_of(found.sop_class_uid)
    if kind is None:
        raise StorageError(
            f"Objects of the SOP Class {found.sop_class_uid} have no Directory Record.",
            clause="PS3.3 F.4",
            value=found.sop_class_uid,
            way_out="Leave the object out.",
        )
    if found.cut:
        raise StorageError(
            f"The object is not whole: {quoted(found.cut)}.",
            way_out="Get it anew from where it came.",
        )
    return kind
