"""An object with some values changed, written as a new file, with the old values recorded in it.

Used on receipt (coercion, PS3.4 B.4.1.3) and by corrections. The record is an item of the Original
Attributes Sequence (PS3.3 C.12.1.1.9), added to those that are there. All bytes behind the last
changed element are copied as they are.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from agent.archive import incoming
from agent.archive.settings import SignAnew, StorageStatuses
from agent.dataset import tags
from agent.dataset.broken_signatures import without_broken_signatures
from agent.dataset.byte_source import ByteSource, FileBytes, decoded
from agent.dataset.element_encoding import encode_element, item_header
from agent.dataset.file_meta import PREAMBLE_LENGTH, FileMeta
from agent.dataset.head import Head, scan_head
from agent.dataset.reader import SequenceEnd, SequenceStart, elements, read_exactly
from agent.dataset.rewriting import rewrite_head
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    encoding_of,
)
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.dataset.whole_write import write_whole

_MODIFIED_ATTRIBUTES_SEQUENCE = 0x04000550
_ATTRIBUTE_MODIFICATION_DATE_TIME = 0x04000562
_MODIFYING_SYSTEM = 0x04000563
_SOURCE_OF_PREVIOUS_VALUES = 0x04000564
_REASON_FOR_THE_ATTRIBUTE_MODIFICATION = 0x04000565

COERCE = "COERCE"
"""Reason (0400,0565): changed to fit a model, as on receipt."""
CORRECT = "CORRECT"
"""Reason (0400,0565): changed because it was wrong."""

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """Who changes, why, and when ("YYYYMMDDHHMMSS.FFFFFF&ZZXX", DT)."""

    reason: str
    modifying_system: str
    source_of_previous_values: str
    date_time: str


def changes_that_change(head: Head, changes: Mapping[int, bytes | None]) -> dict[int, bytes | None]:
    """Those of the changes that would make a difference; `head` must hold their tags."""
    differing = {}
    for tag, value in changes.items():
        old = head.values.get(tag)
        if (old is None) != (value is None) or (
            old is not None and value is not None and old.rstrip(b" \0") != value.rstrip(b" \0")
        ):
            differing[tag] = value
    return differing


def rewrite(
    folder: Path,
    descriptor: int,
    meta: FileMeta,
    changes: Mapping[int, bytes | None],
    record: ChangeRecord,
    statuses: StorageStatuses,
    value_representations: Mapping[int, str] = MappingProxyType({}),
    sign_anew: SignAnew | None = None,
) -> incoming.IncomingFile:
    """A new nameless file in the archive's `folder`: the object with `changes` of its top level.

    The preamble is zeros. By `sign_anew` it is signed again where signatures were lost. Memory and
    errors as `write_changed`; StorageError where the archive's disk fails.
    """
    group_2 = os.pread(descriptor, meta.data_set_offset, 0)
    if meta.has_preamble:
        group_2 = bytes(PREAMBLE_LENGTH) + group_2[PREAMBLE_LENGTH:]
    new = incoming.create(folder, statuses)
    try:
        write = partial(write_whole, new.descriptor)
        write(group_2)
        write_changed(write, descriptor, meta, changes, record, value_representations)
        if sign_anew is not None:
            changed = (*changes, tags.ORIGINAL_ATTRIBUTES_SEQUENCE)
            sign_anew(descriptor, new.descriptor, changed, record.date_time)
    except BaseException:
        new.discard(folder)
        raise
    return new


def write_changed(
    write: Callable[[bytes], None],
    descriptor: int,
    meta: FileMeta,
    changes: Mapping[int, bytes | None],
    record: ChangeRecord,
    value_representations: Mapping[int, str] = MappingProxyType({}),
    unrecorded: Mapping[int, bytes | None] = MappingProxyType({}),
) -> None:
    """The data set of the file, with `changes` of its top level and a record of what was there.

    `unrecorded` are changes that hide nothing, as what is added. `value_representations` are those
    of changes that `agent.dataset.tags` does not know. Memory: the head up to (0400,0561), and a
    block of 1 MiB. Raises PeerError where the data set is damaged, OSError where a disk fails.
    """
    syntax = meta.encoding
    source = decoded(FileBytes(descriptor, meta.data_set_offset), syntax)
    plain = encoding_of(EXPLICIT_VR_LITTLE_ENDIAN) if syntax.deflated else syntax
    # What was signed and is changed has no right signature any more (PS3.15 A.2).
    touched = {*changes, *unrecorded, tags.ORIGINAL_ATTRIBUTES_SEQUENCE}
    source = without_broken_signatures(source, plain, touched)
    head = scan_head(source, plain, frozenset(changes))
    vrs = {**value_representations, **head.vrs}
    recorded = _record(source, plain, head.values, vrs, changes, record) if changes else None
    new_head, resume = rewrite_head(
        source,
        plain,
        {
            **changes,
            **unrecorded,
            **({} if recorded is None else {tags.ORIGINAL_ATTRIBUTES_SEQUENCE: recorded}),
        },
        value_representations={**value_representations, tags.ORIGINAL_ATTRIBUTES_SEQUENCE: "SQ"},
    )
    rest = _blocks(source, resume)
    if syntax.deflated:
        _deflate(write, new_head, rest)
    else:
        write(new_head)
        for block in rest:
            write(block)


def digest(descriptor: int, offset: int) -> bytes:
    """SHA-256 of the file from `offset` on. Raises OSError."""
    import hashlib  # loads OpenSSL, which an archive that changes nothing does not need

    hashed = hashlib.sha256()
    while block := os.pread(descriptor, _BLOCK, offset):
        hashed.update(block)
        offset += len(block)
    return hashed.digest()


def items_of(source: ByteSource, syntax: TransferSyntax, sequence: int) -> bytes | None:
    """The items of a sequence of the top level, encoded; None when it is no plain sequence."""
    start = -1
    for event in elements(source, syntax):
        tag = getattr(event, "tag", 0)
        if start >= 0:
            if isinstance(event, SequenceEnd) and event.depth == 0:
                # The event stands behind the Sequence Delimitation Item.
                return read_exactly(source, start, event.offset - 8 - start)
        elif getattr(event, "depth", 1) or tag < sequence:
            continue
        elif tag > sequence:
            break
        elif not isinstance(event, SequenceStart) or event.vr != "SQ":
            return None
        elif event.length != UNDEFINED_LENGTH:
            return read_exactly(source, event.value_offset, event.length)
        else:
            start = event.value_offset
    return b""


def _record(
    source: ByteSource,
    syntax: TransferSyntax,
    values: Mapping[int, bytes],
    vrs: Mapping[int, str],
    changes: Mapping[int, bytes | None],
    record: ChangeRecord,
) -> bytes | None:
    """The new value of the Original Attributes Sequence; None to leave the one that is there."""
    before = items_of(source, syntax, tags.ORIGINAL_ATTRIBUTES_SEQUENCE)
    if before is None:
        return None
    old = b"".join(
        encode_element(
            tag,
            vrs.get(tag, tags.known_value_representation(tag)),
            values.get(tag, b""),
            syntax,
        )
        for tag in sorted(changes)
    )
    modified = item_header(len(old), syntax.little_endian) + old
    item = encode_element(_MODIFIED_ATTRIBUTES_SEQUENCE, "SQ", modified, syntax)
    for tag, vr, text in (
        (_ATTRIBUTE_MODIFICATION_DATE_TIME, "DT", record.date_time),
        (_MODIFYING_SYSTEM, "LO", record.modifying_system),
        (_SOURCE_OF_PREVIOUS_VALUES, "LO", record.source_of_previous_values),
        (_REASON_FOR_THE_ATTRIBUTE_MODIFICATION, "CS", record.reason),
    ):
        item += encode_element(tag, vr, text.encode("ascii", "replace")[:64], syntax)
    return before + item_header(len(item), syntax.little_endian) + item


def _blocks(source: ByteSource, position: int) -> Iterator[bytes]:
    while block := source.read(position, _BLOCK):
        position += len(block)
        yield block


def _deflate(write: Callable[[bytes], None], head: bytes, rest: Iterator[bytes]) -> None:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    length = 0
    for block in chain((head,), rest):
        piece = deflater.compress(block)
        length += len(piece)
        write(piece)
    piece = deflater.flush()
    # PS3.5 A.5: a byte of zero makes an odd stream even.
    write(piece + b"\0" * ((length + len(piece)) % 2))
