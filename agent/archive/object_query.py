"""Queries of non-patient objects, answered in a reader worker, a page at a time.

The "Worklist" search method (PS3.4 K.4.1.3.1) over instances without a study. The index knows their
SOP class and UID; everything else is read from the heads of their files. Memory: a page, and what
is asked for of one object.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.archive import index_failure
from agent.archive.layout import object_path
from agent.archive.matching import NEVER_KEYS, Matching, is_universal
from agent.archive.object_keys import ObjectKey, object_keys
from agent.archive.object_models import COLOR_PALETTE, INVENTORY, OBJECT_MODELS
from agent.archive.query_records import (
    IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS,
    Place,
    QueryPage,
    Question,
)
from agent.archive.reader_worker import forget_connection, open_connection
from agent.archive.well_known_palettes import well_known_palettes
from agent.dataset import tags
from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.attributes_encoding import (
    attribute_of,
    decode_attributes,
    encode_attributes,
    read_attributes,
    with_character_set,
)
from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import read_file_meta
from agent.dataset.head import scan_head
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES
from agent.errors import PeerError, StatusReaction

_SECONDS = 0.05
_BYTES = 96 << 10
_ROWS = 200
_STORED, _WELL_KNOWN = 0, 1
"""Where a place is: behind a row of the index, or among the palettes that are never stored."""


def object_query_page(
    folder: str, question: Question, after: Place = (), most: int = 500
) -> QueryPage:
    """The matches behind a place, at most `most`, or what can be found in a twentieth of a second.

    Raises PeerError with its status for an identifier that cannot be read or is none of its model,
    and StorageError when the index cannot be read.
    """
    query = _Query(question)
    found: list[bytes] = []
    size = 0
    end = time.monotonic() + _SECONDS
    if not query.matching.has_keys:
        return QueryPage((), None, query.complete)
    for place, path in _candidates(folder, query, after):
        made = query.response(path)
        if made is not None:
            found.append(made)
            size += len(made)
        if len(found) >= most or size >= _BYTES or time.monotonic() >= end:
            return QueryPage(tuple(found), place, query.complete)
    return QueryPage(tuple(found), None, query.complete)


class _Query:
    """An identifier that was read: what it asks, and what its responses have."""

    def __init__(self, question: Question) -> None:
        self.model = OBJECT_MODELS[question.sop_class_uid]
        self._syntax = TRANSFER_SYNTAXES[question.transfer_syntax_uid]
        identifier = decode_attributes(question.identifier, self._syntax)
        keys = object_keys(self.model)
        supported, self.complete = _supported(identifier, keys)
        for tag in identifier:
            if tag in NEVER_KEYS:
                supported.put(tag, identifier[tag])
        self.matching = Matching(supported, question.rules)
        self.uids = self._named(supported, tags.SOP_INSTANCE_UID)
        self._wanted = frozenset(tag for tag in supported if tag not in NEVER_KEYS)
        self._always = Attributes()
        if self.model is INVENTORY:
            # Table JJ.4-2; the other annexes have no such attribute.
            self._always.set("RetrieveAETitle", question.retrieve_title)
        if question.rules.timezone is not None:
            minutes = question.rules.timezone
            hours, rest = divmod(abs(minutes), 60)
            sign = "-" if minutes < 0 else "+"
            self._always.set("TimezoneOffsetFromUTC", f"{sign}{hours:02}{rest:02}")

    @staticmethod
    def _named(supported: Attributes, tag: int) -> tuple[str, ...] | None:
        key = supported.get(tag)
        return None if key is None or is_universal(key) else tuple(map(str, key.values))

    def response(self, path: Path) -> bytes | None:
        """The identifier of a response; None where the object does not match or is gone."""
        held = read_head(path, self._wanted)
        if held is None or not self.matching.matches(held):
            return None
        answer = self.matching.returned(held)
        answer.update(self._always)
        preferred = "\\".join(held.texts(tags.SPECIFIC_CHARACTER_SET))
        return encode_attributes(with_character_set(answer, preferred), self._syntax)


def _supported(
    asked: Attributes, keys: Mapping[int, ObjectKey], above: str = ""
) -> tuple[Attributes, bool]:
    """The keys that the table has, return keys without a value; whether that is all that was asked.

    Raises PeerError with A900H for a sequence of several items (C.2.2.2.6).
    """
    made = Attributes()
    complete = True
    for tag in asked:
        if tag in NEVER_KEYS:
            continue
        row, key = keys.get(tag), asked[tag]
        is_sequence = tags.dictionary_value_representation(tag) == "SQ"
        if row is None or is_sequence != (key.vr == "SQ"):
            complete = False
            continue
        items = asked.items_of(tag)
        if len(items) > 1:
            comment = f"{row.keyword} has more than one item"
            raise PeerError(
                f"the identifier does not match its SOP class: {comment}",
                clause="PS3.4 C.2.2.2.6",
                value=len(items),
                reaction=StatusReaction(
                    IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS, comment, () if above else (tag,)
                ),
            )
        if items and row.items:
            item, whole = _supported(items[0], row.items, row.keyword)
            complete &= whole
            made.put(tag, Attribute("SQ", (item,) if len(item) else ()))
        elif row.matches and not items:
            made.put(tag, key)
        else:
            complete &= key.is_empty if not items else not len(items[0])
            made.put(tag, Attribute(key.vr, ()))
    return made, complete


def _candidates(folder: str, query: _Query, after: Place) -> Iterator[tuple[Place, Path]]:
    part, number = after or (_STORED, 0)
    if part == _STORED:
        for row in _rows(folder, query, number):
            yield (_STORED, row), object_path(Path(folder), row)
        number = 0
    if query.model is COLOR_PALETTE:
        for position, (uid, each) in enumerate(well_known_palettes().items(), 1):
            asked = query.uids is None or uid in query.uids
            if position > number and asked and not _is_stored(folder, uid):
                yield (_WELL_KNOWN, position), Path(each.path)


def _rows(folder: str, query: _Query, after: int) -> Iterator[int]:
    """Objects in the order in which they came, of each UID that which came last, as retrieval has
    it."""
    classes = sorted(query.model.stored)
    conditions = [f"study IS NULL AND sop_class_uid IN ({', '.join('?' * len(classes))})"]
    if query.uids is not None:
        conditions.append("sop_instance_uid IN (SELECT value FROM json_each(?))")
    statement = (
        f"SELECT id FROM instance WHERE {' AND '.join(conditions)} AND id > ?"
        " AND NOT EXISTS (SELECT 1 FROM instance AS later WHERE later.sop_instance_uid ="
        " instance.sop_instance_uid AND later.id > instance.id AND later.study IS NULL)"
        " ORDER BY id LIMIT ?"
    )
    given: list[str] = classes
    if query.uids is not None:
        given = [*classes, json.dumps(query.uids)]
    while True:
        rows = _ask(folder, statement, (*given, after, _ROWS))
        yield from rows
        if len(rows) < _ROWS:
            return
        after = rows[-1]


def _is_stored(folder: str, uid: str) -> bool:
    return bool(_ask(folder, "SELECT id FROM instance WHERE sop_instance_uid = ?", (uid,)))


def _ask(folder: str, statement: str, values: tuple[str | int, ...]) -> list[int]:
    try:
        found = open_connection(folder).execute(statement, values).fetchall()
        return [row for (row,) in found]
    except (sqlite3.Error, OSError) as error:
        forget_connection(folder)
        raise index_failure.of_any(error, "read the index") from error


def read_head(path: Path, wanted: frozenset[int]) -> Attributes | None:
    """The wanted attributes of a file, and its character set; None where it is gone.

    Sequences are read whole, what lies behind the last wanted one is passed over by its length.
    Of a file that cannot be read to its end, what was read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    found = Attributes()
    sequences = {each for each in wanted if tags.dictionary_value_representation(each) == "SQ"}
    try:
        meta = read_file_meta(descriptor, tolerate=True)
        source = FileBytes(descriptor, meta.data_set_offset)
        plain = (wanted - sequences) | {tags.SPECIFIC_CHARACTER_SET}
        head = scan_head(source, meta.encoding, plain)
        charset = head.values.get(tags.SPECIFIC_CHARACTER_SET, b"").rstrip(b"\0 ")
        for tag, raw in head.values.items():
            vr = head.vrs[tag]
            if vr == "UN":
                vr = tags.dictionary_value_representation(tag)
            little = meta.encoding.little_endian
            found.put(tag, attribute_of(vr, raw, charset, little_endian=little))
        if sequences:
            of_sequences = frozenset((*sequences, tags.SPECIFIC_CHARACTER_SET))
            found.update(read_attributes(source, meta.encoding, of_sequences))
    except PeerError:
        pass
    finally:
        os.close(descriptor)
    return found
