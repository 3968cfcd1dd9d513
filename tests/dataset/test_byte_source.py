from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.dataset.byte_source import FileBytes, InflatedBytes, MemoryBytes
from agent.errors import PeerError, StorageError
from tests.dataset.sources import OneByOne, Sources, both_ways


def deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


def test_a_file_source_begins_and_ends_where_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        source = FileBytes(file.fileno(), 2, 5)
        assert source.read(0, 100) == b"23456"
        assert source.read(4, 2) == b"6"
        assert source.read(5, 1) == source.read(99, 1) == b""
        assert FileBytes(file.fileno()).read(1 << 80, 1) == b""
    with pytest.raises(StorageError):
        FileBytes(987654).read(0, 1)


@both_ways
@given(st.lists(st.tuples(st.integers(0, 400_000), st.integers(1, 70_000)), max_size=6))
def test_inflated_bytes_can_be_read_in_any_order(
    source_of: Sources, reads: list[tuple[int, int]]
) -> None:
    data = PLAIN
    if source_of is OneByOne:
        data = data[:20_000]
    source = InflatedBytes(source_of(deflated(data)))
    for position, length in reads:
        position %= len(data) + 10
        piece = source.read(position, length)
        assert data.startswith(piece, position)
        assert piece or position >= len(data)


PLAIN = random.Random(1).randbytes(100) * 4000


def test_reading_back_a_little_does_not_inflate_again() -> None:
    class Once(MemoryBytes):
        furthest = 0

        def read(self, position: int, length: int) -> bytes:
            assert position >= self.furthest, "the stream was begun again"
            self.furthest = position
            return super().read(position, length)

    source = InflatedBytes(Once(deflated(PLAIN)))
    position = 0
    while piece := source.read(position, 65536):
        position += len(piece)
        assert source.read(max(0, position - 120_000), 10)
    assert position == len(PLAIN)


def test_a_bomb_is_refused_by_its_ratio_and_by_its_size() -> None:
    bomb = deflated(bytes(8 << 20))
    with pytest.raises(PeerError, match="beyond its limit"):
        InflatedBytes(MemoryBytes(bomb), ratio=100).read(7 << 20, 1)
    with pytest.raises(PeerError, match="beyond its limit"):
        InflatedBytes(MemoryBytes(bomb), limit=1 << 20).read(7 << 20, 1)
    assert InflatedBytes(MemoryBytes(bomb)).read(7 << 20, 1) == b"\0"


@both_ways
def test_a_truncated_stream_gives_what_there_is(source_of: Sources) -> None:
    data = deflated(PLAIN[:5000])[:-20]
    source = InflatedBytes(source_of(data))
    position = 0
    while piece := source.read(position, 4096):
        position += len(piece)
    assert 0 < position < 5000
