"""Codes of a reader: two are never one, a part is never a whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.serial.base import CodeRead, Garbage, SerialEvent
from hal.serial.code_reader import CodeReader
from tests.hal.clocks import StoppedClock


def codes(events: list[SerialEvent]) -> list[str]:
    return [each.text for each in events if isinstance(each, CodeRead)]


def test_two_cards_are_two_codes_though_the_owner_comes_late() -> None:
    reader = CodeReader("loop://", suffix="", pause=0.1)
    assert reader.take(b"CARD1", 1.0) == []
    assert codes(reader.take(b"CARD2", 1.2)) == ["CARD1"]
    assert codes(reader.look(None, 1.3)) == ["CARD2"]


def test_a_code_too_long_is_told_of_by_its_pause_too() -> None:
    reader = CodeReader("loop://", suffix="", pause=0.1)
    assert reader.take(b"x" * 5000, 1.0) == []
    assert reader.next_look() == pytest.approx(1.1)
    assert [type(each) for each in reader.look(None, 1.1)] == [Garbage]
    assert reader.next_look() is None
    reader.take(b"CARD", 2.0)
    assert codes(reader.look(None, 2.2)) == ["CARD"]


@given(
    st.lists(st.text("AB1\x1d]", min_size=1, max_size=9), min_size=1, max_size=4),
    st.lists(st.integers(1, 5), min_size=1, max_size=9),
)
def test_codes_between_prefix_and_suffix_come_out_in_any_split(
    texts: list[str], sizes: list[int]
) -> None:
    texts = [each for each in texts if each.strip()]
    data = b"".join(b"\x02" + each.encode() + b"\x03" for each in texts)
    reader = CodeReader("loop://", prefix="\x02", suffix="\x03")
    found: list[SerialEvent] = []
    at = 0
    for size in sizes * (len(data) + 1):
        found += reader.take(data[at : at + size], 1.0)
        at += size
    assert codes(found) == texts
    assert len(found) == len(texts)


def test_separators_of_gs1_are_kept_and_the_symbology_is_taken_off() -> None:
    reader = CodeReader("loop://", identifier=True, suffix="\r")
    found = reader.take(b"]C1801800\x1d21X\r]d2Y\rZ\r", 1.0)
    assert codes(found) == ["801800\x1d21X", "Y", "Z"]


def test_a_code_without_its_prefix_is_no_code() -> None:
    reader = CodeReader("loop://", prefix="~", suffix="\r\n")
    found = reader.take(b"ALF\r\n~WHOLE\r\n", 1.0)
    assert [type(each) for each in found] == [Garbage, CodeRead]


def test_characters_are_those_of_the_reader() -> None:
    assert codes(CodeReader("loop://", encoding="latin-1").take(b"M\xfcller\r", 1.0)) == ["Müller"]
    assert codes(CodeReader("loop://").take("Müller\r".encode(), 1.0)) == ["Müller"]


def test_closing_forgets_the_half_of_a_code() -> None:
    clock = StoppedClock()
    reader = CodeReader("loop://", now=clock.now)
    reader.open()
    reader.events()
    reader.write(b"HALF")
    reader.events()
    reader.close()
    reader.open()
    reader.events()
    reader.write(b"WHOLE\n")
    assert codes(reader.events()) == ["WHOLE"]
    reader.close()
