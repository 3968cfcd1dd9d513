"""Reading a medium as a File-set Reader (PS3.4 I.2.2, PS3.10 8): the instances that are on it.

With a DICOMDIR the file-set is what the directory says, and other files on the medium are not part
of it. Without one, or with one that cannot be read, it is what lies there.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Container, Iterator
from pathlib import Path

from agent.dataset.sop_classes import MEDIA_STORAGE_DIRECTORY
from agent.errors import GantryError, PeerError, StorageError
from agent.media.directory_file import BrokenLink, DirectoryFile, Record
from agent.media.directory_records import LEVELS, RECORD_TYPES, RETIRED
from agent.media.examining import Examined, examined
from agent.media.file_ids import DICOMDIR, comparable
from agent.media.found import Damage, FoundInstance
from agent.media.opening import NO_OPENER, Opener
from agent.media.tree import Tree
from agent.media.tree_opening import tree_of

_PREFIX_END = 132
_KNOWN = RETIRED | RECORD_TYPES.keys()


def found_in(
    root: Path | Tree, *, open_files: bool = True, opener: Opener = NO_OPENER
) -> Iterator[FoundInstance | Damage]:
    """The instances of the file-set below `root`, and all damage that is seen on the way; `root` is
    a folder, a ZIP file, a mail, or a tree that is open, which has an opener of its own.

    Damage of a file comes before its instance. Without `open_files` the directory alone is asked,
    and whether its files are there: that is quick, and a file that is not what its record says goes
    unseen. Keys are the records', completed by the file's. Where the links of the directory are
    broken, or none of its files is there, what no record led to is looked for in the folders.

    Secure DICOM files are opened with the keys of `opener`; one that cannot be is damage.

    Memory: a record for each level of the directory, a bit for each 16 bytes of the DICOMDIR, eight
    bytes for each instance (sixty when links are broken), and the names of one folder: one to two
    MiB for 100,000 instances. Raises StorageError when `root` itself cannot be read.
    """
    if not isinstance(root, Path):
        yield from _found_in(root, open_files)
        return
    tree = tree_of(root, opener)
    try:
        yield from _found_in(tree, open_files)
    finally:
        tree.close()


def _found_in(tree: Tree, open_files: bool) -> Iterator[FoundInstance | Damage]:
    directory = tree.real_name(DICOMDIR)
    if directory is None:
        yield from walk(tree)
        return
    try:
        descriptor = tree.open(directory)
    except (OSError, GantryError) as error:
        yield _unopened(directory, error)
        yield from walk(tree)
        return
    try:
        yield from _Directory(tree, directory).found(descriptor, open_files)
    finally:
        os.close(descriptor)


def walk(
    root: Path | Tree, without: Container[int] = frozenset()
) -> Iterator[FoundInstance | Damage]:
    """The instances in all files, whatever a DICOMDIR says, in the order of names or of an archive.

    `without` are hashes of names that are known already. What is no DICOM is passed over in
    silence.
    """
    tree = tree_of(root) if isinstance(root, Path) else root
    for file in tree.files():
        if isinstance(file, Damage):
            yield file
        elif comparable(file) != DICOMDIR and hash(file) not in without:
            yield from _examined_file(tree, file)


class _Directory:
    """The file-set that a DICOMDIR describes."""

    def __init__(self, tree: Tree, name: str) -> None:
        self._tree = tree
        self._name = name
        self._missing = 0

    def found(self, descriptor: int, open_files: bool) -> Iterator[FoundInstance | Damage]:
        try:
            directory = DirectoryFile(descriptor)
        except (PeerError, StorageError) as error:
            yield Damage(self._name, f"it cannot be read as a directory: {error.message}")
            yield from walk(self._tree)
            return
        if directory.information.sequence_offset is None:
            # A DICOMDIR need not have a Directory Information Module (PS3.4 I.3.2 d).
            yield from walk(self._tree)
            return
        known = array("q")
        is_broken = False
        for each in directory.records():
            if isinstance(each, BrokenLink):
                is_broken = True
                yield Damage(self._name, each.reason)
                continue
            above, record = each
            for found in self._of_record(directory, above, record, open_files):
                known.append(hash(found.file))
                yield found
        if is_broken or 0 < len(known) == self._missing:
            # Links that lead nowhere; or files that all have other names, as in some mails.
            yield from walk(self._tree, frozenset(known) if is_broken else frozenset())

    def _of_record(
        self,
        directory: DirectoryFile,
        above: tuple[Record, ...],
        record: Record,
        open_files: bool,
    ) -> Iterator[FoundInstance | Damage]:
        if record.kind in LEVELS or record.kind not in _KNOWN:
            # A reader may ignore the types that it does not know (PS3.4 I.3.2 d).
            return
        referring = record
        if not record.file_id and record.multi_referenced_offset:
            try:
                referring = directory.record_at(record.multi_referenced_offset)
            except (PeerError, StorageError) as error:
                yield Damage(self._name, error.message)
                return
        where = f"the {record.kind} record at byte {record.offset}"
        if not referring.file_id:
            yield Damage(self._name, f"{where} refers to no file")
            return
        try:
            file = self._tree.real_name(referring.file_id)
        except StorageError as error:
            yield Damage(referring.file_id.replace("\\", "/"), error.message)
            return
        if file is None:
            self._missing += 1
            yield Damage(
                referring.file_id.replace("\\", "/"),
                f"the file that {where} refers to is not there",
            )
            return
        keys: dict[str, str] = {}
        for each in (*above, record):
            keys.update(each.keys)
            if each.kind == "STUDY" and each.sop_instance_uid:
                # The key that old directories have instead (PS3.3 F.5.2).
                keys.setdefault("StudyInstanceUID", each.sop_instance_uid)
        if not open_files:
            yield FoundInstance(
                file,
                referring.sop_class_uid,
                referring.sop_instance_uid,
                referring.transfer_syntax_uid,
                keys,
            )
            return
        yield from _examined_file(self._tree, file, referring, keys)


def _unopened(file: str, error: OSError | GantryError) -> Damage:
    if isinstance(error, GantryError):
        return Damage(file, error.message)
    return Damage(file, f"it cannot be read: {error.strerror}")


def _examined_file(
    tree: Tree,
    file: str,
    record: Record | None = None,
    keys: dict[str, str] | None = None,
) -> Iterator[FoundInstance | Damage]:
    """The instance in a file. Without a record, a file that is no DICOM is none of our business."""
    try:
        descriptor = tree.open(file)
    except (OSError, GantryError) as error:
        yield _unopened(file, error)
        return
    try:
        found = examined(descriptor)
    except (PeerError, StorageError) as error:
        unreadable = isinstance(error.value, OSError)
        if record is not None or unreadable or _has_prefix(descriptor):
            yield Damage(file, error.message)
        return
    finally:
        os.close(descriptor)
    if record is None and found.sop_class_uid == MEDIA_STORAGE_DIRECTORY:
        return  # of another file-set, or one that was being written
    if not found.sop_instance_uid or not found.sop_class_uid:
        if record is not None or found.meta.has_preamble:
            yield Damage(file, "it has no SOP Class UID or no SOP Instance UID")
        return
    for remark in found.remarks:
        yield Damage(file, remark)
    yield from _held_against(record, file, found, keys or {})


def _held_against(
    record: Record | None, file: str, found: Examined, keys: dict[str, str]
) -> Iterator[FoundInstance | Damage]:
    merged = {**found.keys, **keys}
    if record is not None and record.sop_instance_uid not in ("", found.sop_instance_uid):
        yield Damage(
            file,
            f"the directory says that its SOP Instance UID is {record.sop_instance_uid}, "
            f"but it is {found.sop_instance_uid}",
        )
        # What the directory says of another object must not be said of this one.
        merged = found.keys
    yield FoundInstance(
        file,
        found.sop_class_uid,
        found.sop_instance_uid,
        found.transfer_syntax_uid,
        merged,
        not found.cut,
    )


def _has_prefix(descriptor: int) -> bool:
    try:
        return os.pread(descriptor, _PREFIX_END, 0)[128:] == b"DICM"
    except OSError:
        return False
