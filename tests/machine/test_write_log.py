"""Disks made of a log of writes: what was flushed is there, and of the rest a part by chance."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from tests.machine.write_log import WriteLog

START = 4 << 20
SECTOR = 512
_WRITE, _FLUSH, _DISCARD = 0, 1, 4
_Act = tuple[int, int, bytes]
"""Flags, a sector of the partition, data."""


def logged(folder: Path, acts: list[_Act]) -> WriteLog:
    """The log of these acts, in the form of dm-log-writes, and a disk of zeros."""
    disk = folder / "disk"
    with disk.open("wb") as file:
        file.truncate(2 * START)
    log = WriteLog(disk, START, folder)
    parts = [struct.pack("<QQQI", 0x6A736677736872, 1, len(acts), SECTOR).ljust(SECTOR, b"\0")]
    for flags, sector, data in acts:
        head = struct.pack("<QQQQ", START // SECTOR + sector, len(data) // SECTOR, flags, 0)
        parts += [head.ljust(SECTOR, b"\0"), data]
    log.log.write_bytes(b"".join(parts))
    return log


def sector(letter: bytes, number: int = 1) -> bytes:
    return letter * SECTOR * number


def cut(log: WriteLog, folder: Path, entries: int, seed: int) -> bytes:
    """The first eight sectors of the partition, by their first letters."""
    target = folder / "cut"
    log.cut(entries, target, random.Random(seed))
    content = target.read_bytes()
    return content[: 8 * SECTOR : SECTOR].replace(b"\0", b"-")


ACTS = [
    (_WRITE, 0, sector(b"a")),
    (_FLUSH, 0, b""),
    (_WRITE, 1, sector(b"b", 3)),
    (_DISCARD, 6, b""),
    (_WRITE, 4, sector(b"c")),
]


@pytest.fixture(autouse=True)
def _nobody_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.machine.write_log._SETTLED", 0.0)


def test_what_was_flushed_is_there_and_the_rest_by_chance(tmp_path: Path) -> None:
    log = logged(tmp_path, ACTS)
    assert log.count() == len(ACTS)
    found = {cut(log, tmp_path, len(ACTS), seed) for seed in range(40)}
    assert all(each.startswith(b"a") for each in found)
    # Nothing, all, the later one without the one before, and one that is torn between sectors.
    assert {b"a-------", b"abbbc---", b"a---c---"} <= found
    assert found & {b"ab------", b"abb-----", b"ab--c---", b"abb-c---"}
    assert all(each[5:] == b"---" for each in found)


def test_a_flush_makes_all_before_it_sure(tmp_path: Path) -> None:
    log = logged(tmp_path, [*ACTS, (_FLUSH, 0, b""), (_WRITE, 0, sector(b"A"))])
    # The log is read on where it was left, and what was taken up is not in it any more.
    assert cut(log, tmp_path, 1, 0) in (b"a-------", b"--------")
    assert {cut(log, tmp_path, 6, seed) for seed in range(8)} == {b"abbbc---"}
    assert {cut(log, tmp_path, 7, seed) for seed in range(8)} == {b"abbbc---", b"Abbbc---"}


def test_what_belongs_to_other_partitions_is_passed_over(tmp_path: Path) -> None:
    log = logged(
        tmp_path, [(_WRITE, -2, sector(b"x")), (_WRITE, 0, sector(b"a")), (_FLUSH, 0, b"")]
    )
    assert cut(log, tmp_path, 3, 0) == b"a-------"
