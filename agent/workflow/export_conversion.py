"""An object that a profile does not take as it is stored, in a transfer syntax that it takes.

Nothing is lost: frames are decompressed, or compressed without loss, and compared afterwards.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent.archive.records import Instance
from agent.codecs.codec import EncodeSettings
from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import read_file_meta
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, encoding_of, name_of
from agent.errors import GantryError, StorageError
from agent.media.application_profiles import Profile
from agent.quoting import quoted

_SETTINGS = EncodeSettings()


def convert(
    source: int, instance: Instance, profile: Profile, target: Path, implementation: tuple[str, str]
) -> None:
    """Write the open object into the file `target`, which is replaced.

    Memory: that of the codecs. Raises StorageError, with the reason, for what cannot be had in any
    syntax of the profile without loss; OSError where `target` cannot be written.
    """
    allowed = (
        profile.syntaxes
        if profile.classes is None
        else profile.classes.get(instance.sop_class_uid, ())
    )
    lossless = [each for each in allowed if not encoding_of(each).lossy]
    lossless.sort(key=lambda each: each != EXPLICIT_VR_LITTLE_ENDIAN)
    reason = profile.refusal(instance.sop_class_uid, instance.transfer_syntax_uid)
    for number, syntax in enumerate(lossless):
        try:
            _convert(source, syntax, target, implementation)
            return
        except GantryError as error:
            if not number:
                reason += f", which it cannot be converted to: {quoted(error.message)}"
    raise StorageError(reason, clause=profile.clause, value=instance.transfer_syntax_uid)


def _convert(source: int, syntax: str, target: Path, implementation: tuple[str, str]) -> None:
    # What decodes frames is imported where it is needed.
    from agent.objects.same_pixels import have_same_pixels
    from agent.objects.transcoded_file import transcode_file

    out = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        transcode_file(source, out, syntax, _SETTINGS, implementation=implementation)
        before, after = read_file_meta(source), read_file_meta(out)
        if encoding_of(before.transfer_syntax_uid).encapsulated or encoding_of(syntax).encapsulated:
            one = FileBytes(source, before.data_set_offset)
            other = FileBytes(out, after.data_set_offset)
            if not have_same_pixels(one, before.transfer_syntax_uid, other, syntax):
                raise StorageError(f"in {name_of(syntax)} it is not the same image", value=syntax)
    finally:
        os.close(out)
