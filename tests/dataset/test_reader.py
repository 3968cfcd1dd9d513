from __future__ import annotations

import tracemalloc
import zlib

import pytest

from agent.dataset import tags
from agent.dataset.byte_source import CANNOT_UNDERSTAND, MemoryBytes, decoded
from agent.dataset.reader import (
    Element,
    Event,
    FragmentsEnd,
    FragmentStart,
    ItemEnd,
    ItemStart,
    ReaderLimits,
    SequenceEnd,
    SequenceStart,
    elements,
    read_value,
)
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.errors import PeerError, StatusReaction
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
    undefined,
)

syntaxes = pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.short_name)


def outline(events: list[Event]) -> list[str]:
    """The events in short, without offsets."""
    lines = []
    for event in events:
        match event:
            case Element():
                length = "?" if event.length == UNDEFINED_LENGTH else event.length
                lines.append(f"{event.depth} {event.tag:08X} {event.vr} {length}")
            case SequenceStart():
                lines.append(f"{event.depth} {event.tag:08X} {event.vr} (")
            case SequenceEnd():
                lines.append(f"{event.depth} {event.tag:08X} )")
            case ItemStart():
                lines.append(f"{event.depth} item {event.number} (")
            case ItemEnd():
                lines.append(f"{event.depth} )")
            case FragmentStart():
                lines.append(f"{event.depth} fragment {event.number} {event.length}")
            case FragmentsEnd():
                lines.append(f"{event.depth} fragments )")
    return lines


def nested(syntax: TransferSyntax) -> bytes:
    code = element(0x00080100, "SH", b"T-1 ", syntax)
    inner = undefined(tags.REFERENCED_IMAGE_SEQUENCE, "SQ", open_item(code, syntax), syntax)
    return (
        element(tags.SOP_INSTANCE_UID, "UI", b"1.2.3\0", syntax)
        + element(
            tags.PROCEDURE_CODE_SEQUENCE,
            "SQ",
            item(tags.ITEM, code, syntax) + item(tags.ITEM, b"", syntax),
            syntax,
        )
        + undefined(
            tags.REFERENCED_STUDY_SEQUENCE,
            "SQ",
            open_item(code + inner, syntax) + item(tags.ITEM, code, syntax),
            syntax,
        )
        + undefined(tags.REFERENCED_SOP_SEQUENCE, "SQ", b"", syntax)
        + element(tags.PATIENT_NAME, "PN", b"Doe^Jane", syntax)
    )


NESTED = """\
0 00080018 UI 6
0 00081032 SQ (
0 item 1 (
1 00080100 SH 4
0 )
0 item 2 (
0 )
0 00081032 )
0 00081110 SQ (
0 item 1 (
1 00080100 SH 4
1 00081140 SQ (
1 item 1 (
2 00080100 SH 4
1 )
1 00081140 )
0 )
0 item 2 (
1 00080100 SH 4
0 )
0 00081110 )
0 00081199 SQ (
0 00081199 )
0 00100010 PN 8""".splitlines()


@both_ways
@syntaxes
def test_elements_sequences_and_items_come_in_order(
    source_of: Sources, syntax: TransferSyntax
) -> None:
    assert outline(list(elements(source_of(nested(syntax)), syntax))) == NESTED


@both_ways
@syntaxes
def test_offsets_say_where_everything_stands(source_of: Sources, syntax: TransferSyntax) -> None:
    data = nested(syntax)
    source = source_of(data)
    for event in elements(source, syntax):
        if isinstance(event, Element):
            expected = {0x00080100: b"T-1 ", tags.SOP_INSTANCE_UID: b"1.2.3\0"}
            assert read_value(source, event) == expected.get(event.tag, b"Doe^Jane")
            assert event.value_offset - event.offset in (8, 12)
        elif isinstance(event, ItemStart):
            tag = data[event.offset : event.offset + 4]
            assert tag == (b"\xfe\xff\0\xe0" if syntax.little_endian else b"\xff\xfe\xe0\0")
    assert event.offset == len(data) - 16


@both_ways
def test_a_deflated_data_set_reads_like_an_explicit_one(source_of: Sources) -> None:
    deflater = zlib.compressobj(wbits=-15)
    data = deflater.compress(nested(EXPLICIT)) + deflater.flush()
    data += b"\0" * (len(data) % 2)
    assert outline(list(elements(source_of(data), DEFLATED))) == NESTED
    inflated = decoded(source_of(data), DEFLATED)
    last = list(elements(inflated, EXPLICIT))[-1]
    assert isinstance(last, Element)
    assert read_value(inflated, last) == b"Doe^Jane"


@both_ways
def test_the_reader_stops_at_pixel_data(source_of: Sources) -> None:
    data = nested(EXPLICIT) + element(tags.PIXEL_DATA, "OW", bytes(8))[:-8]
    events = list(elements(source_of(data), EXPLICIT))
    assert outline(events)[-1] == "0 7FE00010 OW 8"


PIXELS = undefined(
    tags.PIXEL_DATA,
    "OB",
    item(tags.ITEM, bytes(4)) + item(tags.ITEM, b"\xff\xd8\xff\xd9") + item(tags.ITEM, b""),
)


@both_ways
def test_through_bulk_fragments_and_trailing_elements_come_too(source_of: Sources) -> None:
    data = PIXELS + element(tags.DATA_SET_TRAILING_PADDING, "OB", bytes(2))
    assert outline(list(elements(source_of(data), JPEG_BASELINE, through_bulk=True))) == [
        "0 7FE00010 OB ?",
        "0 fragment 0 4",
        "0 fragment 1 4",
        "0 fragment 2 0",
        "0 fragments )",
        "0 FFFCFFFC OB 2",
    ]
    assert outline(list(elements(source_of(data), JPEG_BASELINE))) == ["0 7FE00010 OB ?"]


@both_ways
def test_pixel_data_of_an_icon_does_not_stop_the_reader(source_of: Sources) -> None:
    icon = undefined(0x00880200, "SQ", open_item(PIXELS))
    data = icon + element(0x00880904, "LO", b"Title ")
    assert outline(list(elements(source_of(data), JPEG_BASELINE)))[-3:] == [
        "0 )",
        "0 00880200 )",
        "0 00880904 LO 6",
    ]


@both_ways
@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN], ids=["little", "big"])
def test_unknown_of_undefined_length_is_an_implicit_little_endian_sequence(
    source_of: Sources, syntax: TransferSyntax
) -> None:
    content = open_item(
        element(0x00091002, "", b"abcd", IMPLICIT)
        + undefined(0x00091003, "", item(tags.ITEM, b"", IMPLICIT), IMPLICIT),
        IMPLICIT,
    )
    head = element(0x00091001, "UN", b"", syntax)[:-4] + b"\xff" * 4
    data = head + content + item(tags.SEQUENCE_DELIMITATION, b"", IMPLICIT)
    data += element(tags.PATIENT_NAME, "PN", b"Doe^Jane", syntax)
    events = list(elements(source_of(data), syntax))
    assert outline(events) == [
        "0 00091001 UN (",
        "0 item 1 (",
        "1 00091002 UN 4",
        "1 00091003 UN (",
        "1 item 1 (",
        "1 )",
        "1 00091003 )",
        "0 )",
        "0 00091001 )",
        "0 00100010 PN 8",
    ]
    inner = events[2]
    assert isinstance(inner, Element)
    assert inner.little_endian, "CP-246: inside, whatever is outside"


@both_ways
def test_cd_54_an_illegal_private_element_is_read_like_any_other(source_of: Sources) -> None:
    data = element(0x00090009, "SH", b"73211009") + element(tags.PATIENT_NAME, "PN", b"")
    source = source_of(data)
    first, second = elements(source, EXPLICIT)
    assert isinstance(first, Element) and isinstance(second, Element)
    assert (first.tag, first.vr, read_value(source, first)) == (0x00090009, "SH", b"73211009")


@both_ways
def test_in_implicit_vr_the_dictionary_in_use_gives_the_vr(source_of: Sources) -> None:
    data = (
        element(0x00090010, "", b"CREATOR ", IMPLICIT)
        + element(0x00091001, "", item(tags.ITEM, b""), IMPLICIT)
        + element(tags.ROWS, "", b"\0\2", IMPLICIT)
        + element(0x00189346, "", item(tags.ITEM, b""), IMPLICIT)
    )
    assert outline(list(elements(source_of(data), IMPLICIT))) == [
        "0 00090010 LO 8",
        "0 00091001 UN 8",
        "0 00280010 US 2",
        "0 00189346 UN 8",
    ]
    whole = elements(
        source_of(data), IMPLICIT, value_representation=tags.dictionary_value_representation
    )
    assert outline(list(whole))[3:5] == ["0 00189346 SQ (", "0 item 1 ("]


def refusal(data: bytes, syntax: TransferSyntax = EXPLICIT, **limits: int) -> str:
    messages = []
    for source in (MemoryBytes(data), OneByOne(data)):
        with pytest.raises(PeerError) as caught:
            for event in elements(source, syntax, limits=ReaderLimits(**limits), through_bulk=True):
                if isinstance(event, Element) and event.length != UNDEFINED_LENGTH:
                    read_value(source, event, limits=ReaderLimits(**limits))
        assert isinstance(caught.value.reaction, StatusReaction)
        assert caught.value.reaction.status == CANNOT_UNDERSTAND
        assert caught.value.clause == "PS3.5 7"
        messages.append(caught.value.message)
    assert messages[0] == messages[1]
    return messages[0]


NAME = element(tags.PATIENT_NAME, "PN", b"Doe^Jane")
SEQUENCE = tags.REFERENCED_STUDY_SEQUENCE


def test_what_breaks_the_nesting_is_refused() -> None:
    assert "ends within a value" in refusal(NAME[:-1])
    assert "ends within a sequence" in refusal(undefined(SEQUENCE, "SQ", open_item(NAME))[:-8])
    assert "ends within an item" in refusal(undefined(SEQUENCE, "SQ", open_item(NAME))[:-16])
    assert "something else" in refusal(undefined(SEQUENCE, "SQ", NAME))
    assert "longer than what" in refusal(element(SEQUENCE, "SQ", item(tags.ITEM, NAME)[:-2]))
    short_item = item(tags.ITEM, NAME)[:4] + (len(NAME) - 2).to_bytes(4, "little") + NAME
    assert "longer than what" in refusal(undefined(SEQUENCE, "SQ", short_item))
    assert "stands where it cannot" in refusal(item(tags.ITEM, NAME))
    assert "stands where it cannot" in refusal(item(tags.SEQUENCE_DELIMITATION, b""))
    assert "no defined length" in refusal(undefined(tags.PIXEL_DATA, "OB", open_item(b"")))


def test_limits_hold() -> None:
    assert "too long to be read whole" in refusal(NAME, value_length=4)
    assert "must be parsed" in refusal(nested(EXPLICIT) * 1000, byte_budget=8192)
    two = undefined(SEQUENCE, "SQ", open_item(undefined(SEQUENCE, "SQ", b"")))
    assert "nested too deeply" in refusal(two, depth=0)
    list(elements(MemoryBytes(two), EXPLICIT, limits=ReaderLimits(depth=2)))


def test_a_hundred_thousand_sequences_within_each_other_are_refused_without_recursion() -> None:
    level = undefined(SEQUENCE, "SQ", b"")[:-8] + open_item(b"")[:8]
    assert "nested too deeply" in refusal(level * 100)
    with pytest.raises(PeerError, match="nested too deeply"):
        for _ in elements(MemoryBytes(level * 100_000), EXPLICIT):
            pass


def test_a_gigabyte_of_value_costs_neither_reading_nor_memory() -> None:
    size = 1 << 30
    head = element(0x00091001, "OB", b"")[:-4] + size.to_bytes(4, "little")
    source = Counting(head, len(head) + size)
    tracemalloc.start()
    events = list(elements(source, EXPLICIT))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outline(events) == [f"0 00091001 OB {size}"]
    assert source.read_bytes < 20_000
    assert peak < 200_000


def test_fragments_of_a_gigabyte_are_walked_through_within_the_budget() -> None:
    count, length = 20_000, 50_000
    fragment = item(tags.ITEM, bytes(length))

    class Fragments:
        """Pixel data of a gigabyte, made as they are read."""

        read_bytes = 0
        head = undefined(tags.PIXEL_DATA, "OB", b"")[:-8] + item(tags.ITEM, b"")
        end = item(tags.SEQUENCE_DELIMITATION, b"")

        def read(self, position: int, wanted: int) -> bytes:
            data = b""
            if position < len(self.head):
                data = self.head[position:]
            else:
                number, offset = divmod(position - len(self.head), len(fragment))
                if number < count:
                    data = fragment[offset:]
                elif number == count:
                    data = self.end[offset:]
            self.read_bytes += len(data[:wanted])
            return data[:wanted]

    source = Fragments()
    events = list(elements(source, JPEG_BASELINE, through_bulk=True))
    assert len(events) == count + 3
    assert isinstance(events[-1], FragmentsEnd)
    assert source.read_bytes < 600 * count


def test_a_deflate_bomb_is_refused_in_little_memory() -> None:
    deflater = zlib.compressobj(1, wbits=-15)
    bomb = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(16)) + deflater.flush()
    tracemalloc.start()
    with pytest.raises(PeerError, match="must be parsed"):
        for _ in elements(MemoryBytes(bomb), DEFLATED, limits=ReaderLimits(byte_budget=1 << 17)):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_damaged_deflated_data_set_is_said_to_be_one() -> None:
    with pytest.raises(PeerError, match="deflated data set is damaged"):
        list(elements(MemoryBytes(b"\xff" * 100), DEFLATED))
