"""ASN.1 as a stream: BER of others, and what nobody should write, in pieces of any size."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import StorageError
from agent.security import der
from agent.security.der import OCTET_STRING, SEQUENCE, Reader


def reader_of(data: bytes, size: int = 0) -> Reader:
    step = size or max(1, len(data))
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    return Reader(pieces, "it")


@pytest.mark.parametrize(
    ("length", "octets"),
    [(0, "00"), (127, "7F"), (128, "8180"), (256, "820100"), (2**31, "8480000000")],
)
def test_lengths_are_as_short_as_they_can_be(length: int, octets: str) -> None:
    assert der.header(OCTET_STRING, length) == b"\x04" + bytes.fromhex(octets)


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255, 256, 2**64])
def test_integers(value: int) -> None:
    assert reader_of(der.integer(value)).integer() == value


@pytest.mark.parametrize(
    "text", ["1.2.840.113549.1.7.3", "2.16.840.1.101.3.4.1.42", "0.9", "2.999.1"]
)
def test_identifiers(text: str) -> None:
    assert reader_of(der.object_identifier(text)).object_identifier() == text


INDEFINITE = bytes.fromhex("3080 2480 04024142 2404 04024344 0000 0201 07 0000")


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_strings_in_parts_and_indefinite_lengths(size: int) -> None:
    reader = reader_of(INDEFINITE, size)
    reader.enter(SEQUENCE)
    assert b"".join(reader.octets()) == b"ABCD"
    assert reader.integer() == 7
    reader.leave()
    assert reader.next_tag() is None


@pytest.mark.parametrize("size", [0, 1])
def test_an_element_of_indefinite_length_gets_a_definite_one(size: int) -> None:
    assert reader_of(INDEFINITE, size).whole(100) == bytes.fromhex(
        "300F 240A 04024142 2404 04024344 020107"
    )


@pytest.mark.parametrize("end", range(len(INDEFINITE)))
def test_a_cut_is_seen_wherever_it_is(end: int) -> None:
    reader = reader_of(INDEFINITE[:end])
    with pytest.raises(StorageError, match=r"ends too early|must be"):
        reader.enter(SEQUENCE)
        list(reader.octets())
        reader.integer()
        reader.leave()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("3003 0405 4142", "longer than what it is in"),
        ("3003 2480 04", "does not end where it must|longer than"),
        ("30 89 010000000000000000 00", "length of 9 octets"),
        ("3002 0480", "indefinite length that has no parts"),
        ("3002 0500", "tag 05H where the tag 04H"),
    ],
)
def test_what_is_hostile_is_named(data: str, reason: str) -> None:
    reader = reader_of(bytes.fromhex(data))
    with pytest.raises(StorageError, match=reason):
        reader.enter(SEQUENCE)
        list(reader.octets())


def test_nobody_nests_without_end() -> None:
    data = b"\x24\x80" * 10000
    with pytest.raises(StorageError, match="nested deeper"):
        list(reader_of(data).octets())
    with pytest.raises(StorageError, match="nested deeper"):
        reader_of(data).whole(1 << 20)


def test_a_claimed_length_costs_no_memory() -> None:
    data = der.header(OCTET_STRING, 1 << 62) + b"abc"
    with pytest.raises(StorageError, match="more than 1000"):
        reader_of(data).whole(1000)

    def endless() -> Iterator[bytes]:
        yield der.header(0x24, 1 << 40)
        while True:
            yield b"\x04\x01a"

    with pytest.raises(StorageError, match="longer than 1000 bytes"):
        Reader(endless(), "it").octet_string(1000)


@given(st.binary(max_size=60), st.integers(1, 7))
def test_any_bytes_end_in_an_answer_or_in_an_error_the_same_for_all_pieces(
    data: bytes, size: int
) -> None:
    def answer(reader: Reader) -> object:
        try:
            return reader.whole(40)
        except StorageError as error:
            return error.message

    assert answer(reader_of(data)) == answer(reader_of(data, size))
