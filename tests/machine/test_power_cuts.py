"""The power is cut while the archive stores: `gantry test --machine`.

The archive lies on a disk of a virtual machine that hides nothing in a cache of its own. At moments
of chance the machine is held, its disk is copied, and it goes on: the copy is what a machine finds
whose power went at that moment. The file system of each copy is put right as at a boot, and what
had been acknowledged until then must be there. 50 cuts, 1,000 with `--long`.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.archive.objects import Worker, files
from tests.machine.guest import Guest
from tests.machine.inside.power_cut_writer import RULES, SETTINGS, numbered
from tests.machine.plugging import Qmp
from tests.peers.programs import run

pytestmark = [pytest.mark.machine, pytest.mark.timeout(4 * 3600)]

DISK = 160 << 20
LONGEST = 2.0
"""Seconds between two cuts."""
JOB = """
modprobe ext4
mkdir -p /srv && mount -t ext4 /dev/vdb /srv || exit 1
cd /tmp/checkout
export PYTHONPATH=/tmp/checkout PYTHONDONTWRITEBYTECODE=1
python3 -m tests.machine.inside.power_cut_writer /srv/archive /tmp/results/ledger {seconds}
"""


class PowerCuts:
    """Who holds the machine, and looks at its disk."""

    def __init__(self, folder: Path, cuts: int) -> None:
        self.folder = folder
        self.cuts = cuts
        self.done = 0
        self.acknowledged = 0
        self.unconfirmed = 0
        self.disk = folder / "disk.img"
        self.path = folder / "qmp"
        self.ledger = folder / "ledger"
        self._qmp: Qmp | None = None
        self._next = 0.0
        run(["mke2fs", "-q", "-t", "ext4", str(self.disk), f"{DISK >> 10}k"]).check()

    @property
    def devices(self) -> tuple[str, ...]:
        return (
            *("-qmp", f"unix:{self.path},server=on,wait=off"),
            *("-drive", f"file={self.disk},if=virtio,format=raw,cache=writethrough"),
        )

    def attend(self) -> None:
        if self.done == self.cuts or not self.ledger.exists() or time.monotonic() < self._next:
            return
        if self._qmp is None:
            self._qmp = Qmp(self.path)
        self._qmp("stop")
        told = self.ledger.read_text()
        copy = self.folder / f"cut-{self.done}.img"
        shutil.copyfile(self.disk, copy)
        self._qmp("cont")
        self._look(copy, told.splitlines())
        copy.unlink()
        self.done += 1
        if self.done == self.cuts:
            self._qmp("quit", may_fail=True)
        self._next = time.monotonic() + random.uniform(0.0, LONGEST)

    def _look(self, copy: Path, told: list[str]) -> None:
        stored: dict[int, int] = {}
        gone: set[int] = set()
        for line in told:
            words = line.split()
            if words[0] == "stored":
                stored[int(words[2])] = int(words[1])
            else:
                gone.add(int(words[1]))
        self.acknowledged = len(stored)
        checked = run(["e2fsck", "-f", "-y", str(copy)])
        # 1: the journal was replayed, or files without names were cleared away.
        assert checked.returncode in (0, 1), checked
        folder = self.folder / "files"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        run(["debugfs", "-R", f"rdump /archive {folder}", str(copy)]).check()
        archive = folder / "archive"
        with closing(sqlite3.connect(archive / "index.sqlite")) as index:
            (before,) = index.execute("SELECT count(*) FROM unconfirmed").fetchone()
            self.unconfirmed += before
        with Worker(archive, RULES, SETTINGS) as worker:
            recovery = worker.opened.recovery
            while worker.call("sweep"):
                pass
            rows = dict(worker.rows("SELECT id, sop_instance_uid FROM instance"))
            found = files(archive)
            assert set(rows) == set(found), (self.done, recovery)
            for number, uid in rows.items():
                wanted = numbered(int(uid.rpartition(".")[2]))
                assert found[number] == wanted.meta + wanted.data_set, (self.done, number, uid)
            lost = {number for number in stored if number not in gone and number not in rows}
            assert not lost, (self.done, lost, recovery)
            assert worker.rows("PRAGMA quick_check") == [("ok",)]
        print(
            f"cut {self.done}: {len(stored)} acknowledged, {len(rows)} there, {before} unconfirmed,"
            f" {recovery.taken_back} taken back, {recovery.indexed} without a row,"
            f" {recovery.set_aside} set aside"
        )

    def close(self) -> None:
        if self._qmp is not None:
            self._qmp.close()


def test_nothing_acknowledged_is_lost_when_the_power_goes(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    cuts = PowerCuts(tmp_path, count(50, 1000))
    seconds = 30.0 * cuts.cuts
    try:
        Guest().run(
            JOB.format(seconds=seconds),
            tmp_path,
            devices=cuts.devices,
            attend=cuts.attend,
            seconds=seconds + 120.0,
        )
    finally:
        cuts.close()
    output = tmp_path / "output"
    assert cuts.done == cuts.cuts, output.read_text() if output.exists() else "no output"
    assert cuts.acknowledged > 5 * cuts.cuts
    assert cuts.unconfirmed > 0
