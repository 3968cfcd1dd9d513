"""What a disk has kept when its power goes, made of a log of all that was written to it.

QEMU (its driver `blklogwrites`) notes each write and each flush in the form of the kernel's
dm-log-writes. A disk may keep what it was given in a cache of its own until it is told to flush
it: of what came after the last flush before a cut each write may have arrived, or in part, or not
at all, and a later one without the one before it.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

_SECTOR = 512
_MAGIC = 0x6A736677736872
_FLUSH, _DISCARD = 1, 4
_SETTLED = 0.2
"""Seconds after which an entry that was counted has been written."""


class _Entry(NamedTuple):
    """One write, or one flush; `place` is where its data lie in the log. Bytes."""

    offset: int
    size: int
    is_flush: bool
    place: int


class Cut(NamedTuple):
    """What became of the writes after the last flush."""

    kept: int
    torn: int
    lost: int


class WriteLog:
    """The log of one disk, and a copy of its end, from `start` (bytes), as it surely is by now."""

    def __init__(self, disk: Path, start: int, folder: Path) -> None:
        self.disk = disk
        self.log = folder / "writes.log"
        self.log.touch()
        self._start = start
        self._sure = folder / "sure.img"
        self._seen = 0
        self._place = _SECTOR
        copy_from(disk, start, self._sure)

    @property
    def drive(self) -> tuple[str, ...]:
        """Words for QEMU: the disk, with the cache that it says it has, and the log."""
        # The host's own disk is not waited for: what a flush is worth is decided here.
        return (
            "-blockdev",
            "driver=blklogwrites,node-name=card,log-super-update-interval=1,"
            f"file.driver=file,file.filename={self.disk},file.cache.no-flush=on,"
            f"log.driver=file,log.filename={self.log},log.cache.no-flush=on",
            *("-device", "virtio-blk-pci,drive=card"),
        )

    def count(self) -> int:
        """How many entries there are by now."""
        with self.log.open("rb") as file:
            magic, version, entries, size = struct.unpack("<QQQI", file.read(28))
        assert (magic, version, size) == (_MAGIC, 1, _SECTOR)
        found: int = entries
        return found

    def cut(self, entries: int, target: Path, chance: random.Random) -> Cut:
        """Write into `target` what the disk may have kept after so many entries.

        They must not be fewer than at the call before.
        """
        time.sleep(_SETTLED)
        with self.log.open("rb") as log:
            waiting = self._take_up(log.fileno(), entries)
            subprocess.run(["cp", "--sparse=always", self._sure, target], check=True)
            return self._lose(log.fileno(), waiting, target, chance)

    def _take_up(self, log: int, entries: int) -> list[_Entry]:
        """Carry out what was flushed; what was not, in its order."""
        waiting: list[_Entry] = []
        place = self._place
        with self._sure.open("r+b") as sure:
            for number in range(self._seen, entries):
                entry, place = _entry(log, place)
                if entry.size:
                    waiting.append(entry)
                if entry.is_flush:
                    for each in waiting:
                        self._write(log, sure.fileno(), each, each.size)
                    waiting.clear()
                    self._seen, self._place = number + 1, place
        # What is in `sure` is not wanted again.
        room = ["fallocate", "--punch-hole", "--offset", str(_SECTOR), "--length"]
        if self._place > _SECTOR:
            subprocess.run([*room, str(self._place - _SECTOR), self.log], check=True)
        return waiting

    def _lose(self, log: int, waiting: list[_Entry], target: Path, chance: random.Random) -> Cut:
        share = chance.choice((0.0, 1.0, chance.random()))
        kept = torn = lost = 0
        with target.open("r+b") as disk:
            for each in waiting:
                if chance.random() < share:
                    self._write(log, disk.fileno(), each, each.size)
                    kept += 1
                elif share > 0.0 and chance.random() < 0.5:
                    # Sectors are whole or not there; a write is not.
                    sectors = chance.randrange(each.size // _SECTOR)
                    self._write(log, disk.fileno(), each, sectors * _SECTOR)
                    torn += 1
                else:
                    lost += 1
        return Cut(kept, torn, lost)

    def _write(self, log: int, disk: int, entry: _Entry, size: int) -> None:
        # What belongs to other partitions is passed over; none of ours begins before `start`.
        if entry.offset >= self._start:
            os.pwrite(disk, os.pread(log, size, entry.place), entry.offset - self._start)


def _entry(log: int, place: int) -> tuple[_Entry, int]:
    """The entry at this place, and where the next one begins."""
    sector, sectors, flags, _ = struct.unpack("<QQQQ", os.pread(log, 32, place))
    assert not flags & ~(_FLUSH | _DISCARD), f"no entry at {place}: {flags:#x}"
    place += _SECTOR
    size = 0 if flags & _DISCARD else sectors * _SECTOR
    return _Entry(sector * _SECTOR, size, bool(flags & _FLUSH), place), place + size


def copy_from(disk: Path, start: int, target: Path) -> None:
    """What a disk has from `start` on; a multiple of 4 MiB. Holes stay holes."""
    block = 4 << 20
    assert start % block == 0
    subprocess.run(
        [
            *("dd", f"if={disk}", f"of={target}", f"bs={block}", f"skip={start // block}"),
            *("conv=sparse", "status=none"),
        ],
        check=True,
    )
