"""Repository queries: those of the Study Root in the order of Record Keys (PS3.4 C.6.4).

A Record Key is the row and the UID of an entity. It stays valid until the entity is deleted or its
index rebuilt; nothing is kept between two queries, so any of them may be the one to go on from.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agent.archive.layout import object_path
from agent.archive.query_keys import INSTANCE, LEVELS, RECORD_KEY, TABLES
from agent.archive.query_records import Place, QueryPage, Question
from agent.archive.query_worker import query_page
from agent.archive.reader_worker import ask
from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.attributes_encoding import decode_attributes, encode_attributes
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES
from agent.errors import PeerError, StatusReaction

INVALID_PRIOR_RECORD_KEY = 0xA710
_PRIOR_RECORD_KEY = 0x0008041C
_MAXIMUM_NUMBER_OF_RECORDS = 0x00080429
_FILE_SET_ACCESS = 0x00080419
_FILE_ACCESS = 0x0008041A
_UPDATED_METADATA = 0x0008041E
_OF_FILES = (_FILE_SET_ACCESS, _FILE_ACCESS, _UPDATED_METADATA)
_REQUEST_ONLY = (_PRIOR_RECORD_KEY, _MAXIMUM_NUMBER_OF_RECORDS, RECORD_KEY)
"""Answered or obeyed here, and no keys for the engine (Tables C.6.4.1-1, C.6.4.2-1)."""


def repository_page(
    folder: str, question: Question, after: Place = (), most: int = 500
) -> QueryPage:
    """As `query_page`; the maximum number of records is for the caller to keep.

    Raises PeerError with A710H for a Prior Record Key with which nothing can go on.
    """
    syntax = TRANSFER_SYNTAXES[question.transfer_syntax_uid]
    asked = decode_attributes(question.identifier, syntax)
    level = asked.text("QueryRetrieveLevel")
    table = LEVELS.index(level) if level in LEVELS else INSTANCE
    prior = asked.get(_PRIOR_RECORD_KEY)
    if prior is not None and not _text(prior):
        prior = None
    of_files = _of_files(asked, table) if question.file_access else ()
    plain = asked.copy()
    for tag in (*_REQUEST_ONLY, *of_files):
        plain.remove(tag)
    wants_key = RECORD_KEY in asked
    inner = replace(
        question,
        identifier=encode_attributes(plain, syntax),
        ordered=wants_key or prior is not None or bool(of_files),
        record_keys=wants_key or bool(of_files),
    )
    if not after and prior is not None:
        after = (_row_of(folder, table, prior),)
    page = query_page(folder, inner, after, most)
    if not of_files:
        return page
    made = []
    for match in page.matches:
        found = decode_attributes(match, syntax)
        _add_files(found, of_files, folder, question.file_access)
        if not wants_key:
            found.remove(RECORD_KEY)
        made.append(encode_attributes(found, syntax))
    return replace(page, matches=tuple(made))


def _of_files(asked: Attributes, table: int) -> tuple[int, ...]:
    """What is asked of files, as far as it is there at this level and asked without a value."""
    wrong = _FILE_SET_ACCESS if table == INSTANCE else _FILE_ACCESS
    return tuple(
        tag
        for tag in _OF_FILES
        if tag in asked and tag != wrong and not any(map(len, asked.items_of(tag)))
    )


def _add_files(found: Attributes, asked: tuple[int, ...], folder: str, base: str) -> None:
    base = base.rstrip("/") + "/"
    for tag in asked:
        item = Attributes()
        if tag == _FILE_SET_ACCESS:
            item.set("StoredInstanceBaseURI", base)
        elif tag == _FILE_ACCESS:
            number, syntax_uid = _file_of(folder, found)
            path = object_path(Path(folder), number).relative_to(folder)
            item.set("FileAccessURI", f"{base}{path.as_posix()}")
            item.set("ContainerFileType", "DICM")
            item.set("StoredInstanceTransferSyntaxUID", syntax_uid)
        # Files are rewritten when something in them is corrected: no metadata differ (C.6.4.1.4).
        found.put(tag, Attribute("SQ", (item,) if len(item) else ()))


def _file_of(folder: str, found: Attributes) -> tuple[int, str]:
    number = int(_text(found[RECORD_KEY]).partition(":")[0])
    rows = ask(folder, "SELECT transfer_syntax_uid FROM instance WHERE id = ?", (number,))
    return number, rows[0][0] if rows else ""


def _row_of(folder: str, table: int, prior: Attribute) -> int:
    """The row that a Prior Record Key means. Raises PeerError with A710H."""
    number, _, uid = _text(prior).partition(":")
    name = TABLES[table]
    column = "sop_instance_uid" if table == INSTANCE else f"{name}_instance_uid"
    if number.isdecimal() and number.isascii() and len(number) < 19:
        known = f"SELECT 1 FROM {name} WHERE id = ? AND {column} = ?"
        if ask(folder, known, (int(number), uid)):
            return int(number)
    comment = "Invalid Prior Record Key"
    raise PeerError(
        "there is no record with this Prior Record Key, or not any more",
        clause="PS3.4 C.6.4.5.3",
        value=_text(prior)[:100],
        reaction=StatusReaction(INVALID_PRIOR_RECORD_KEY, comment, (_PRIOR_RECORD_KEY,)),
        way_out="Ask again from the first record.",
    )


def _text(key: Attribute) -> str:
    """A record key is bytes, padded to an even length."""
    raw = key.values[0] if key.values else b""
    return raw.rstrip(b"\0").decode("ascii", "replace") if isinstance(raw, bytes) else ""
