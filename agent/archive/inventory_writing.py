"""Inventory instances, made from the index in a worker (PS3.3 C.38.1).

Study records are gathered in a file, some at a time, and copied into an instance when they are all,
or so many that another instance must follow. Nested items have undefined lengths, so that nothing
waits for its end; the sequence of all studies has a defined one, so that readers can pass over it.
Memory: a page of the index, however large a study is.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agent.archive import failure, index_failure
from agent.archive.inventory_requests import INVENTORIES, InventoryState, records_path
from agent.archive.inventory_studies import InventoryStudies
from agent.archive.object_models import INVENTORY
from agent.archive.reader_worker import forget_connection, open_connection
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import decode_attributes, encode_attributes
from agent.dataset.character_set import decode_text
from agent.dataset.date_time import date_time
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from agent.dataset.value_representations import VALUE_REPRESENTATIONS
from agent.dataset.whole_write import write_whole

_SYNTAX = TRANSFER_SYNTAXES[EXPLICIT_VR_LITTLE_ENDIAN]
_SECONDS = 0.3
_STUDIES = 50
_BLOCK = 1 << 16
_INVENTORIED_STUDIES, _SERIES, _INSTANCES = 0x00080423, 0x00080424, 0x00080425
_UNDEFINED = 0xFFFFFFFF
_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, _UNDEFINED)
_ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
_SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)

Field = tuple[int, str, str, bool]
"""Tag, VR, expression of SQL, and whether it is text in the character set of its row."""

_STUDY: tuple[Field, ...] = (
    (0x00080020, "DA", "study_date", False),
    (0x00080030, "TM", "study_time", False),
    (0x00080050, "SH", "accession_number", True),
    (
        0x00080061,
        "CS",
        "(SELECT group_concat(modality, '\\') FROM (SELECT DISTINCT modality FROM series WHERE"
        " series.study = study.id AND modality <> '' ORDER BY modality))",
        False,
    ),
    (0x00080090, "PN", "referring_physician_name", True),
    (0x0008041F, "DT", "strftime('%Y%m%d%H%M%S', study.changed, 'unixepoch') || '+0000'", False),
    (0x00081030, "LO", "study_description", True),
    (0x00100010, "PN", "patient_name", True),
    (0x00100020, "LO", "patient_id", True),
    (0x00100021, "LO", "issuer_of_patient_id", True),
    (0x00100030, "DA", "birth_date", False),
    (0x00100040, "CS", "sex", False),
    (0x0020000D, "UI", "study_instance_uid", False),
    (0x00200010, "SH", "study_id", True),
    (0x00201206, "IS", "study.series", False),
    (0x00201208, "IS", "study.instances", False),
)
_OF_SERIES: tuple[Field, ...] = (
    (0x00080021, "DA", "series_date", False),
    (0x00080031, "TM", "series_time", False),
    # Type 1: of what does not say it, it is another one.
    (0x00080060, "CS", "CASE modality WHEN '' THEN 'OT' ELSE modality END", False),
    (0x0008103E, "LO", "series_description", True),
    (0x00180015, "CS", "body_part_examined", False),
    (0x0020000E, "UI", "series_instance_uid", False),
    (0x00200011, "IS", "series_number", False),
)
_OF_INSTANCE: tuple[Field, ...] = (
    (0x00080016, "UI", "sop_class_uid", False),
    (0x00080018, "UI", "sop_instance_uid", False),
    (0x00080023, "DA", "content_date", False),
    (0x00080033, "TM", "content_time", False),
    (0x00200013, "IS", "instance_number", False),
    (0x00280008, "IS", "number_of_frames", False),
)
_PATIENT_FIELDS = frozenset((0x00100010, 0x00100020, 0x00100021))
_ITEM_INVENTORY_DATE_TIME = 0x00080404
_RETRIEVE_AE_TITLE = 0x00080054
_NOT_EARLIER = (
    "(flags & 1 = 0 OR NOT EXISTS (SELECT 1 FROM instance AS earlier WHERE"
    " earlier.sop_instance_uid = instance.sop_instance_uid AND earlier.series = instance.series"
    " AND earlier.id < instance.id))"
)

Write = Callable[[bytes], object]


def append_records(
    folder: str, state: InventoryState, retrieve_title: str, largest: int
) -> InventoryState:
    """Gather records for the next instance, for a third of a second or until there are `largest`
    bytes of them; a study that was begun is finished.

    Raises PeerError for an identifier that no query can have, and StorageError.
    """
    studies = InventoryStudies(folder, state, retrieve_title)
    end = time.monotonic() + _SECONDS
    try:
        (Path(folder) / INVENTORIES).mkdir(mode=0o750, exist_ok=True)
        with records_path(folder, state.transaction).open("ab", buffering=_BLOCK) as file:
            if os.fstat(file.fileno()).st_size < state.written:
                raise OSError("the records gathered before are gone")
            # Behind what is known to be gathered there may be what a crash left.
            file.truncate(state.written)
            file.seek(0, os.SEEK_END)
            while state.place is not None and time.monotonic() < end and state.written < largest:
                found, place = studies.page(state.place, _STUDIES)
                records = _Records(folder, retrieve_title, file.write)
                for study in found:
                    records.study(study, state.level)
                state = state._replace(
                    place=place, written=file.tell(), waiting=state.waiting + len(found)
                )
            file.flush()
            os.fdatasync(file.fileno())
    except OSError as error:
        raise failure.of_system(error, "write an inventory") from error
    return state


class _Records:
    """Writes study records as items."""

    def __init__(self, folder: str, retrieve_title: str, write: Write) -> None:
        self._folder = folder
        self._title = retrieve_title.encode()
        self._write = write

    def study(self, number: int, level: str) -> None:
        """The record of a study, with those of its series and instances as the level says."""
        columns = _columns(_STUDY)
        rows = self._ask(
            f"SELECT patient.character_set, study.character_set, {columns} FROM study JOIN patient"
            " ON patient.id = study.patient WHERE study.id = ?",
            (number,),
        )
        for row in rows:
            fields = self._fields(_STUDY, row[2:], row[1], row[0])
            fields[_RETRIEVE_AE_TITLE] = _element(_RETRIEVE_AE_TITLE, "AE", self._title)
            moment = date_time(time.time()).encode()
            fields[_ITEM_INVENTORY_DATE_TIME] = _element(_ITEM_INVENTORY_DATE_TIME, "DT", moment)
            below = None if level == "STUDY" else lambda: self._series(number, level)
            self._item(fields, _SERIES, below)

    def _series(self, study: int, level: str) -> None:
        columns = _columns(_OF_SERIES)
        for number, charset, *row in self._pages(
            f"SELECT id, character_set, {columns} FROM series WHERE study = ?", study
        ):
            fields = self._fields(_OF_SERIES, row, charset)
            if level == "SERIES":
                self._item(fields)
            else:
                self._item(fields, _INSTANCES, self._instances_of(number))

    def _instances_of(self, series: int) -> Callable[[], None]:
        def write() -> None:
            columns = _columns(_OF_INSTANCE)
            for _, charset, *row in self._pages(
                f"SELECT id, character_set, {columns} FROM instance WHERE {_NOT_EARLIER}"
                " AND series = ?",
                series,
            ):
                self._item(self._fields(_OF_INSTANCE, row, charset))

        return write

    def _item(
        self,
        fields: dict[int, bytes],
        sequence: int = 0,
        below: Callable[[], None] | None = None,
    ) -> None:
        """One item: its elements by tag, with a sequence among them."""
        order = sorted(fields)
        before = [fields[tag] for tag in order if below is None or tag < sequence]
        self._write(_ITEM + b"".join(before))
        if below is not None:
            self._write(_sequence(sequence, _UNDEFINED))
            below()
            self._write(_SEQUENCE_END + b"".join(fields[tag] for tag in order if tag > sequence))
        self._write(_ITEM_END)

    def _fields(
        self, fields: tuple[Field, ...], row: Any, charset: bytes, of_patient: bytes = b""
    ) -> dict[int, bytes]:
        found = {}
        for (tag, vr, _, is_text), value in zip(fields, row, strict=True):
            raw = value if isinstance(value, bytes) else b""
            if is_text and (not raw.isascii() or b"\x1b" in raw):
                stated = of_patient if tag in _PATIENT_FIELDS else charset
                raw = decode_text(raw, vr, stated).encode()
            found[tag] = _element(tag, vr, raw)
        return found

    def _pages(self, statement: str, parent: int) -> Iterator[tuple[Any, ...]]:
        """Rows in the order of their numbers, in short transactions."""
        after = 0
        while True:
            rows = self._ask(f"{statement} AND id > ? ORDER BY id LIMIT 500", (parent, after))
            yield from rows
            if len(rows) < 500:
                return
            after = rows[-1][0]

    def _ask(self, statement: str, values: tuple[int, ...]) -> list[tuple[Any, ...]]:
        try:
            return open_connection(self._folder).execute(statement, values).fetchall()
        except (sqlite3.Error, OSError) as error:
            forget_connection(self._folder)
            raise index_failure.of_any(error, "read the index") from error


def _columns(fields: tuple[Field, ...]) -> str:
    return ", ".join(f"CAST({expression} AS BLOB)" for _, _, expression, _ in fields)


def _element(tag: int, vr: str, raw: bytes) -> bytes:
    """One element of a short VR in explicit VR little endian."""
    raw = raw[:0xFFFE]
    if len(raw) % 2:
        raw += VALUE_REPRESENTATIONS[vr].padding
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(raw)) + raw


def _sequence(tag: int, length: int) -> bytes:
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, length)


def write_inventory(
    folder: str,
    state: InventoryState,
    completion: str,
    retrieve_title: str,
    version: str,
    *,
    descriptors: list[int],
) -> None:
    """Write the data set of the next instance behind the file meta information.

    The instances that are stored already are incorporated by reference where this is the root,
    whose `completion` is not PARTIAL. Raises StorageError.
    """
    (descriptor,) = descriptors
    head = inventory_head(state, completion, retrieve_title, version)
    before, after = Attributes(), Attributes()
    for tag in head:
        (before if tag < _INVENTORIED_STUDIES else after).put(tag, head[tag])
    try:
        write_whole(descriptor, encode_attributes(before, _SYNTAX))
        write_whole(descriptor, _sequence(_INVENTORIED_STUDIES, state.written))
        if state.written:
            with records_path(folder, state.transaction).open("rb", buffering=0) as file:
                left = state.written
                while left:
                    block = file.read(min(_BLOCK, left))
                    if not block:
                        raise OSError("the records gathered before are gone")
                    write_whole(descriptor, block)
                    left -= len(block)
        # These have no text, so the character set is none of theirs.
        write_whole(descriptor, encode_attributes(after, _SYNTAX))
    except OSError as error:
        raise failure.of_system(error, "write an inventory") from error


def inventory_head(
    state: InventoryState, completion: str, retrieve_title: str, version: str
) -> Attributes:
    """All of an inventory but its studies (PS3.3 Table C.38.1-1, with A.88.3)."""
    (sop_class_uid,) = INVENTORY.stored
    # As the times of studies are taken to be: in the timezone of this machine.
    moment = time.localtime(state.begun)
    date, hour = time.strftime("%Y%m%d", moment), time.strftime("%H%M%S", moment)
    scope = decode_attributes(bytes.fromhex(state.scope), _SYNTAX)
    is_root = completion != "PARTIAL"
    head = Attributes(
        SpecificCharacterSet="ISO_IR 192",
        InstanceCreationDate=date,
        InstanceCreationTime=hour,
        SOPClassUID=sop_class_uid,
        SOPInstanceUID=state.next_uid,
        ContentDate=date,
        ContentTime=hour,
        Manufacturer="Gantry",
        TimezoneOffsetFromUTC=time.strftime("%z", moment),
        ScopeOfInventorySequence=[scope] if len(scope) else None,
        InventoryPurpose=state.purpose,
        InventoryLevel=state.level,
        InventoryCompletionStatus=completion,
        NumberOfStudyRecordsInInstance=state.waiting,
        TotalNumberOfStudyRecords=state.records if is_root else state.waiting,
        ManufacturerModelName="Gantry",
        TransactionUID=state.transaction,
        SoftwareVersions=version,
    )
    head.set(
        "IncorporatedInventoryInstanceSequence",
        [
            Attributes(
                InventoryAccessEndPointsSequence=[Attributes(RetrieveAETitle=retrieve_title)],
                ReferencedSOPClassUID=sop_class_uid,
                ReferencedSOPInstanceUID=each.sop_instance_uid,
            )
            for each in state.parts
        ]
        if is_root and state.parts
        else None,
    )
    return head
