"""The reader and the dump against whatever comes: our errors, or values."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.dataset.byte_source import ByteSource, FileBytes, MemoryBytes
from agent.dataset.dump import as_json, as_text, dump
from agent.dataset.file_meta import read_file_meta
from agent.dataset.reader import Event, elements
from agent.dataset.rewriting import rewrite_head
from agent.dataset.tags import PATIENT_ID, STUDY_INSTANCE_UID
from agent.dataset.transfer_syntaxes import TransferSyntax, by_name
from agent.errors import GantryError, PeerError
from tests.dataset.sources import NATIVE, OneByOne, opened
from tests.dataset.test_reader import PIXELS, nested

SYNTAXES = (*NATIVE, by_name("deflated"), by_name("jpeg-baseline"))
syntaxes = pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.short_name)


def events_or_error(source: ByteSource, syntax: TransferSyntax) -> list[Event | str]:
    result: list[Event | str] = []
    try:
        result += elements(source, syntax, through_bulk=True)
    except PeerError as error:
        result.append(error.message)
    return result


@syntaxes
@given(st.binary(max_size=300))
def test_random_bytes(syntax: TransferSyntax, data: bytes) -> None:
    whole = events_or_error(MemoryBytes(data), syntax)
    one_by_one = events_or_error(OneByOne(data), syntax)
    assert syntax.deflated or whole == one_by_one


@syntaxes
@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), max_size=4))
def test_changed_bytes(syntax: TransferSyntax, changes: list[tuple[int, int]]) -> None:
    data = bytearray(nested(syntax) + (PIXELS if syntax.encapsulated else b""))
    for at, byte in changes:
        data[at % len(data)] = byte
    assert (
        events_or_error(MemoryBytes(bytes(data)), syntax)
        == events_or_error(OneByOne(bytes(data)), syntax)
        or syntax.deflated
    )
    with suppress(GantryError):
        for line in dump(MemoryBytes(bytes(data)), syntax):
            assert as_text(line).isprintable() and as_json(line).isprintable()
    with suppress(GantryError):
        rewrite_head(MemoryBytes(bytes(data)), syntax, {PATIENT_ID: b"1 "})


@syntaxes
def test_every_truncation(syntax: TransferSyntax) -> None:
    if syntax.deflated:
        return
    data = nested(syntax)
    whole = events_or_error(MemoryBytes(data), syntax)
    for length in range(len(data)):
        part = events_or_error(MemoryBytes(data[:length]), syntax)
        if part and isinstance(part[-1], str):
            part.pop()
        assert part == whole[: len(part)], "what came before the end is right"


def test_the_fuzz_corpus_gives_values_or_our_errors(test_data: Path) -> None:
    files = [path for path in (test_data / "fuzz").rglob("*") if path.is_file()]
    assert len(files) > 350
    for path in files:
        with opened(path) as descriptor, suppress(GantryError):
            meta = read_file_meta(descriptor)
            source = FileBytes(descriptor, meta.data_set_offset)
            with suppress(GantryError):
                for _ in elements(source, meta.encoding, through_bulk=True):
                    pass
            with suppress(GantryError):
                rewrite_head(source, meta.encoding, {PATIENT_ID: b"1 ", STUDY_INSTANCE_UID: None})


def test_the_fuzz_corpus_can_be_dumped(test_data: Path) -> None:
    for path in sorted((test_data / "fuzz").rglob("*"))[::4]:
        if path.is_file():
            with opened(path) as descriptor, suppress(GantryError):
                meta = read_file_meta(descriptor)
                source = FileBytes(descriptor, meta.data_set_offset)
                for count, line in enumerate(dump(source, meta.encoding)):
                    assert as_text(line).isprintable()
                    if count > 300:
                        break
