"""DICOM files, as they come on media and in folders, up to their frames (PS3.10 7)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import read_file_meta
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from agent.errors import GantryError
from agent.media.examining import examined
from agent.objects.transcoding import Transcoding
from tests.fuzz.target import MIB, Target, dicom_files, hostile_files, open_bytes

_LONGEST_SEED = 1 << 14
_ENOUGH = 2 * MIB


class _Enough(GantryError):
    """What a frame of nothing decodes to is as long as its rows and columns say."""


class _Sink:
    def __init__(self) -> None:
        self.length = 0

    def write(self, data: bytes) -> None:
        self.length += len(data)
        if self.length > _ENOUGH:
            raise _Enough("this is enough for the test")


def run(data: bytes) -> None:
    """Looked at as on media, and its frames decoded as for a peer that takes no compression."""
    with open_bytes(data) as descriptor:
        examined(descriptor)
        meta = read_file_meta(descriptor)
        source = FileBytes(descriptor, meta.data_set_offset)
        Transcoding(source, meta.encoding_uid, EXPLICIT_VR_LITTLE_ENDIAN).write(_Sink().write)


def seeds() -> Iterator[bytes]:
    """Files of pydicom and of the corpus."""
    yield from dicom_files(_LONGEST_SEED)
    yield from hostile_files(_LONGEST_SEED)


TARGET = Target(run, seeds, seconds=2.0)
