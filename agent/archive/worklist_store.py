"""The worklist entries that we answer from: files in a folder (PS3.4 K).

A folder holds entries as DICOM files (`.wl`, `.dcm`) or as JSON (`.json`, PS3.18 F: one entry or an
array). Those in a subfolder named as an application entity are for queries that call this entity
only, which is how DCMTK's wlmscpfs lays them out, its `lockfile` included. Our own entries are JSON
files, written whole, so that any tool can add one.

Everything here blocks and runs in a worker, which keeps what it read while the files do not change.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from agent.archive.matching import Matching
from agent.archive.matching_rules import MatchingRules
from agent.archive.worklist_entry import (
    REQUIRED,
    REQUIRED_OF_STEP,
    STEP,
    STEP_ID,
    STEP_STATUS,
    WorklistPage,
)
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import (
    decode_attributes,
    encode_attributes,
    with_character_set,
)
from agent.dataset.file_meta import read_file_meta
from agent.dataset.json_model import from_json, to_json
from agent.dataset.tags import format_tag, keyword_of
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from agent.dataset.whole_write import replace_file
from agent.errors import GantryError, LocalError, StorageError
from agent.quoting import Sentence, quoted
from hal.beneath import open_beneath

LOCK_FILE = "lockfile"
LARGEST_FILE = 1 << 20
MOST_ENTRIES = 20_000
MOST_BYTES = 32 << 20
"""Of files that are remembered: their attributes take some ten times as much."""

_PATIENCE = 5.0
_FINAL = frozenset(("COMPLETED", "DISCONTINUED"))
_SYNTAX = TRANSFER_SYNTAXES[EXPLICIT_VR_LITTLE_ENDIAN]


_bytes_read = 0
_read: dict[str, tuple[tuple[int, int], list[Attributes], tuple[str, ...]]] = {}


def find_entries(
    folder: str,
    called_title: str,
    identifier: bytes,
    rules: MatchingRules,
    after: int = 0,
    limit: int = 50,
) -> WorklistPage:
    """Entries for this called AE title that match, from the `after`-th on.

    `identifier` is an explicit little endian data set. Each scheduled procedure step of an entry is
    an entry of its own (K.4.1.2). A folder that is not there has no entries. Raises StorageError
    where the disk fails. Memory: the entries of the folder, at most `MOST_ENTRIES`.
    """
    matching = Matching(decode_attributes(identifier, _SYNTAX), rules)
    wants_final = matching.identifier.item_of(STEP).has(STEP_STATUS)
    found: list[bytes] = []
    remarks: list[str] = []
    number = 0
    for path in _paths(Path(folder), called_title):
        entries, said = entries_of(path)
        if not after:
            remarks += said
        for entry in entries:
            number += 1
            if number <= after:
                continue
            is_over = entry.item_of(STEP).text(STEP_STATUS) in _FINAL
            if (is_over and not wants_final) or not matching.matches(entry):
                continue
            answer = with_character_set(
                matching.returned(entry), entry.text("SpecificCharacterSet")
            )
            found.append(encode_attributes(answer, _SYNTAX))
            if len(found) >= limit:
                return WorklistPage(tuple(found), number, tuple(remarks))
    return WorklistPage(tuple(found), None, tuple(remarks))


def read_entries(folder: str, called_title: str = "") -> list[dict[str, object]]:
    """All entries as JSON, for people."""
    return [to_json(e) for path in _paths(Path(folder), called_title) for e in entries_of(path)[0]]


def add_entry(folder: str, entry: Attributes) -> str:
    """Write an entry as a file of its own, durably; returns its name.

    Raises LocalError for an entry without what a worklist must have, StorageError for the disk.
    """
    lacking = missing(entry)
    if lacking:
        raise LocalError(
            f"The worklist entry lacks {quoted(', '.join(lacking))}.",
            clause="PS3.4 K.6.1.2.2",
            value=lacking,
            limit=(*REQUIRED, *REQUIRED_OF_STEP),
        )
    place = Path(folder)
    name = f"{_name_of(entry)}.json"
    try:
        place.mkdir(parents=True, exist_ok=True)
        _write(place / name, entry)
    except OSError as error:
        raise StorageError(f"The entry cannot be written: {error.strerror}.", value=name) from error
    return name


def set_step_status(folder: str, study_instance_uid: str, step_id: str, status: str) -> bool:
    """A modality reported the step: our own entry says so from now on. Whether there was one."""
    for path in _paths(Path(folder), ""):
        entries = entries_of(path)[0]
        for entry in entries:
            step = entry.item_of(STEP)
            if entry.text("StudyInstanceUID") != study_instance_uid:
                continue
            if step.text(STEP_ID) != step_id or path.suffix != ".json" or len(entries) > 1:
                continue
            step.set(STEP_STATUS, status)
            _write(path, entry)
            return True
    return False


def missing(entry: Attributes) -> list[str]:
    """The keywords of type 1 that an entry lacks."""
    step = entry.item_of(STEP)
    return [each for each in REQUIRED if not entry.has(each)] + [
        each for each in REQUIRED_OF_STEP if not step.has(each)
    ]


def _name_of(entry: Attributes) -> str:
    # OpenSSL comes with it, which the node does without.
    import hashlib

    key = f"{entry.text('StudyInstanceUID')}\n{entry.item_of(STEP).text(STEP_ID)}"
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _write(path: Path, entry: Attributes) -> None:
    replace_file(path, json.dumps(to_json(entry), ensure_ascii=False, indent=1).encode())


def _paths(folder: Path, called_title: str) -> Iterator[Path]:
    """Files of entries, in the order of their names; those for the called entity after the rest."""
    # A caller may send any title; a path is none.
    is_name = called_title not in ("", ".", "..") and "/" not in called_title
    for place in (folder, folder / called_title if is_name else None):
        if place is None or not place.is_dir():
            continue
        with _shared(place / LOCK_FILE):
            files = files_in(place)
        yield from files


def files_in(place: Path) -> list[Path]:
    """The files of a folder that hold entries, by their names."""
    return sorted(
        each
        for each in place.iterdir()
        if not each.name.startswith(".") and each.name.endswith((".wl", ".dcm", ".json"))
    )


@contextlib.contextmanager
def _shared(lock: Path) -> Iterator[None]:
    """Where a writer uses a lock file, as for wlmscpfs, wait for it; but not for one who died or
    means harm: his entries are read as they are."""
    try:
        descriptor = open_beneath(lock.parent, lock.name)
    except OSError:
        yield
        return
    try:
        end = time.monotonic() + _PATIENCE
        while not _is_locked(descriptor) and time.monotonic() < end:
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def entries_of(path: Path) -> tuple[list[Attributes], tuple[str, ...]]:
    """The entries of a file, one for each step, and what is wrong with others."""
    try:
        status = path.lstat()
    except OSError:
        return [], ()
    stamp = (status.st_mtime_ns, status.st_size)
    known = _read.get(str(path))
    if known is not None and known[0] == stamp:
        return known[1], known[2]
    remarks: tuple[str, ...] = ()
    entries: list[Attributes] = []
    name = quoted(path.name, f"inode {status.st_ino}")
    try:
        if status.st_size > LARGEST_FILE:
            raise LocalError("It is too large for an entry.", limit=LARGEST_FILE)
        for whole in _parse(path):
            steps = whole.items_of(STEP)
            for step in steps or (Attributes(),):
                entry = whole.copy()
                entry.set(STEP, [step.copy()])
                remarks += tuple(
                    Sentence(f"{name}: {quoted(each)}") for each in _made_encodable(entry)
                )
                lacking = missing(entry)
                if lacking:
                    remarks += (Sentence(f"{name}: lacks {', '.join(lacking)}"),)
                else:
                    entries.append(entry)
    except (GantryError, OSError, ValueError) as error:
        remarks += (Sentence(f"{name}: {quoted(error)}"),)
    _remember(str(path), stamp, entries, remarks)
    return entries, remarks


def _made_encodable(attributes: Attributes) -> Iterator[Sentence]:
    """Take out what no answer can carry, for each would fail by it; what, and why."""
    for tag in tuple(attributes):
        for item in attributes.items_of(tag):
            yield from _made_encodable(item)
        alone = Attributes()
        alone.put(tag, attributes[tag])
        try:
            encode_attributes(with_character_set(alone), _SYNTAX)
        except LocalError as error:
            attributes.remove(tag)
            name = keyword_of(tag) or format_tag(tag)
            yield Sentence(f"{name} is left out: {quoted(error)}")


def _remember(
    path: str, stamp: tuple[int, int], entries: list[Attributes], remarks: tuple[str, ...]
) -> None:
    global _bytes_read
    if len(_read) >= MOST_ENTRIES or _bytes_read > MOST_BYTES:
        _read.clear()
        _bytes_read = 0
    _bytes_read += stamp[1]
    _read[path] = (stamp, entries, remarks)


def _parse(path: Path) -> list[Attributes]:
    # Whoever writes entries may have made a link, a pipe or a device.
    descriptor = open_beneath(path.parent, path.name)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise LocalError("It is no file.")
        if path.suffix == ".json":
            return _entries_in_json(os.pread(descriptor, LARGEST_FILE, 0))
        meta = read_file_meta(descriptor, tolerate=True)
        data = os.pread(descriptor, LARGEST_FILE, meta.data_set_offset)
        return [decode_attributes(data, meta.encoding)]
    finally:
        os.close(descriptor)


def _entries_in_json(data: bytes) -> list[Attributes]:
    try:
        found = json.loads(data)
        return [from_json(each) for each in (found if isinstance(found, list) else [found])]
    except RecursionError:
        raise LocalError("It is nested too deeply.", clause="PS3.18 F") from None
