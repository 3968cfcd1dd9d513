"""The ring of frames on disk: whatever is written and held, what is read is what was written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import StorageError
from agent.objects.frame_ring import FrameRing, RingFrame


@pytest.fixture
def descriptor() -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        yield file.fileno()


def put(ring: FrameRing, at: float, data: bytes, dropped: int = 0, step: int = 7) -> bool:
    ring.begin_frame(at, dropped)
    for start in range(0, len(data), step):
        ring.write(data[start : start + step])
    return ring.end_frame()


def read(ring: FrameRing, frame: RingFrame) -> bytes:
    return b"".join(bytes(each) for each in ring.pieces(frame))


@settings(max_examples=150, deadline=None)
@given(
    size=st.integers(1, 200),
    seconds=st.integers(1, 30),
    acts=st.lists(
        st.tuples(
            st.integers(0, 90), st.sampled_from(["put", "hold", "let go"]), st.integers(1, 9)
        ),
        max_size=60,
    ),
)
def test_frames_are_read_as_they_were_written_and_the_file_never_grows(
    size: int, seconds: int, acts: list[tuple[int, str, int]]
) -> None:
    with tempfile.TemporaryFile() as file:
        ring = FrameRing(file.fileno(), size, seconds)
        written: dict[float, bytes] = {}
        held: list[float] = []
        missing, now = 0, 0.0
        for length, act, step in acts:
            if act == "hold":
                found = ring.between(0, now)
                ring.hold(found[length % len(found)] if found else None)
                held = [each.timestamp for each in found[length % len(found) :]] if found else []
                continue
            if act == "let go":
                ring.hold(None)
                held = []
                continue
            now += 1
            data = bytes((int(now) * 31 + n) % 256 for n in range(length))
            if put(ring, now, data, step=step):
                written[now] = data
                newest = ring.newest
                assert newest is not None and newest.timestamp == now
                assert newest.dropped == missing
                missing = 0
                if held:
                    held.append(now)
            else:
                missing += 1
                assert ring.newest is None
            found = ring.between(0, now)
            assert [read(ring, each) for each in found] == [
                written[each.timestamp] for each in found
            ]
            kept = [each.timestamp for each in found]
            assert kept == sorted(kept) and set(held) <= set(kept)
            assert sum(each.length for each in found) <= size
            if not held and found:
                assert now - kept[0] <= seconds
        assert os.fstat(file.fileno()).st_size == size


def test_the_newest_replace_the_oldest(descriptor: int) -> None:
    ring = FrameRing(descriptor, 1000, 60)
    for number in range(95):
        assert put(ring, number, bytes([number]) * 100)
    found = ring.between(0, 95)
    assert [each.timestamp for each in found] == list(range(85, 95))
    assert [read(ring, each) for each in found] == [bytes([n]) * 100 for n in range(85, 95)]
    assert ring.between(90, 92.5)[-1].timestamp == 92


def test_frames_that_are_too_old_go_though_there_is_room(descriptor: int) -> None:
    ring = FrameRing(descriptor, 1000, 5)
    for number in range(20):
        put(ring, number, b"x")
    assert [each.timestamp for each in ring.between(0, 99)] == [14, 15, 16, 17, 18, 19]


def test_what_is_held_stays_and_what_had_no_room_is_counted_as_missing(descriptor: int) -> None:
    ring = FrameRing(descriptor, 30, 60)
    for number in range(3):
        put(ring, number, bytes([number]) * 10)
    first, second, _ = ring.between(0, 9)
    ring.hold(first)
    assert not put(ring, 3, b"y" * 10, dropped=2)
    assert ring.newest is None
    ring.hold(second)
    assert put(ring, 4, b"z" * 10)
    assert ring.newest is not None and ring.newest.dropped == 3
    assert read(ring, second) == b"\1" * 10


def test_a_frame_larger_than_the_file_is_given_up(descriptor: int) -> None:
    ring = FrameRing(descriptor, 30, 60)
    put(ring, 0, b"a" * 10)
    assert not put(ring, 1, b"b" * 31)
    assert put(ring, 2, b"c" * 30)
    assert [read(ring, each) for each in ring.between(0, 9)] == [b"c" * 30]


def test_a_disk_without_room_and_a_broken_one_are_said(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_RDWR)
    try:
        with pytest.raises(StorageError):
            FrameRing(full, 4096, 1)
    finally:
        os.close(full)
    path = tmp_path / "ring"
    path.touch()
    file = os.open(path, os.O_RDWR)
    ring = FrameRing(file, 100, 1)
    put(ring, 0, b"a" * 10)
    (frame,) = ring.between(0, 1)
    os.ftruncate(file, 5)
    with pytest.raises(StorageError, match="cut off"):
        read(ring, frame)
    os.close(file)
    with pytest.raises(StorageError, match="cannot be kept"):
        put(ring, 1, b"b" * 10)
    with pytest.raises(StorageError, match="cannot be read"):
        read(ring, frame)
