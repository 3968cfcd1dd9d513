from __future__ import annotations

import json
import tracemalloc

import pytest

from agent.dataset import tags
from agent.dataset.byte_source import FileBytes, MemoryBytes
from agent.dataset.dump import as_json, as_text, dump, dump_lines
from agent.dataset.file_meta import read_file_meta
from agent.errors import GantryError, PeerError
from tests.dataset.sources import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_BASELINE,
    Counting,
    Sources,
    both_ways,
    element,
    item,
    open_item,
    opened,
    pydicom_files,
    undefined,
)
from tests.dataset.test_reader import PIXELS
from tests.dataset.test_writer import write_nested


@both_ways
def test_each_element_item_and_fragment_is_one_line(source_of: Sources) -> None:
    inner = element(0x00080100, "SH", b"T-1 ")
    data = (
        element(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0")
        + undefined(tags.PROCEDURE_CODE_SEQUENCE, "SQ", open_item(inner) + item(tags.ITEM, inner))
        + element(0x00090010, "LO", b"GEMS_IDEN_01")
        + element(0x00091002, "SH", b"CT01")
        + element(tags.FRAME_INCREMENT_POINTER, "AT", b"\x18\0\x63\x10")
        + element(tags.ROWS, "US", b"\0\2\1\0")
        + PIXELS
    )
    assert list(dump_lines(source_of(data), JPEG_BASELINE)) == [
        "(0008,0016) UI SOP Class UID [26] = 1.2.840.10008.5.1.4.1.1.2 (CT Image Storage)",
        "(0008,1032) SQ Procedure Code Sequence [undefined]",
        "  Item 1 [undefined]",
        "  (0008,0100) SH Code Value [4] = T-1",
        "  Item 2 [12]",
        "  (0008,0100) SH Code Value [4] = T-1",
        "(0009,0010) LO Private Creator [12] = GEMS_IDEN_01",
        "(0009,1002) SH Suite id [4] = CT01",
        "(0028,0009) AT Frame Increment Pointer [4] = (0018,1063)",
        "(0028,0010) US Rows [4] = 512\\1",
        "(7FE0,0010) OB Pixel Data [undefined]",
        "  Basic Offset Table [4] = 00 00 00 00",
        "  Fragment 1 [4] = ff d8 ff d9",
        "  Fragment 2 [0]",
    ]


def test_the_character_set_of_an_item_governs_the_item_only() -> None:
    greek, latin = b"\xc4\xe9", b"\xc4\xe9"
    in_greek = element(0x00080005, "CS", b"ISO_IR 126") + element(0x00100010, "PN", greek)
    data = (
        element(0x00080005, "CS", b"ISO_IR 100")
        + undefined(
            tags.REFERENCED_PATIENT_SEQUENCE,
            "SQ",
            open_item(in_greek) + open_item(element(0x00100010, "PN", latin)),
        )
        + element(0x00100010, "PN", latin)
    )
    names = [line.value for line in dump(MemoryBytes(data), EXPLICIT) if line.tag == 0x00100010]
    assert names == ["Δι", "Äé", "Äé"]


def test_what_could_steer_a_terminal_is_shown_not_obeyed() -> None:
    data = element(0x00080005, "CS", b"ISO_IR 192") + element(
        0x00100010, "PN", "\x1b[2J\r\nDoe\x9b\u202e".encode() + b" "
    )
    line = list(dump_lines(MemoryBytes(data), EXPLICIT))[-1]
    assert line.isprintable()
    assert "\\x1b[2J\\x0d\\x0aDoe\\x9b\\u202e" in line


def test_long_values_are_cut_and_never_read_whole() -> None:
    head = element(0x00091001, "UT", b"")[:-4] + (1 << 30).to_bytes(4, "little")
    source = Counting(head + b"x" * 1000, len(head) + (1 << 30))
    tracemalloc.start()
    (line,) = dump(source, EXPLICIT, width=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (line.value, line.cut, line.length) == ("x" * 20, True, 1 << 30)
    assert as_text(line).endswith("x...")
    assert source.read_bytes < 30_000
    assert peak < 4 << 20, "most of it pydicom's dictionary, if this test runs first"


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED])
def test_every_syntax_gives_the_same_names_and_values(syntax) -> None:
    lines = list(dump(MemoryBytes(write_nested(syntax)), syntax))
    assert [(line.name, line.value) for line in lines if line.kind == "element"] == [
        ("SOP Instance UID", "1.2.3"),
        ("Code Value", "T-1"),
        ("Code Value", "T-1"),
        ("Code Value", "T-1"),
        ("Code Value", "T-1"),
        ("Patient's Name", "Doe^Jane"),
    ]


def test_json_lines_hold_the_same() -> None:
    data = undefined(0x00081032, "SQ", item(tags.ITEM, element(0x00080100, "SH", b"T-1 ")))
    lines = [json.loads(as_json(line)) for line in dump(MemoryBytes(data), EXPLICIT)]
    assert lines[0] == {
        "kind": "sequence",
        "depth": 0,
        "tag": "00081032",
        "vr": "SQ",
        "name": "Procedure Code Sequence",
        "length": None,
        "value": "",
        "cut": False,
    }
    assert (lines[1]["kind"], lines[1]["number"]) == ("item", 1)
    assert lines[2]["value"] == "T-1"


def test_lines_before_the_damage_come_before_the_error() -> None:
    data = element(0x00100010, "PN", b"Doe^Jane") + element(0x00100020, "LO", b"4711")[:-1]
    lines = dump(MemoryBytes(data), EXPLICIT)
    assert next(lines).value == "Doe^Jane"
    assert next(lines).value == "471"
    with pytest.raises(PeerError):
        next(lines)


def test_every_file_of_pydicom_is_dumped_or_refused_in_a_sentence() -> None:
    dumped = 0
    for path in pydicom_files():
        with opened(path) as descriptor:
            try:
                meta = read_file_meta(descriptor)
                source = FileBytes(descriptor, meta.data_set_offset)
                for line in dump(source, meta.encoding):
                    assert as_text(line).isprintable()
                dumped += 1
            except GantryError as error:
                assert error.message.endswith(".")
    assert dumped > 150
