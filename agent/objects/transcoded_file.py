"""A Part 10 file in another transfer syntax (PS3.10 7)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from agent.codecs.codec import EncodeSettings
from agent.dataset import tags
from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import encode_file_meta, read_file_meta
from agent.dataset.head import scan_head
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from agent.dataset.whole_write import write_whole
from agent.errors import StorageError
from agent.objects.transcoding import Transcoding

_PIECE = 1 << 16
_NATIVE = frozenset((EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN))
_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
_IDENTITY = frozenset((tags.SOP_CLASS_UID, tags.SOP_INSTANCE_UID))


class TranscodedFile(NamedTuple):
    """What became of a file. `changed` is False where it was in that transfer syntax already."""

    changed: bool
    sop_instance_uid: str
    remarks: tuple[str, ...]


def transcode_file(
    source: int,
    target: int,
    transfer_syntax_uid: str,
    settings: EncodeSettings,
    *,
    implementation: tuple[str, str],
    salvage: bool = False,
) -> TranscodedFile:
    """Write the object of one open file into another, with file meta information of its own.

    `source` and `target` are descriptors; a file that is in the transfer syntax already is copied
    byte for byte. Raises what `Transcoding` raises, StorageError for what is no DICOM file or
    cannot be read, OSError where `target` cannot be written.
    """
    meta = read_file_meta(source)
    data_set = FileBytes(source, meta.data_set_offset)
    write = partial(write_whole, target)
    if meta.encoding_uid == meta.transfer_syntax_uid == transfer_syntax_uid:
        _copy(FileBytes(source), write)
        return TranscodedFile(False, meta.media_storage_sop_instance_uid, meta.remarks)
    identity = scan_head(data_set, meta.encoding, _IDENTITY).values
    class_uid = _uid(identity, tags.SOP_CLASS_UID) or meta.media_storage_sop_class_uid
    instance_uid = _uid(identity, tags.SOP_INSTANCE_UID) or meta.media_storage_sop_instance_uid
    if class_uid == _MEDIA_STORAGE_DIRECTORY:
        raise StorageError(
            "A DICOMDIR tells of places of bytes: it is not converted.", clause="PS3.10 8.6"
        )
    transcoding = Transcoding(
        data_set,
        meta.encoding_uid,
        transfer_syntax_uid,
        settings,
        salvage=salvage,
        compressed_as=meta.transfer_syntax_uid if meta.encoding_uid in _NATIVE else "",
    )
    instance_uid = transcoding.new_instance_uid or instance_uid
    write(
        encode_file_meta(
            sop_class_uid=class_uid,
            sop_instance_uid=instance_uid,
            transfer_syntax_uid=transfer_syntax_uid,
            implementation_class_uid=implementation[0],
            implementation_version_name=implementation[1],
            source_ae_title=meta.source_application_entity_title,
        )
    )
    transcoding.write(write)
    return TranscodedFile(True, instance_uid, (*meta.remarks, *transcoding.remarks))


def _uid(values: dict[int, bytes], tag: int) -> str:
    return values.get(tag, b"").decode("ascii", "replace").strip(" \0")


def _copy(source: FileBytes, write: Callable[[bytes], object]) -> None:
    position = 0
    while piece := source.read(position, _PIECE):
        write(piece)
        position += len(piece)
