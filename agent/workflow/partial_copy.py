"""A part of a stored object as it goes out: some of its frames, or all but its bulk data.

What part is said in bytes, as these pass from the node to a worker with the rest of the order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from agent.dataset.byte_source import ByteSource, FileBytes
from agent.dataset.whole_write import write_whole
from agent.errors import StorageError

if TYPE_CHECKING:
    from agent.codecs.codec import EncodeSettings
    from agent.objects.frame_selection import FrameSelection

WITHOUT_BULK_DATA = b"without bulk data"


def form_of_frames(selection: FrameSelection) -> bytes:
    """These frames, as an instance of their own."""
    return json.dumps([selection.key, selection.values]).encode()


def extracted_uid(path: str, offset: int, transfer_syntax: str, form: bytes) -> str:
    """In a worker: the UID that the instance will have. Raises PeerError with AA00H to AA04H where
    there is none, StorageError when the file cannot be read."""
    from agent.objects.frame_extraction import FrameExtraction

    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"the object's file cannot be opened: {error.strerror}") from error
    try:
        source = FileBytes(descriptor, offset)
        return FrameExtraction(source, transfer_syntax, _frames(form)).new_instance_uid
    finally:
        os.close(descriptor)


def partial_copy(
    stored: ByteSource,
    source_syntax: str,
    target_syntax: str,
    settings: EncodeSettings,
    form: bytes,
) -> WithoutBulkData | ExtractedFrames:
    """In a worker: the part that `form` names, ready to be written."""
    if form == WITHOUT_BULK_DATA:
        return WithoutBulkData(stored, source_syntax, target_syntax)
    return ExtractedFrames(stored, source_syntax, target_syntax, settings, form)


class WithoutBulkData:
    """An object without its bulk data: the same instance."""

    new_instance_uid = ""

    def __init__(self, stored: ByteSource, source_syntax: str, target_syntax: str) -> None:
        self._arguments = stored, source_syntax, target_syntax

    def write(self, write: Callable[[bytes], object]) -> None:
        from agent.objects.bulk_data import write_without_bulk_data

        write_without_bulk_data(*self._arguments, write)


class ExtractedFrames:
    """Some frames of an image, in another transfer syntax where that is wanted.

    For that they are written into a nameless file first.
    """

    def __init__(
        self,
        stored: ByteSource,
        source_syntax: str,
        target_syntax: str,
        settings: EncodeSettings,
        form: bytes,
    ) -> None:
        from agent.objects.frame_extraction import FrameExtraction

        self._extraction = FrameExtraction(stored, source_syntax, _frames(form))
        self.new_instance_uid = self._extraction.new_instance_uid
        self._write = self._extraction.write
        if target_syntax != source_syntax:
            self._convert(source_syntax, target_syntax, settings)

    def write(self, write: Callable[[bytes], object]) -> None:
        self._write(write)

    def _convert(self, source_syntax: str, target_syntax: str, settings: EncodeSettings) -> None:
        from tempfile import TemporaryFile

        from agent.objects.transcoding import Transcoding

        # Closed when this goes.
        self._file = TemporaryFile()  # noqa: SIM115
        try:
            self._extraction.write(partial(write_whole, self._file.fileno()))
        except OSError as error:
            raise StorageError(f"there is no room for the frames: {error.strerror}") from error
        converted = Transcoding(
            FileBytes(self._file.fileno()), source_syntax, target_syntax, settings
        )
        self.new_instance_uid = converted.new_instance_uid or self.new_instance_uid
        self._write = converted.write


def _frames(form: bytes) -> FrameSelection:
    from agent.objects.frame_selection import FrameSelection

    key, values = json.loads(form)
    return FrameSelection(key, tuple(values))
