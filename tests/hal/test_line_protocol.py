"""Framing of lines and of STX and ETX: the same in any split, and no part of a frame is a frame."""

from __future__ import annotations

import functools
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.serial.base import Garbage, LineReceived, SerialEvent
from hal.serial.line_protocol import LineProtocol

STX, ETX = b"\x02", b"\x03"
CHECKSUMS = {
    "xor": lambda data: functools.reduce(operator.xor, data, 0),
    "sum": lambda data: sum(data) % 256,
    "lrc": lambda data: (256 - sum(data) % 256) % 256,
}


def protocol(
    framing: str, checksum: str = "", longest: int = 24, end: str = "\r\n"
) -> LineProtocol:
    rules = [{"pattern": "START.*", "action": "start"}]
    return LineProtocol(
        "loop://", framing=framing, checksum=checksum, longest=longest, end=end, rules=rules
    )


def framed(body: bytes, checksum: str = "") -> bytes:
    check = bytes((CHECKSUMS[checksum](body + ETX),)) if checksum else b""
    return STX + body + ETX + check


def said(events: list[SerialEvent]) -> list[str]:
    """Texts of frames, and "" for what was thrown away."""
    return [each.text if isinstance(each, LineReceived) else "" for each in events]


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    found, at = [], 0
    for size in sizes * (len(data) // sum(sizes) + 1):
        found.append(data[at : at + size])
        at += size
    return [each for each in found if each]


# Bytes of which frames are made, and what breaks them; letters stand for all others.
BROKEN = st.lists(
    st.sampled_from([STX, ETX, b"\r", b"\n", b"\r\n", b"START", b"x", b"y" * 30, b"\x11"]),
    max_size=40,
).map(b"".join)
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("framing", "checksum", "end"),
    [
        ("line", "", "\r\n"),
        ("line", "", "\r"),
        ("line", "", "END"),
        ("stx-etx", "", "\r\n"),
        ("stx-etx", "xor", "\r\n"),
        ("stx-etx", "sum", "\r\n"),
        ("stx-etx", "lrc", "\r\n"),
    ],
)
@given(data=BROKEN, sizes=SIZES)
def test_anything_means_the_same_whole_byte_by_byte_and_in_any_split(
    framing: str, checksum: str, end: str, data: bytes, sizes: list[int]
) -> None:
    whole = said(protocol(framing, checksum, end=end).take(data, 1.0))
    for split in (pieces(data, [1]), pieces(data, sizes)):
        device = protocol(framing, checksum, end=end)
        found: list[SerialEvent] = []
        for piece in split:
            found += device.take(piece, 1.0)
            assert len(device._held) <= 24 + 3, "bounded"
        assert said(found) == whole


@pytest.mark.parametrize("checksum", ["", "xor", "sum", "lrc"])
@given(
    bodies=st.lists(st.text("AZaz09 ;", min_size=1, max_size=24).map(str.encode), max_size=6),
    noise=st.lists(st.sampled_from([b"", b"?", b"\x00\xff"]), min_size=6, max_size=6),
    sizes=SIZES,
)
def test_good_frames_come_out_between_noise(
    checksum: str, bodies: list[bytes], noise: list[bytes], sizes: list[int]
) -> None:
    data = b"".join(n + framed(b, checksum) for n, b in zip(noise, bodies, strict=False))
    device = protocol("stx-etx", checksum)
    found = [each for piece in pieces(data, sizes) for each in device.take(piece, 1.0)]
    assert [each for each in said(found) if each] == [body.decode() for body in bodies]
    wrong = sum(isinstance(each, Garbage) for each in found)
    assert wrong == sum(bool(n) for n, _ in zip(noise, bodies, strict=False))


def test_the_tail_of_an_overlong_line_is_no_order() -> None:
    for data in ([b"x" * 60, b"START\r\n"], [b"x" * 60 + b"START\r\n"]):
        device = protocol("line")
        found = [each for piece in data for each in device.take(piece, 1.0)]
        assert said(found) == [""]
        assert said(device.take(b"START\r\n", 1.0)) == ["START"]


def test_the_longest_line_is_taken_and_one_byte_more_is_not() -> None:
    for framing, make in (("line", lambda b: b + b"\r\n"), ("stx-etx", framed)):
        device = protocol(framing)
        assert said(device.take(make(b"x" * 24), 1.0)) == ["x" * 24]
        assert said(device.take(make(b"x" * 25), 1.0)) == [""]
        assert said(device.take(make(b"ok"), 1.0)) == ["ok"]


def test_a_frame_that_was_cut_off_costs_the_next_one_nothing() -> None:
    assert said(protocol("stx-etx").take(b"\x02HAL\x02WHOLE\x03", 1.0)) == ["", "WHOLE"]
    # The checksum never came; in its place stands the next frame.
    data = STX + b"HALF" + ETX + framed(b"WHOLE", "sum")
    assert said(protocol("stx-etx", "sum").take(data, 1.0)) == ["", "WHOLE"]


def test_a_checksum_that_looks_like_a_sign_of_the_frame_is_a_checksum() -> None:
    seen = set()
    for first in range(32, 127):
        for second in range(32, 127):
            data = framed(bytes((first, second)), "xor")
            if data[-1:] in (STX, ETX):
                seen.add(data[-1])
                found = protocol("stx-etx", "xor").take(data + data, 1.0)
                assert said(found) == [data[1:3].decode()] * 2
    assert seen == {2, 3}


def test_noise_is_told_of_once_however_long_it_lasts() -> None:
    device = protocol("stx-etx")
    found = [each for _ in range(5000) for each in device.take(b"\xff", 1.0)]
    assert [type(each) for each in found] == [Garbage]
    assert said(device.take(framed(b"on"), 1.0)) == ["on"]
    assert said(device.take(b"\xff", 1.0)) == [""], "and of the next noise again"


def test_a_damaged_frame_is_told_of_and_does_nothing() -> None:
    for checksum in CHECKSUMS:
        frame = framed(b"START", checksum)
        for place in range(1, 6):
            damaged = bytearray(frame)
            damaged[place] ^= 0x40
            assert said(protocol("stx-etx", checksum).take(bytes(damaged), 1.0)) == [""]
