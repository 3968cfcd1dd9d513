from __future__ import annotations

import zlib
from contextlib import suppress

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement

from agent.dataset import tags
from agent.dataset.byte_source import CANNOT_UNDERSTAND, FileBytes, MemoryBytes
from agent.dataset.file_meta import read_file_meta
from agent.dataset.head import LONGEST_VALUE, scan_head
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.errors import GantryError, PeerError, StatusReaction
from tests.dataset.sources import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_BASELINE,
    NATIVE,
    Counting,
    OneByOne,
    Sources,
    both_ways,
    element,
    item,
    open_item,
    opened,
    pydicom_files,
    undefined,
)

WANTED = frozenset((tags.SOP_INSTANCE_UID, tags.PATIENT_NAME, tags.ROWS))
syntaxes = pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.short_name)


def data_set(syntax: TransferSyntax, between: bytes = b"") -> bytes:
    order = "little" if syntax.little_endian else "big"
    return (
        element(tags.SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 100", syntax)
        + element(tags.SOP_INSTANCE_UID, "UI", b"1.2.3\0", syntax)
        + between
        + element(tags.PATIENT_NAME, "PN", b"Doe^Jane", syntax)
        + element(tags.ROWS, "US", (512).to_bytes(2, order), syntax)
        + element(tags.PIXEL_DATA, "OW", bytes(100), syntax)
    )


@both_ways
@syntaxes
def test_wanted_values_are_found(source_of: Sources, syntax: TransferSyntax) -> None:
    data = data_set(syntax)
    head = scan_head(source_of(data), syntax, WANTED)
    assert head.values == {
        tags.SOP_INSTANCE_UID: b"1.2.3\0",
        tags.PATIENT_NAME: b"Doe^Jane",
        tags.ROWS: b"\0\2" if syntax.little_endian else b"\2\0",
    }
    assert head.vrs == {tags.SOP_INSTANCE_UID: "UI", tags.PATIENT_NAME: "PN", tags.ROWS: "US"}
    header = 12 if syntax.explicit_vr else 8
    assert head.pixel_data_offset == head.end_offset == len(data) - 100 - header


@both_ways
def test_the_scan_stops_after_the_greatest_wanted_tag(source_of: Sources) -> None:
    data = data_set(EXPLICIT)
    head = scan_head(source_of(data), EXPLICIT, frozenset((tags.SOP_INSTANCE_UID,)))
    assert head.pixel_data_offset is None
    assert head.end_offset == data.index(b"\x10\0\x10\0PN")
    assert list(head.values) == [tags.SOP_INSTANCE_UID]


def sequences(syntax: TransferSyntax) -> bytes:
    inner = element(tags.REFERENCED_SOP_CLASS_UID, "UI", b"1.2.9\0", syntax)
    nested = undefined(
        0x00081140, "SQ", open_item(inner, syntax) + item(0xFFFEE000, inner, syntax), syntax
    )
    return (
        element(0x00081110, "SQ", item(0xFFFEE000, inner, syntax), syntax)
        + undefined(0x00081111, "SQ", open_item(nested + inner, syntax), syntax)
        + undefined(0x00081199, "SQ", b"", syntax)
        + element(0x00091010, "UN" if syntax.explicit_vr else "LO", b"xx", syntax)
    )


@both_ways
@syntaxes
def test_sequences_are_passed_over(source_of: Sources, syntax: TransferSyntax) -> None:
    head = scan_head(source_of(data_set(syntax, sequences(syntax))), syntax, WANTED)
    assert head.values[tags.PATIENT_NAME] == b"Doe^Jane"


@both_ways
@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN], ids=["little", "big"])
def test_unknown_of_undefined_length_is_implicit_little_endian(
    source_of: Sources, syntax: TransferSyntax
) -> None:
    content = open_item(
        element(0x00090001, "", b"value 1 ", IMPLICIT)
        + undefined(0x00090002, "", open_item(b"", IMPLICIT), IMPLICIT),
        IMPLICIT,
    )
    head_bytes = element(0x00091001, "UN", b"", syntax)[:-4] + b"\xff" * 4
    unknown = head_bytes + content + item(0xFFFEE0DD, b"", IMPLICIT)
    head = scan_head(source_of(data_set(syntax, unknown)), syntax, WANTED)
    assert head.values[tags.PATIENT_NAME] == b"Doe^Jane"


@both_ways
def test_a_deflated_data_set_is_inflated_as_far_as_needed(source_of: Sources) -> None:
    deflater = zlib.compressobj(wbits=-15)
    raw = data_set(EXPLICIT, sequences(EXPLICIT)) + bytes(1 << 20)
    data = deflater.compress(raw) + deflater.flush()
    head = scan_head(source_of(data), DEFLATED, WANTED)
    assert head.values[tags.PATIENT_NAME] == b"Doe^Jane"
    assert head.pixel_data_offset == raw.index(b"\xe0\x7f\x10\0OW")


def test_a_long_value_between_is_not_read() -> None:
    length = 0xFFFFFFF0
    first = element(tags.SOP_INSTANCE_UID, "UI", b"1.2.3\0")
    first += element(0x00091010, "OB", b"")[:-4] + length.to_bytes(4, "little")
    source = Counting(first, len(first) + length)
    head = scan_head(source, EXPLICIT, WANTED)
    assert head.values == {tags.SOP_INSTANCE_UID: b"1.2.3\0"}
    assert head.end_offset == len(first) + length
    assert source.read_bytes < 10_000


def test_a_head_without_end_is_refused_within_its_budget() -> None:
    source = Counting(b"", 1 << 40)
    with pytest.raises(PeerError, match="must be parsed"):
        scan_head(source, EXPLICIT, WANTED, budget=1 << 20)
    assert source.read_bytes <= (1 << 20) + 65536


def test_a_head_of_many_kilobytes_is_read_in_growing_blocks() -> None:
    many = b"".join(
        element(0x00090000 | number, "LO", b"x" * 62) for number in range(0x1000, 0xC000)
    )
    data = data_set(EXPLICIT, many)
    source = Counting(data, len(data))
    assert scan_head(source, EXPLICIT, WANTED).values[tags.PATIENT_NAME] == b"Doe^Jane"
    assert source.read_bytes <= len(data), "no byte is read twice"


@both_ways
@pytest.mark.parametrize(
    "odd",
    [
        b"\x09\0\x10\x10??\x04\0abcd",  # a placeholder VR with the short form
        b"\x09\0\x10\x10ZZ\0\0\x04\0\0\0abcd",  # a VR of the future, long form
        b"\x09\0\x10\x10\x04\0\0\0abcd",  # an element left in implicit VR
    ],
)
def test_elements_with_a_strange_vr_are_passed_over(source_of: Sources, odd: bytes) -> None:
    head = scan_head(source_of(data_set(EXPLICIT, odd)), EXPLICIT, WANTED)
    assert head.values[tags.PATIENT_NAME] == b"Doe^Jane"


def refusal(data: bytes, syntax: TransferSyntax = EXPLICIT) -> PeerError:
    errors = []
    for source in (MemoryBytes(data), OneByOne(data)):
        with pytest.raises(PeerError) as caught:
            scan_head(source, syntax, WANTED)
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    reaction = errors[0].reaction
    assert isinstance(reaction, StatusReaction)
    assert reaction.status == CANNOT_UNDERSTAND
    assert 0 < len(reaction.comment) <= 64
    assert errors[0].clause
    return errors[0]


def test_what_is_no_data_set_is_answered_with_c000_and_a_comment() -> None:
    name = element(tags.PATIENT_NAME, "PN", b"Doe^Jane")
    assert "ends within (0010,0010)" in str(refusal(name[:-1]))
    huge = element(tags.PATIENT_NAME, "UT", b"")[:-4] + (LONGEST_VALUE + 2).to_bytes(4, "little")
    assert "too long" in str(refusal(huge))
    skipped = element(0x00091010, "OB", bytes(50))[:-1]
    assert "ends within a value" in str(refusal(skipped))
    opened_sequence = undefined(0x00081111, "SQ", open_item(name))
    assert "ends within a sequence" in str(refusal(opened_sequence[:-8]))
    assert "stands where it cannot" in str(
        refusal(undefined(0x00081111, "SQ", item(0xFFFEE00D, b"")))
    )
    assert "something else" in str(refusal(undefined(0x00081111, "SQ", name)))


def test_nesting_without_end_is_refused_without_recursion() -> None:
    level = undefined(0x00081111, "SQ", b"")[:-8] + open_item(b"")[:8]
    assert "nested too deeply" in str(refusal(level * 100))
    assert "nested too deeply" in str(refusal(level * 100_000))


def test_a_few_bytes_after_the_last_element_are_not_our_business() -> None:
    data = element(tags.PATIENT_NAME, "PN", b"Doe^Jane") + bytes(7)
    assert scan_head(MemoryBytes(data), EXPLICIT, WANTED).values[tags.PATIENT_NAME] == b"Doe^Jane"
    assert scan_head(MemoryBytes(b""), EXPLICIT, WANTED).values == {}


@pytest.mark.parametrize("syntax", [*NATIVE, DEFLATED, JPEG_BASELINE], ids=lambda s: s.short_name)
@given(data=st.binary(max_size=300))
def test_no_bytes_make_it_raise_anything_else(syntax: TransferSyntax, data: bytes) -> None:
    results = []
    for source in (MemoryBytes(data), OneByOne(data)):
        try:
            results.append(repr(scan_head(source, syntax, WANTED)))
        except PeerError as error:
            results.append(str(error))
    # Of a damaged deflated stream, smaller bites give more before the damage shows.
    assert syntax.deflated or results[0] == results[1]


@syntaxes
@given(at=st.integers(0, 1000), byte=st.integers(0, 255))
def test_no_changed_byte_makes_it_raise_anything_else(
    syntax: TransferSyntax, at: int, byte: int
) -> None:
    data = bytearray(data_set(syntax, sequences(syntax)))
    data[at % len(data)] = byte
    with suppress(PeerError):
        scan_head(MemoryBytes(bytes(data)), syntax, WANTED)


IDENTITY = frozenset(
    (
        tags.SPECIFIC_CHARACTER_SET,
        tags.SOP_CLASS_UID,
        tags.SOP_INSTANCE_UID,
        tags.STUDY_DATE,
        tags.ACCESSION_NUMBER,
        tags.MODALITY,
        tags.PATIENT_NAME,
        tags.PATIENT_ID,
        tags.STUDY_INSTANCE_UID,
        tags.SERIES_INSTANCE_UID,
        tags.INSTANCE_NUMBER,
        tags.ROWS,
        tags.COLUMNS,
    )
)


def test_every_file_of_pydicom_gives_the_values_that_pydicom_reads() -> None:
    scanned = 0
    for path in pydicom_files():
        try:
            theirs = pydicom.dcmread(path, stop_before_pixels=True)
        except pydicom.errors.InvalidDicomError:
            continue
        with opened(path) as descriptor:
            meta = read_file_meta(descriptor)
            source = FileBytes(descriptor, meta.data_set_offset)
            head = scan_head(source, meta.encoding, IDENTITY)
        for tag in IDENTITY:
            assert (tag in theirs) == (tag in head.values), path
            raw = theirs.get_item(tag)
            if isinstance(raw, RawDataElement):
                assert head.values[tag] == (raw.value or b""), path
        scanned += 1
    assert scanned > 140


def test_the_fuzz_corpus_gives_values_or_our_errors(test_data) -> None:
    files = [path for path in (test_data / "fuzz").rglob("*") if path.is_file()]
    assert len(files) > 350
    for path in files:
        with opened(path) as descriptor:
            try:
                meta = read_file_meta(descriptor)
                scan_head(FileBytes(descriptor, meta.data_set_offset), meta.encoding, IDENTITY)
            except GantryError:
                pass
