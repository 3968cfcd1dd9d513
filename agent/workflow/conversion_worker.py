"""What workers do: convert a stored object into a pipe, compress a received one into a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

from agent.archive import failure
from agent.codecs.codec import EncodeSettings
from agent.dataset.broken_signatures import without_broken_signatures
from agent.dataset.byte_source import ByteSource, FileBytes, decoded
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    encoding_of,
)
from agent.dataset.whole_write import write_whole
from agent.errors import LocalError, StorageError
from agent.workflow.changed_head import changed_values, rewritten

if TYPE_CHECKING:
    from agent.configuration.deidentification import Deidentify
    from agent.workflow.signatures_anew import SignaturesAnew


def write_converted(
    path: str,
    offset: int,
    source_syntax: str,
    target_syntax: str,
    general_class_uid: str,
    changes: bytes,
    settings: EncodeSettings,
    form: bytes = b"",
    rule: Deidentify | None = None,
    sign_anew: SignaturesAnew | None = None,
    *,
    descriptors: list[int],
) -> None:
    """In a worker: write the copy into a pipe, behind one byte of length and its new UID.

    `form` is the part that goes out (`partial_copy`). By a `rule` it is de-identified first;
    nothing of it is written where that cannot be. By `sign_anew` a copy that is still the same
    image is signed again where signatures were lost.
    """
    try:
        source = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"the object's file cannot be opened: {error.strerror}") from error
    try:
        stored: ByteSource = FileBytes(source, offset)
        syntax = encoding_of(source_syntax)
        if syntax.deflated:
            stored, syntax = decoded(stored, syntax), encoding_of(EXPLICIT_VR_LITTLE_ENDIAN)
        signed = stored
        values = changed_values(stored, syntax, changes, general_class_uid)
        if values:
            stored = without_broken_signatures(stored, syntax, values)
            stored = _Rewritten(stored, syntax, values)
        if rule is None:
            copy = _copy_of(stored, syntax.uid, target_syntax, settings, form)
            write = copy.write
            if sign_anew is not None and not copy.new_instance_uid and not form:
                write = partial(
                    _write_signed, copy, signed, syntax.uid, target_syntax, values, sign_anew
                )
            _send(copy.new_instance_uid, write, descriptors[0])
        else:
            _write_deidentified(stored, syntax.uid, target_syntax, settings, rule, descriptors[0])
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


def _write_deidentified(
    stored: ByteSource,
    source_syntax: str,
    target_syntax: str,
    settings: EncodeSettings,
    rule: Deidentify,
    pipe: int,
) -> None:
    from agent.workflow.deidentified_copy import Deidentifier

    copy = Deidentifier(rule).copy(stored, source_syntax)
    if copy.transfer_syntax_uid == target_syntax:
        _send(copy.sop_instance_uid, copy.write, pipe)
        return
    if target_syntax == source_syntax and encoding_of(target_syntax).lossy:
        raise LocalError(
            "the pixels were cleaned: in the lossy transfer syntax that it came in they would lose "
            "once more",
            value=target_syntax,
        )
    with tempfile.TemporaryFile(dir="/var/tmp") as file:
        copy.write(partial(write_whole, file.fileno()))
        made = FileBytes(file.fileno())
        converted = _copy_of(made, copy.transfer_syntax_uid, target_syntax, settings, b"")
        # Where the transfer syntax makes no other image of it, it is called as the copy is.
        _send(converted.new_instance_uid or copy.sop_instance_uid, converted.write, pipe)


def _write_signed(
    copy: _Copy,
    before: ByteSource,
    before_syntax: str,
    syntax: str,
    changed: Collection[int],
    sign_anew: SignaturesAnew,
    write: Callable[[bytes], object],
) -> None:
    """The copy, with a signature in the place of those that it lost (PS3.15 A.2, rule 3)."""
    # With them come the algorithms, which a node that replaces nothing does without.
    from agent.dataset.conversion import rewrite
    from agent.security.signature_reading import stored_signatures
    from agent.security.signature_replacement import replacement

    if not stored_signatures(before, before_syntax):
        copy.write(write)
        return
    with tempfile.TemporaryFile(dir="/var/tmp") as file:
        copy.write(partial(write_whole, file.fileno()))
        after = FileBytes(file.fileno())
        through = replacement(before, before_syntax, after, syntax, changed, sign_anew.table)
        rewrite(after, syntax, syntax, write, through=through)


def _send(uid: str, write: Callable[[Callable[[bytes], object]], None], pipe: int) -> None:
    into = partial(write_whole, pipe)
    # Who reads may have gone: then nobody asks any more what became of this.
    with suppress(BrokenPipeError):
        into(bytes((len(uid),)) + uid.encode("ascii"))
        write(into)


def write_compressed(
    offset: int,
    source_syntax: str,
    target_syntax: str,
    settings: EncodeSettings,
    sign_anew: SignaturesAnew | None = None,
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
    if sign_anew is not None:
        sign_anew(source, target, ())
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
