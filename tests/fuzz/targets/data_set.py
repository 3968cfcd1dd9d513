"""Data sets in every transfer syntax, through all that reads them (PS3.5 7)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from agent.dataset.attributes_encoding import decode_attributes, encode_attributes
from agent.dataset.byte_source import MemoryBytes
from agent.dataset.conversion import convert
from agent.dataset.dump import as_json, as_text, dump
from agent.dataset.file_meta import read_file_meta
from agent.dataset.head import scan_head
from agent.dataset.json_model import to_json
from agent.dataset.reader import elements
from agent.dataset.rewriting import rewrite_head
from agent.dataset.tags import BULK, PATIENT_ID, STUDY_INSTANCE_UID
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TransferSyntax, by_name
from agent.errors import GantryError
from tests.fuzz.target import Target, dicom_files, hostile_files, open_bytes

_SYNTAXES = tuple(
    map(by_name, ("implicit", "explicit", "explicit-big", "deflated", "jpeg-baseline"))
)
_LONGEST_SEED = 1 << 13


def run(data: bytes) -> None:
    """The first byte chooses the transfer syntax and the reader."""
    if not data:
        return
    way, syntax = divmod(data[0], len(_SYNTAXES))
    _WAYS[way % len(_WAYS)](data[1:], _SYNTAXES[syntax])


def _events(data: bytes, syntax: TransferSyntax) -> None:
    for _ in elements(MemoryBytes(data), syntax, through_bulk=True):
        pass


def _head(data: bytes, syntax: TransferSyntax) -> None:
    scan_head(MemoryBytes(data), syntax, frozenset((PATIENT_ID, STUDY_INSTANCE_UID)) | BULK)


def _attributes(data: bytes, syntax: TransferSyntax) -> None:
    found = decode_attributes(data, syntax)
    json.dumps(to_json(found))
    encode_attributes(found, syntax)


def _dumped(data: bytes, syntax: TransferSyntax) -> None:
    for line in dump(MemoryBytes(data), syntax):
        assert as_text(line).isprintable() and as_json(line).isprintable()


def _rewritten(data: bytes, syntax: TransferSyntax) -> None:
    rewrite_head(MemoryBytes(data), syntax, {PATIENT_ID: b"1 ", STUDY_INSTANCE_UID: None})


def _converted(data: bytes, syntax: TransferSyntax) -> None:
    parts: list[bytes] = []
    convert(MemoryBytes(data), syntax.uid, EXPLICIT_VR_LITTLE_ENDIAN, parts.append)
    # What we write can be read again.
    for _ in elements(MemoryBytes(b"".join(parts)), by_name("explicit"), through_bulk=True):
        pass


_WAYS: tuple[Callable[[bytes, TransferSyntax], None], ...] = (
    _events,
    _head,
    _attributes,
    _dumped,
    _rewritten,
    _converted,
)


def seeds() -> Iterator[bytes]:
    """The data sets of files, each for one of the readers."""
    number = 0
    for data in (*dicom_files(_LONGEST_SEED), *hostile_files(_LONGEST_SEED)):
        with open_bytes(data) as descriptor:
            try:
                meta = read_file_meta(descriptor)
            except GantryError:
                continue
        names = [each.uid for each in _SYNTAXES]
        syntax = names.index(meta.encoding_uid) if meta.encoding_uid in names else 1
        number += 1
        way = number % len(_WAYS)
        yield bytes((way * len(_SYNTAXES) + syntax,)) + data[meta.data_set_offset :]


TARGET = Target(run, seeds)
