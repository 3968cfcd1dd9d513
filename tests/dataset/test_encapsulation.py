"""Which fragments make which frame (PS3.5 A.4), whatever the tables say."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest

from agent.dataset.byte_source import MemoryBytes
from agent.dataset.encapsulation import MOST_FRAGMENTS, EncapsulatedFrames
from agent.errors import PeerError

ITEM = b"\xfe\xff\x00\xe0"
END = b"\xfe\xff\xdd\xe0\0\0\0\0"


def pixel_data(fragments: Iterable[bytes], table: Iterable[int] = ()) -> bytes:
    packed = struct.pack(f"<{len(list(table))}I", *table)
    items = b"".join(ITEM + struct.pack("<I", len(each)) + each for each in (packed, *fragments))
    return items + END


def frames_of(data: bytes, count: int, **more: tuple[bytes, bytes]) -> list[bytes]:
    frames = EncapsulatedFrames(MemoryBytes(data), 0, count, **more)
    assert frames.end == len(data)
    return [whole(frames, number) for number in range(count)]


def whole(frames: EncapsulatedFrames, number: int) -> bytes:
    stream, found = frames.frame(number), b""
    while piece := stream.read(len(found), 3):
        found += piece
    assert len(found) == stream.length
    return found


JPEG = [b"\xff\xd8aaaa", b"bb\xff\xd9", b"\xff\xd8cc\xff\xd9", b"\xff\xd8dd", b"eeee\xff\xd9\0\0"]
JOINED = [JPEG[0] + JPEG[1], JPEG[2], JPEG[3] + JPEG[4]]
OFFSETS = [0, 26, 40]


def test_one_frame_takes_all_fragments() -> None:
    assert frames_of(pixel_data([b"ab", b"cd", b"ef"]), 1) == [b"abcdef"]


def test_as_many_fragments_as_frames_are_one_each() -> None:
    assert frames_of(pixel_data([b"ab", b"", b"efgh"]), 3) == [b"ab", b"", b"efgh"]


def test_the_basic_offset_table_is_followed() -> None:
    assert frames_of(pixel_data(JPEG, OFFSETS), 3) == JOINED


def test_the_extended_offset_table_is_followed() -> None:
    tables = struct.pack("<3Q", *OFFSETS), struct.pack("<3Q", 10, 6, 14)
    unmarked = [each.replace(b"\xff\xd9", b"zz") for each in JPEG]
    found = frames_of(pixel_data(unmarked), 3, extended=tables)
    assert found == [each.replace(b"\xff\xd9", b"zz") for each in JOINED]


@pytest.mark.parametrize(
    "table", [[], [0, 26], [0, 27, 40], [0, 40, 26], [8, 26, 40], [0, 26, 4000]]
)
def test_without_a_table_that_fits_the_ends_of_jpeg_streams_tell(table: list[int]) -> None:
    assert frames_of(pixel_data(JPEG, table), 3) == JOINED


def test_frames_that_cannot_be_told_apart_are_an_error_only_when_asked_for() -> None:
    frames = EncapsulatedFrames(MemoryBytes(pixel_data([b"ab", b"cd", b"ef"])), 0, 2)
    assert frames.fragments == 3
    with pytest.raises(PeerError, match="2 frames cannot be told apart in 3 fragments"):
        frames.frame(0)


@pytest.mark.parametrize(
    "data, complaint",
    [
        (END, "no Basic Offset Table"),
        (ITEM + b"\0\0\0\0", "ends within a sequence"),
        (pixel_data([b"ab"])[:-3], "ends within a sequence"),
        (ITEM + b"\0\0\0\0" + b"\x08\0\x18\0\0\0\0\0", "something else than fragments"),
        (ITEM + b"\xff\xff\xff\xff", "something else than fragments"),
        (ITEM + b"\xf0\xff\xff\xff" + END, "ends within"),
    ],
)
def test_what_is_no_encapsulated_pixel_data_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(PeerError, match=complaint) as raised:
        EncapsulatedFrames(MemoryBytes(data), 0, 1)
    assert raised.value.reaction is not None


def test_the_number_of_fragments_is_bounded() -> None:
    class Endless:
        def read(self, position: int, length: int) -> bytes:
            return ((ITEM + b"\0\0\0\0") * (length // 8 + 2))[position % 8 :][:length]

    with pytest.raises(PeerError, match="too many fragments") as raised:
        EncapsulatedFrames(Endless(), 0, 1)
    assert raised.value.limit == MOST_FRAGMENTS
