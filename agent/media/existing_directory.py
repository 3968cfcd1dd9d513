"""Taking over the directory of a file-set that is to be updated (PS3.4 I.3.3, PS3.10 8.6).

Every record is copied as bytes, icons, private keys and records of unknown types too; only what
holds offsets is made anew.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from agent.dataset import tags
from agent.dataset.byte_source import FileBytes
from agent.dataset.element_header import read_element_header
from agent.dataset.head import skip_sequence
from agent.dataset.reader import read_exactly
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.dataset.window import Window
from agent.errors import PeerError, StorageError
from agent.media.directory_file import BrokenLink, DirectoryFile, Record
from agent.media.directory_records import LEVELS
from agent.media.directory_writer import ROOT_ENTITY, DirectoryTree
from agent.media.extra_keys import recounted
from agent.media.file_ids import DICOMDIR, FileNames, open_file
from agent.media.opening import is_secure
from agent.quoting import quoted

LONGEST_RECORD = 4 << 20
"""Bytes of one record that is copied."""
LONGEST_REST = 1 << 20
"""Bytes before and after the records."""

_OFFSETS = frozenset(
    (
        0x00040000,
        tags.OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY,
        tags.OFFSET_OF_THE_LAST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY,
        tags.FILE_SET_CONSISTENCY_FLAG,
        tags.OFFSET_OF_THE_NEXT_DIRECTORY_RECORD,
        tags.RECORD_IN_USE_FLAG,
        tags.OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY,
    )
)
_NO_COUNT = 0xFFFFFFFE
# Digital signatures do not hold any more, and padding has no meaning.
_FIRST_TRAILING = 0xFFFA0000
_IDENTITY_KEYS = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
}


@dataclass(slots=True)
class ExistingDirectory:
    """What an updater must know of the directory that is there.

    `nodes` finds the record of an entity below a node by its identity, `known` has the hashes of
    the SOP Instance UIDs, `doomed` the files of the `deleted` records that were left out.
    """

    name: str
    sop_instance_uid: str
    more: bytes
    after: bytes
    nodes: dict[tuple[int, str], int] = field(default_factory=dict)
    patient_of_study: dict[str, int] = field(default_factory=dict)
    known: set[int] = field(default_factory=set)
    doomed: tuple[str, ...] = ()
    deleted: int = 0


def loaded(folder: Path, tree: DirectoryTree, without: frozenset[str]) -> ExistingDirectory:
    """Copy the records of the DICOMDIR in `folder` into an empty tree, but for these instances.

    Raises StorageError where the directory cannot be updated.
    """
    names = FileNames(folder)
    name = names.real_name(DICOMDIR)
    if name is None:
        raise StorageError(
            f"{quoted(folder)} has no DICOMDIR.",
            value=str(folder),
            way_out="Create a file-set there.",
        )
    try:
        descriptor = open_file(folder / name)
    except OSError as error:
        raise StorageError(
            f"{quoted(name)} cannot be read: {error.strerror}.", value=str(folder)
        ) from error
    try:
        if is_secure(descriptor):
            # Who made it knows who else must be able to open it; we do not.
            raise _untouched("it is a Secure DICOM file")
        return _Loading(DirectoryFile(descriptor), names, tree, without).run(name)
    except PeerError as error:
        raise _untouched(error.message.marked.rstrip(".")) from error
    finally:
        os.close(descriptor)


def _untouched(reason: str) -> StorageError:
    return StorageError(
        f"The DICOMDIR is not updated: {reason}.",
        clause="PS3.4 I.3.3",
        way_out="Import what is on the medium, and make a new file-set of it.",
    )


class _Loading:
    def __init__(
        self,
        directory: DirectoryFile,
        names: FileNames,
        tree: DirectoryTree,
        without: frozenset[str],
    ) -> None:
        self._directory = directory
        self._names = names
        self._tree = tree
        self._without = without
        self._source = FileBytes(directory.descriptor)

    def run(self, name: str) -> ExistingDirectory:
        meta, information = self._directory.meta, self._directory.information
        if information.sequence_offset is None:
            raise _untouched("it has no Directory Information Module")
        if meta.encoding_uid != EXPLICIT_VR_LITTLE_ENDIAN:
            raise _untouched("it is not in Explicit VR Little Endian")
        before = self._kept(meta.data_set_offset, information.sequence_offset)
        found = ExistingDirectory(
            name=name,
            sop_instance_uid=meta.media_storage_sop_instance_uid,
            more=before,
            after=self._kept(self._end_of_records(information.sequence_offset), None),
        )
        nodes: list[tuple[int, int]] = []
        doomed: list[str] = []
        for each in self._directory.records():
            if isinstance(each, BrokenLink):
                raise _untouched(f"{quoted(each.reason)}")
            above, record = each
            del nodes[len(above) :]
            parent = nodes[-1][1] if nodes else ROOT_ENTITY
            if record.multi_referenced_offset or record.kind == "MRDR":
                raise _untouched("it has Multi-Referenced File Directory Records")
            if parent < 0 or (record.file_id and record.sop_instance_uid in self._without):
                # What stands below a record that goes, goes as well.
                if record.file_id:
                    found.deleted += 1
                    doomed.extend(self._file_of(record))
                if parent >= 0:
                    self._tree.lost_below(parent)
                nodes.append((record.offset, -1))
                continue
            node = self._take(parent, record, found)
            nodes.append((record.offset, node))
        found.doomed = tuple(doomed)
        return found

    def _take(self, parent: int, record: Record, found: ExistingDirectory) -> int:
        content, counts = self._content(record)
        node = self._tree.add(parent, content, recounted if counts else None)
        if record.kind in LEVELS:
            identity = record.keys.get(_IDENTITY_KEYS[record.kind], "")
            if record.kind == "STUDY" and not identity:
                identity = record.sop_instance_uid
            found.nodes.setdefault((parent, identity), node)
            if record.kind == "STUDY":
                found.patient_of_study.setdefault(identity, parent)
        elif record.sop_instance_uid:
            found.known.add(hash(record.sop_instance_uid))
        return node

    def _file_of(self, record: Record) -> list[str]:
        name = self._names.real_name(record.file_id)
        return [] if name is None else [name]

    def _content(self, record: Record) -> tuple[bytes, bool]:
        """The record without its links, and whether it has counts that an update makes wrong."""
        length = int.from_bytes(read_exactly(self._source, record.offset + 4, 4), "little")
        start = record.offset + 8
        end = None if length == UNDEFINED_LENGTH else start + length
        raw = self._elements(start, end, LONGEST_RECORD)
        return raw, record.kind in ("STUDY", "SERIES") and _counts(raw)

    def _kept(self, start: int, end: int | None) -> bytes:
        return self._elements(start, end, LONGEST_REST)

    def _elements(self, start: int, end: int | None, limit: int) -> bytes:
        """The bytes of the elements from `start` to `end`, or to what ends an item or the file."""
        window = Window(self._source, 2 * limit, 4096)
        position = start
        kept: list[bytes] = []
        while end is None or position < end:
            header = read_element_header(window, position, True, True)
            if header is None or header.tag >> 16 == 0xFFFE:
                break
            if header.length == UNDEFINED_LENGTH:
                after = skip_sequence(window, header.value_offset, header.vr != "UN", True)
            else:
                after = header.value_offset + header.length
            if after - start > limit:
                raise _untouched("it has a record that is too long")
            if header.tag not in _OFFSETS and header.tag < _FIRST_TRAILING:
                kept.append(read_exactly(self._source, position, after - position))
            position = after
        return b"".join(kept)

    def _end_of_records(self, offset: int) -> int:
        window = Window(self._source, 1 << 32, 65536)
        header = read_element_header(window, offset, True, True)
        if header is None:
            raise _untouched("it ends before its records")
        if header.length == UNDEFINED_LENGTH:
            return skip_sequence(window, header.value_offset, True, True)
        return header.value_offset + header.length


def _counts(content: bytes) -> bool:
    return recounted(content, _NO_COUNT, _NO_COUNT) != content
