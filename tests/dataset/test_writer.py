from __future__ import annotations

import io

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import generate_fragments, parse_basic_offsets

from agent.dataset import tags
from agent.dataset.byte_source import MemoryBytes, decoded
from agent.dataset.reader import Element, FragmentStart, elements, read_value
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.dataset.writer import (
    DataSetWriter,
    basic_offset_table,
    encode_element,
    extended_offset_table,
)
from agent.errors import LocalError
from tests.dataset.sources import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_BASELINE,
    NATIVE,
    OneByOne,
    element,
)
from tests.dataset.test_reader import NESTED, nested, outline

SYNTAXES = [*NATIVE, DEFLATED]
syntaxes = pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.short_name)


class Writing:
    def __init__(self, syntax: TransferSyntax) -> None:
        self.pieces: list[bytes] = []
        self.writer = DataSetWriter(self.pieces.append, syntax)

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


def write_nested(syntax: TransferSyntax) -> bytes:
    writing = Writing(syntax)
    writer = writing.writer
    header = 8  # of an element with a short VR, and of any in implicit VR
    writer.element(tags.SOP_INSTANCE_UID, "UI", b"1.2.3")
    writer.begin_sequence(tags.PROCEDURE_CODE_SEQUENCE, 8 + header + 4 + 8)
    writer.begin_item(header + 4)
    writer.element(0x00080100, "SH", b"T-1")
    writer.end_item()
    writer.begin_item(0)
    writer.end_item()
    writer.end_sequence()
    writer.begin_sequence(tags.REFERENCED_STUDY_SEQUENCE)
    writer.begin_item()
    writer.element(0x00080100, "SH", b"T-1")
    writer.begin_sequence(tags.REFERENCED_IMAGE_SEQUENCE)
    writer.begin_item()
    writer.element(0x00080100, "SH", b"T-1")
    writer.end_item()
    writer.end_sequence()
    writer.end_item()
    writer.begin_item(header + 4)
    writer.element(0x00080100, "SH", b"T-1")
    writer.end_item()
    writer.end_sequence()
    writer.begin_sequence(tags.REFERENCED_SOP_SEQUENCE)
    writer.end_sequence()
    writer.element(tags.PATIENT_NAME, "PN", b"Doe^Jane")
    writer.close()
    return writing.data


@syntaxes
def test_what_is_written_is_laid_out_as_by_hand(syntax: TransferSyntax) -> None:
    data = write_nested(syntax)
    if not syntax.deflated:
        assert data == nested(syntax)
    for source in (MemoryBytes(data), OneByOne(data)):
        assert outline(list(elements(source, syntax))) == NESTED


@syntaxes
def test_what_is_written_is_what_pydicom_reads(syntax: TransferSyntax) -> None:
    file = io.BytesIO(write_nested(syntax))
    if syntax.deflated:
        file = io.BytesIO(decoded(MemoryBytes(file.getvalue()), syntax).read(0, 1 << 20))
    data_set = pydicom.filereader.read_dataset(file, not syntax.explicit_vr, syntax.little_endian)
    assert data_set.PatientName == "Doe^Jane"
    assert len(data_set.ProcedureCodeSequence) == 2
    assert data_set.ReferencedStudySequence[0].ReferencedImageSequence[0].CodeValue == "T-1"


def test_a_deflated_data_set_is_padded_to_even_length() -> None:
    lengths = set()
    for text in (b"ab", b"abc", b"abcd" * 9, b"xyz" * 20, b"q" * 500):
        writing = Writing(DEFLATED)
        writing.writer.element(tags.PATIENT_NAME, "PN", text)
        writing.writer.close()
        lengths.add(len(writing.data) % 2)
    assert lengths == {0}


def test_encapsulated_pixel_data_have_an_offset_table_and_padded_fragments() -> None:
    frames = [(5, 4), (3,), (8,)]
    writing = Writing(JPEG_BASELINE)
    writing.writer.begin_fragments(basic_offset_table(frames))
    for frame in frames:
        for length in frame:
            writing.writer.begin_fragment(length)
            for _ in range(length):
                writing.writer.fragment_data(b"x")
            writing.writer.end_fragment()
    writing.writer.end_fragments()
    writing.writer.close()
    value = writing.data[12:]
    assert parse_basic_offsets(value) == [0, 8 + 6 + 8 + 4, 8 + 6 + 8 + 4 + 8 + 4]
    assert [len(fragment) for fragment in generate_fragments(value[8 + 12 :])] == [6, 4, 4, 8]
    source = MemoryBytes(writing.data)
    fragments = [
        read_value(source, event)
        for event in elements(source, JPEG_BASELINE, through_bulk=True)
        if isinstance(event, FragmentStart)
    ]
    assert fragments[1:] == [b"xxxxx\0", b"xxxx", b"xxx\0", b"x" * 8]


def test_an_extended_offset_table_has_lengths_without_padding() -> None:
    assert extended_offset_table([(5,), (4, 3)]) == ((0, 14), (5, 7))
    with pytest.raises(LocalError, match="too long for a Basic Offset Table"):
        basic_offset_table([(1 << 32,), (2,)])


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.short_name)
def test_numbers_come_in_the_byte_order_of_the_syntax(syntax: TransferSyntax) -> None:
    writing = Writing(syntax)
    writing.writer.numbers(tags.FRAME_INCREMENT_POINTER, "AT", [tags.FRAME_TIME])
    writing.writer.numbers(tags.ROWS, "US", [512])
    writing.writer.close()
    data_set = pydicom.filereader.read_dataset(
        io.BytesIO(writing.data), not syntax.explicit_vr, syntax.little_endian
    )
    assert data_set.FrameIncrementPointer == tags.FRAME_TIME
    assert data_set.Rows == 512


def test_a_value_can_be_streamed() -> None:
    writing = Writing(EXPLICIT)
    writing.writer.begin_value(tags.PIXEL_DATA, "OW", 6)
    writing.writer.value(b"abcd")
    writing.writer.value(b"ef")
    writing.writer.end_value()
    writing.writer.close()
    assert writing.data == element(tags.PIXEL_DATA, "OW", b"abcdef")


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.short_name)
@pytest.mark.parametrize("vr", ["LO", "UI", "OB", "UT", "UN", "SV"])
@pytest.mark.parametrize("value", [b"", b"a", b"ab"])
def test_one_element_is_encoded_with_the_padding_of_its_vr(
    syntax: TransferSyntax, vr: str, value: bytes
) -> None:
    padding = b" " if vr in ("LO", "UT") else b"\0"
    padded = value + padding * (len(value) % 2)
    encoded = encode_element(0x00091001, vr, value, syntax)
    assert encoded == element(0x00091001, vr, padded, syntax)


def test_a_value_too_long_for_its_vr_becomes_un() -> None:
    encoded = encode_element(tags.PATIENT_COMMENTS, "LT", bytes(0x10000), EXPLICIT)
    assert encoded[4:8] == b"UN\0\0"
    assert len(encoded) == 12 + 0x10000
    assert encode_element(tags.PATIENT_COMMENTS, "LT", bytes(0xFFFE), EXPLICIT)[4:6] == b"LT"


def misuse(*calls: tuple[str, tuple[object, ...]]) -> str:
    writer = Writing(EXPLICIT).writer
    *before, (name, arguments) = calls
    for earlier, earlier_arguments in before:
        getattr(writer, earlier)(*earlier_arguments)
    with pytest.raises(LocalError) as caught:
        getattr(writer, name)(*arguments)
    return caught.value.message


def test_calls_that_do_not_fit_are_refused() -> None:
    name = ("element", (tags.PATIENT_NAME, "PN", b"Doe^Jane"))
    sequence = ("begin_sequence", (tags.REFERENCED_STUDY_SEQUENCE,))
    assert "cannot follow" in misuse(name, name)
    assert "not in the sequence" in misuse(("begin_item", ()))
    assert "not in the data set" in misuse(sequence, ("close", ()))
    assert "cannot be written in the sequence" in misuse(sequence, name)
    assert "after the end" in misuse(("close", ()), name)
    assert "after the end" in misuse(("close", ()), ("close", ()))
    assert "More bytes" in misuse(("begin_sequence", (0x00081110, 8)), ("begin_item", (10,)), name)
    assert "Fewer bytes" in misuse(("begin_sequence", (0x00081110, 8)), ("end_sequence", ()))
    value = ("begin_value", (tags.PIXEL_DATA, "OB", 4))
    assert "Fewer bytes" in misuse(value, ("value", (b"abc",)), ("end_value", ()))
    assert "More bytes" in misuse(value, ("value", (b"abcde",)))
    assert "this length" in misuse(("begin_value", (tags.PIXEL_DATA, "OB", 3)))
    assert "this length" in misuse(("begin_value", (tags.PATIENT_NAME, "PN", 1 << 16)))
    assert "this length" in misuse(("begin_value", (tags.PIXEL_DATA, "OW", 1 << 32)))
    assert "undefined length" in misuse(("begin_value", (0x00100010, "PN", UNDEFINED_LENGTH)))
    fragments = ("begin_fragments", ())
    assert "More bytes" in misuse(fragments, ("begin_fragment", (2,)), ("fragment_data", (b"abc",)))
    assert "Fewer bytes" in misuse(fragments, ("begin_fragment", (2,)), ("end_fragment", ()))


ELEMENTS = st.dictionaries(
    st.integers(0x00080020, 0x7FDFFFFF).filter(lambda tag: tag & 0xFFFF != 0),
    st.tuples(st.sampled_from(["LO", "UN", "OB", "US", "SQ", "UT"]), st.binary(max_size=40)),
    max_size=12,
)


@given(ELEMENTS, st.sampled_from(SYNTAXES))
def test_any_elements_go_round(
    content: dict[int, tuple[str, bytes]], syntax: TransferSyntax
) -> None:
    writing = Writing(syntax)
    expected = []
    for tag, (vr, value) in sorted(content.items()):
        if vr == "SQ":
            writing.writer.begin_sequence(tag)
            writing.writer.begin_item()
            writing.writer.element(tag, "LO", value)
            writing.writer.end_item()
            writing.writer.end_sequence()
            vr = "LO"
        else:
            writing.writer.element(tag, vr, value)
        padding = b" " if vr in ("LO", "UT") else b"\0"
        expected.append((tag, value + padding * (len(value) % 2)))
    writing.writer.close()
    for raw in (MemoryBytes(writing.data), OneByOne(writing.data)):
        source = decoded(raw, syntax)
        found = [
            (event.tag, read_value(source, event))
            for event in elements(
                source,
                syntax._replace(deflated=False),
                value_representation=lambda tag: "UN",
            )
            if isinstance(event, Element)
        ]
        assert found == expected


def test_both_byte_orders_and_implicit_differ_as_they_should() -> None:
    rows = {syntax.short_name: element(tags.ROWS, "US", b"ab", syntax) for syntax in NATIVE}
    assert len(set(rows.values())) == 3
    for syntax in (EXPLICIT, IMPLICIT, BIG_ENDIAN):
        assert encode_element(tags.ROWS, "US", b"ab", syntax) == rows[syntax.short_name]
