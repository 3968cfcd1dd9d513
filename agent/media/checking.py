"""What can be said against a file-set: `gantry media check`.

Offsets, flags, File IDs, keys and files are held against PS3.10 8 and PS3.3 annex F. Where
`agent.media.reading` reads on in spite of a fault, this names it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agent.dataset import tags
from agent.dataset.byte_source import FileBytes
from agent.dataset.head import Head, scan_head
from agent.dataset.sop_classes import MEDIA_STORAGE_DIRECTORY
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from agent.errors import GantryError, PeerError, StorageError
from agent.media.directory_file import BrokenLink, DirectoryFile, Record
from agent.media.directory_records import RECORD_TYPES, RETIRED, ROOT, record_type_of
from agent.media.file_ids import DICOMDIR, fault_of, is_file_set_id
from agent.media.found import Damage
from agent.media.opening import NO_OPENER, Opener
from agent.media.reading import found_in
from agent.media.tree import PackedTree, Tree
from agent.media.tree_opening import tree_of

_UNIQUE = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID"}
_KEY_TAGS = {
    name: tuple((key, tags.from_text(key.keyword)) for key in row.keys if key.type in ("1", "2"))
    for name, row in RECORD_TYPES.items()
}


class Fault(NamedTuple):
    """What is wrong with a file or with the directory; the clause that says so, if one does."""

    file: str
    reason: str
    clause: str = ""


def check(root: Path, opener: Opener = NO_OPENER) -> Iterator[Fault]:
    """All faults of the file-set below `root`.

    Every file is opened, a Secure DICOM file with the keys of `opener`, and its head read. Memory:
    that of `found_in`, and the identities of patients, studies and series. Raises StorageError
    where `root` is no folder, no ZIP file and no mail, or is damaged as a whole.
    """
    tree = tree_of(root, opener)
    try:
        yield from _of_tree(tree)
    finally:
        tree.close()


def _of_tree(tree: Tree) -> Iterator[Fault]:
    name = tree.real_name(DICOMDIR)
    if name is None:
        yield Fault(DICOMDIR, "there is none", "PS3.10 8.6")
    else:
        yield from _of_directory(tree, name)
    # With a directory to follow, nobody asks for all files of an archive.
    faults = tree.faults if isinstance(tree, PackedTree) else ()
    yield from (Fault(each.file, each.reason) for each in faults)
    told = {each.file for each in faults}
    for each in found_in(tree):
        if isinstance(each, Damage) and each.file not in told:
            yield Fault(each.file, each.reason)


def _of_directory(tree: Tree, name: str) -> Iterator[Fault]:
    try:
        descriptor = tree.open(name)
    except (OSError, GantryError):
        return  # found_in says it
    try:
        checking = _Checking(DirectoryFile(descriptor), name)
    except (PeerError, StorageError):
        return
    else:
        yield from checking.faults()
    finally:
        os.close(descriptor)


class _Checking:
    def __init__(self, directory: DirectoryFile, name: str) -> None:
        self._directory = directory
        self._name = name
        self._identities: dict[tuple[str, str], int] = {}
        self._last_of_root = 0

    def faults(self) -> Iterator[Fault]:
        """Those of the directory itself; broken links and files are left to `found_in`."""
        yield from self._of_head()
        for each in self._directory.records():
            if isinstance(each, BrokenLink):
                continue
            above, record = each
            if not above:
                self._last_of_root = record.offset
            yield from self._of_record(above, record)
        information = self._directory.information
        if information.sequence_offset is not None and (
            information.last_offset != self._last_of_root
        ):
            yield self._fault(
                f"Offset of the Last Directory Record of the Root Directory Entity is "
                f"{information.last_offset}, the last record is at {self._last_of_root}",
                "PS3.3 F.3.2.2",
            )

    def _fault(self, reason: str, clause: str) -> Fault:
        return Fault(self._name, reason, clause)

    def _of_head(self) -> Iterator[Fault]:
        meta, information = self._directory.meta, self._directory.information
        if meta.foreign_preamble:
            yield self._fault("the preamble is neither empty nor a TIFF file's", "PS3.10 7.1")
        for remark in meta.remarks:
            yield self._fault(remark, "PS3.10 7.1")
        if meta.media_storage_sop_class_uid != MEDIA_STORAGE_DIRECTORY:
            yield self._fault(
                f"its class is {meta.media_storage_sop_class_uid or 'missing'}", "PS3.10 8.6"
            )
        if meta.transfer_syntax_uid != EXPLICIT_VR_LITTLE_ENDIAN:
            yield self._fault("it is not in Explicit VR Little Endian", "PS3.10 8.6")
        if information.consistency_flag:
            yield self._fault(
                f"File-set Consistency Flag is {information.consistency_flag:04X}H", "PS3.3 F.3.2.2"
            )
        if not is_file_set_id(information.file_set_id):
            yield self._fault(f"File-set ID is {information.file_set_id!r}", "PS3.10 8.5")

    def _of_record(self, above: tuple[Record, ...], record: Record) -> Iterator[Fault]:
        where = f"the {record.kind or 'nameless'} record at byte {record.offset}"
        row = RECORD_TYPES.get(record.kind)
        if row is None:
            if record.kind not in RETIRED and record.kind != "PRIVATE":
                yield self._fault(f"{where} is of no type of the standard", "PS3.3 F.4")
            return
        parent = above[-1].kind if above else ROOT
        if parent != row.parent and parent in ("", *RECORD_TYPES):
            yield self._fault(f"{where} stands below {parent or 'the root'}", "PS3.3 F.4")
        yield from self._of_keys(where, record)
        yield from self._of_reference(where, record)
        keyword = _UNIQUE.get(record.kind)
        if keyword is not None and record.keys.get(keyword):
            identity = (record.kind, record.keys[keyword])
            first = self._identities.setdefault(identity, record.offset)
            if first != record.offset:
                yield self._fault(
                    f"{where} has the {keyword} of the one at byte {first}", f"PS3.3 {row.clause}"
                )

    def _of_keys(self, where: str, record: Record) -> Iterator[Fault]:
        row = RECORD_TYPES[record.kind]
        try:
            head = self._head_of(record)
        except PeerError as error:
            yield self._fault(f"{where} cannot be read to its end: {error.message}", "PS3.5 7")
            return
        for key, tag in _KEY_TAGS[record.kind]:
            if key.keyword == "StudyInstanceUID" and record.sop_instance_uid:
                continue
            value = head.values.get(tag)
            # A sequence of undefined length is passed over by the scan: it is there.
            if tag not in head.values and not _is_sequence(tag):
                yield self._fault(f"{where} has no {key.keyword}", f"PS3.3 {row.clause}")
            elif key.type == "1" and value is not None and not value.strip(b"\0 "):
                yield self._fault(f"{key.keyword} is empty in {where}", f"PS3.3 {row.clause}")

    def _head_of(self, record: Record) -> Head:
        wanted = frozenset(tag for _, tag in _KEY_TAGS[record.kind])
        raw = FileBytes(self._directory.descriptor).read(record.offset + 4, 4)
        order = self._directory.meta.encoding.little_endian
        length = int.from_bytes(raw, "little" if order else "big")
        source = FileBytes(
            self._directory.descriptor,
            record.offset + 8,
            None if length == 0xFFFFFFFF else length,
        )
        return scan_head(source, self._directory.meta.encoding, wanted, limit=1024)

    def _of_reference(self, where: str, record: Record) -> Iterator[Fault]:
        if not record.file_id:
            return
        fault = fault_of(record.file_id)
        if fault:
            yield self._fault(f"the File ID of {where} is wrong: {fault}", "PS3.10 8.2")
        for value, name in (
            (record.sop_class_uid, "Referenced SOP Class UID in File"),
            (record.sop_instance_uid, "Referenced SOP Instance UID in File"),
            (record.transfer_syntax_uid, "Referenced Transfer Syntax UID in File"),
        ):
            if not value:
                yield self._fault(f"{where} has no {name}", "PS3.3 F.3.2.2")
        fitting = record_type_of(record.sop_class_uid)
        if fitting is not None and fitting.name != record.kind:
            yield self._fault(
                f"{where} refers to an object that needs a {fitting.name} record",
                f"PS3.3 {fitting.clause}",
            )


def _is_sequence(tag: int) -> bool:
    return tags.dictionary_value_representation(tag) == "SQ"
