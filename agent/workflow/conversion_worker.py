"""What workers do: convert a stored object into a pipe, compress a received one into a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

from agent.archive import failure
from agent.codecs.codec import EncodeSettings
from agent.dataset.byte_source import ByteSource, FileBytes, decoded
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    encoding_of,
)
from agent.dataset.whole_write import write_whole
from agent.errors import LocalError, StorageError
from agent.workflow.changed_head import changed_values, rewritten


def write_converted(
    path: str,
    offset: int,
    source_syntax: str,
    target_syntax: str,
    general_class_uid: str,
    changes: bytes,
    settings: EncodeSettings,
    form: bytes = b"",
    *,
    descriptors: list[int],
) -> None:
    """In a worker: write the copy into a pipe, behind one byte of length and its new UID."""
    try:
        source = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"the object's file cannot be opened: {error.strerror}") from error
    try:
        stored: ByteSource = FileBytes(source, offset)
        syntax = encoding_of(source_syntax)
        if syntax.deflated:
            stored, syntax = decoded(stored, syntax), encoding_of(EXPLICIT_VR_LITTLE_ENDIAN)
        values = changed_values(stored, syntax, changes, general_class_uid)
        if values:
            stored = _Rewritten(stored, syntax, values)
        copy = _copy_of(stored, syntax.uid, target_syntax, settings, form)
        uid = copy.new_instance_uid.encode("ascii")
        write = partial(write_whole, descriptors[0])
        # Who reads may have gone: then nobody asks any more what became of this.
        with suppress(BrokenPipeError):
            write(bytes((len(uid),)) + uid)
            copy.write(write)
    finally:
        os.close(source)


class _Copy(Protocol):
    """What goes out of an object."""

    @property
    def new_instance_uid(self) -> str: ...

    def write(self, write: Callable[[bytes], object]) -> None: ...


def _copy_of(
    stored: ByteSource,
    source_syntax: str,
    target_syntax: str,
    settings: EncodeSettings,
    form: bytes,
) -> _Copy:
    # Not for the node, which only names the functions here.
    if form:
        from agent.workflow.partial_copy import partial_copy

        return partial_copy(stored, source_syntax, target_syntax, settings, form)
    from agent.objects.transcoding import Transcoding

    return Transcoding(stored, source_syntax, target_syntax, settings)


def write_compressed(
    offset: int,
    source_syntax: str,
    target_syntax: str,
    settings: EncodeSettings,
    *,
    descriptors: list[int],
) -> bool:
    """In a worker: write a received data set compressed into another file, behind what stands
    there; False, and nothing is written, where it has no frames.

    What was written is read back and compared before the one that came is let go. Raises
    LocalError when it cannot be compressed so, PeerError when it is no image, StorageError when
    there is no room.
    """
    from agent.objects.same_pixels import have_same_pixels
    from agent.objects.transcoding import Transcoding

    source, target = descriptors
    received = FileBytes(source, offset)
    transcoding = Transcoding(received, source_syntax, target_syntax, settings)
    if not transcoding.changes_pixels:
        return False
    start = os.lseek(target, 0, os.SEEK_CUR)
    try:
        transcoding.write(partial(write_whole, target))
    except OSError as error:
        raise failure.of_system(error, "compress the object") from error
    written = FileBytes(target, start)
    if not have_same_pixels(received, source_syntax, written, target_syntax):
        raise LocalError("the compressed image is not the one that came", value=target_syntax)
    return True


class _Rewritten:
    """A stored data set with another head."""

    def __init__(
        self, stored: ByteSource, syntax: TransferSyntax, values: dict[int, bytes | None]
    ) -> None:
        self._stored = stored
        self._head, self._resume = rewritten(stored, syntax, values)

    def read(self, position: int, length: int) -> bytes:
        if position < len(self._head):
            return self._head[position : position + length]
        return self._stored.read(position - len(self._head) + self._resume, length)
