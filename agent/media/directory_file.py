"""Reading a DICOMDIR (PS3.3 F.3): its records by their offsets, one at a time.

Offsets count from the first byte of the file. A record tells where the next one of its entity is,
and where the first one of the entity below it. A damaged directory is read as far as it goes; what
is wrong is said, and nothing goes in circles.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from agent.dataset import tags
from agent.dataset.byte_source import FileBytes
from agent.dataset.character_set import decode_text
from agent.dataset.file_meta import FileMeta, read_file_meta
from agent.dataset.head import scan_head
from agent.errors import PeerError, StorageError
from agent.media.found import KEYS

KEY_TAGS = {tags.from_text(keyword): keyword for keyword in KEYS}
"""The keys of `FoundInstance`, by tag."""

MULTI_REFERENCED_OFFSET = 0x00041504
"""Offset of a Multi-Referenced File Directory Record (retired): old discs have it."""

DEEPEST = 16
"""Entities below each other; Table F.4-1 makes four, and private records may add some."""
SMALLEST_RECORD = 16
"""Bytes: an item without the elements that every record has (PS3.3 Table F.3-3) is half of it."""

_LINKS = frozenset(
    (
        tags.OFFSET_OF_THE_NEXT_DIRECTORY_RECORD,
        tags.RECORD_IN_USE_FLAG,
        tags.OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY,
        tags.DIRECTORY_RECORD_TYPE,
        tags.REFERENCED_FILE_ID,
        MULTI_REFERENCED_OFFSET,
        tags.REFERENCED_SOP_CLASS_UID_IN_FILE,
        tags.REFERENCED_SOP_INSTANCE_UID_IN_FILE,
        tags.REFERENCED_TRANSFER_SYNTAX_UID_IN_FILE,
    )
)
_WANTED = _LINKS | {tags.SPECIFIC_CHARACTER_SET} | frozenset(KEY_TAGS)
_INFORMATION = frozenset(
    (
        tags.FILE_SET_ID,
        tags.OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY,
        tags.OFFSET_OF_THE_LAST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY,
        tags.FILE_SET_CONSISTENCY_FLAG,
    )
)


@dataclass(frozen=True, slots=True)
class Record:
    """One Directory Record: `offset` is where its item starts; other offsets are 0 for none.

    `keys` has those of `KEYS` that are in this record, decoded.
    """

    offset: int
    kind: str
    next_offset: int
    lower_offset: int
    is_in_use: bool
    file_id: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    multi_referenced_offset: int
    keys: dict[str, str]


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """An offset at which there is no record, or one that was there before; why, in a sentence."""

    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class Information:
    """The File-set Identification and Directory Information Modules (PS3.3 F.3.2).

    `sequence_offset` is where the Directory Record Sequence stands in the file, None where there is
    no Directory Information Module.
    """

    file_set_id: str
    first_offset: int
    last_offset: int
    consistency_flag: int
    sequence_offset: int | None


class DirectoryFile:
    """An open DICOMDIR.

    Raises StorageError when it is no DICOM file, PeerError when its head cannot be parsed. Memory:
    a record of the walk for each level, and a bit for each 16 bytes of the file, which is 40 KiB
    for ten thousand instances.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.meta: FileMeta = read_file_meta(descriptor)
        self.size = os.fstat(descriptor).st_size
        self._syntax = self.meta.encoding
        self.information = self._read_information()

    def _read_information(self) -> Information:
        source = FileBytes(self.descriptor, self.meta.data_set_offset)
        head = scan_head(source, self._syntax, _INFORMATION, limit=1024)
        order = self._syntax.little_endian

        def number(tag: int) -> int:
            return int.from_bytes(head.values.get(tag, b""), "little" if order else "big")

        tag = source.read(head.end_offset, 4)
        expected = (0x0004, 0x1220)
        found = tuple(
            int.from_bytes(tag[start : start + 2], "little" if order else "big") for start in (0, 2)
        )
        return Information(
            file_set_id=_plain(head.values.get(tags.FILE_SET_ID, b"")),
            first_offset=number(
                tags.OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY
            ),
            last_offset=number(
                tags.OFFSET_OF_THE_LAST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY
            ),
            consistency_flag=number(tags.FILE_SET_CONSISTENCY_FLAG),
            sequence_offset=(
                self.meta.data_set_offset + head.end_offset if found == expected else None
            ),
        )

    def record_at(self, offset: int) -> Record:
        """The record whose item starts at `offset`. Raises PeerError where there is none."""
        begin = self.information.sequence_offset
        order = "little" if self._syntax.little_endian else "big"
        head = FileBytes(self.descriptor).read(offset, 8)
        item = b"\xfe\xff\x00\xe0" if self._syntax.little_endian else b"\xff\xfe\xe0\x00"
        if begin is None or offset < begin or len(head) < 8 or head[:4] != item:
            raise PeerError(
                f"At byte {offset} there is no Directory Record.",
                clause="PS3.3 F.2.2.2",
                value=offset,
            )
        length = int.from_bytes(head[4:], "little" if order == "little" else "big")
        stated = None if length == 0xFFFFFFFF else length
        if stated is not None and offset + 8 + stated > self.size:
            raise PeerError(
                f"The Directory Record at byte {offset} goes on beyond the end of the file.",
                clause="PS3.3 F.2.2.2",
                value=stated,
            )
        source = FileBytes(self.descriptor, offset + 8, stated)
        found = scan_head(source, self._syntax, _WANTED, limit=1024)
        return _record(offset, found.values, self._syntax.little_endian)

    def records(self) -> Iterator[tuple[tuple[Record, ...], Record] | BrokenLink]:
        """Each record in use with those above it, from the root down; and each broken link.

        What is not in use is left out with all that is below it (PS3.3 Table F.3-3).
        """
        seen = bytearray(self.size // (8 * SMALLEST_RECORD) + 1)
        pending = [self.information.first_offset]
        above: list[Record] = []
        while pending:
            offset = pending[-1]
            if not offset:
                pending.pop()
                if above:
                    above.pop()
                continue
            pending[-1] = 0
            cell, bit = divmod(offset // SMALLEST_RECORD, 8)
            if cell < len(seen) and seen[cell] & 1 << bit:
                yield BrokenLink(offset, f"The record at byte {offset} is referred to twice.")
                continue
            try:
                record = self.record_at(offset)
            except (PeerError, StorageError) as error:
                yield BrokenLink(offset, error.message)
                continue
            seen[cell] |= 1 << bit
            pending[-1] = record.next_offset
            if not record.is_in_use:
                continue
            yield tuple(above), record
            if record.lower_offset and len(above) >= DEEPEST:
                yield BrokenLink(record.lower_offset, "Its records are nested too deeply.")
            elif record.lower_offset:
                pending.append(record.lower_offset)
                above.append(record)


def _plain(raw: bytes) -> str:
    return os.fsdecode(raw.strip(b"\0 "))


def _record(offset: int, values: dict[int, bytes], little_endian: bool) -> Record:
    charset = values.get(tags.SPECIFIC_CHARACTER_SET, b"")

    def number(tag: int, default: int = 0) -> int:
        raw = values.get(tag)
        return int.from_bytes(raw, "little" if little_endian else "big") if raw else default

    def text(tag: int) -> str:
        return _plain(values.get(tag, b""))

    return Record(
        offset=offset,
        kind=text(tags.DIRECTORY_RECORD_TYPE),
        next_offset=number(tags.OFFSET_OF_THE_NEXT_DIRECTORY_RECORD),
        lower_offset=number(tags.OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY),
        is_in_use=number(tags.RECORD_IN_USE_FLAG, 0xFFFF) != 0,
        file_id=text(tags.REFERENCED_FILE_ID),
        sop_class_uid=text(tags.REFERENCED_SOP_CLASS_UID_IN_FILE),
        sop_instance_uid=text(tags.REFERENCED_SOP_INSTANCE_UID_IN_FILE),
        transfer_syntax_uid=text(tags.REFERENCED_TRANSFER_SYNTAX_UID_IN_FILE),
        multi_referenced_offset=number(MULTI_REFERENCED_OFFSET),
        keys=decoded_keys(values, charset),
    )


def decoded_keys(values: dict[int, bytes], character_set: bytes) -> dict[str, str]:
    """The keys of `FoundInstance` that are among these values, as text."""
    found = {}
    for tag, keyword in KEY_TAGS.items():
        raw = values.get(tag)
        if raw:
            vr = tags.dictionary_value_representation(tag)
            text = decode_text(raw, vr, character_set)
            stripped = "\\".join(part.strip(" \0") for part in text.split("\\"))
            if stripped:
                found[keyword] = stripped
    return found
