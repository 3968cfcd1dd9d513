"""The power of a whole box is cut while it works: `gantry test --machine`.

A card in a machine takes objects of two modalities (DCMTK's storescu, outside) over its network
card and delivers them to an archive outside (storescp). What was acknowledged, the modalities say.

Most cuts are made of the log of all that was written to its disk (`write_log`): the disk of that
moment, without more or less of what it had not been told to flush, is put right and opened here. 50
cuts, 1,000 with `--long`, or GANTRY_BOX_CUTS. At others the machine is killed or reset for real,
and has to come back. The seed of the moments is printed, and given again by GANTRY_BOX_CUT_SEED.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from agent.archive.settings import ArchiveSettings
from image.boards import BOARDS
from image.partitions import layout
from tests.archive.objects import Rules
from tests.machine.box_load import Ledger, Modality, difference, number_of
from tests.machine.card import FIRMWARE, Box, Disk
from tests.machine.cut_disk import archive_of, opened
from tests.machine.plugging import Qmp
from tests.machine.test_card import built
from tests.machine.write_log import WriteLog, copy_from
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.process import free_port, wait_until
from tests.peers.programs import missing

pytestmark = [pytest.mark.machine, pytest.mark.timeout(8 * 3600)]

BOARD = BOARDS["amd64"]
DATA = next(each for each in layout(BOARD) if each.name == "data")
ARCHIVE = "/lib/gantry/archive/main"
"""On the data partition, which the box has at /var."""
LONGEST = 5.0
"""Seconds between two cuts."""
_PATIENCE = 20 * 60.0

_CONFIGURATION = """profile = "gateway"
[[archive]]
name = "main"
[archive.retention]
delete = "by-age"
age = "20 s"
keep = "10 s"
[[entity]]
name = "GANTRY"
port = 11112
[entity.accept]
calling = "any"
[[peer]]
name = "PACS"
addresses = ["10.0.2.2:{port}"]
[peer.retry]
first = "1 s"
longest = "5 s"
[[route]]
name = "everything"
deliver = ["PACS"]
"""
_SLOW = "[Service]\nTimeoutStartSec=15min\nWatchdogSec=5min\n"


class Moment(NamedTuple):
    """What was known at one time: `promised` before the log had `entries`, `delivered` after."""

    promised: frozenset[int]
    entries: int
    delivered: dict[int, int]


class Site:
    """A box between modalities and an archive, and who knows what was promised."""

    def __init__(self, folder: Path, archive: DcmtkStoreScp) -> None:
        self.folder = folder
        self.ledger = Ledger()
        self.archive = archive
        self.chance = random.Random(_seed())
        self.port = free_port()
        self.disk = Disk(BOARD, built(BOARD).card, folder)
        self.disk.put_shell(
            folder,
            {
                "gantry": None,
                "gantry/gantry.toml": _CONFIGURATION.format(port=archive.port),
                "systemd/system/gantry.service.d": None,
                "systemd/system/gantry.service.d/slow.conf": _SLOW,
            },
        )
        self.box: Box | None = None
        """The machine that is switched on, with the modalities at work."""
        self._modalities: list[Modality] = []
        self._sent = 0
        self._compared: set[int] = set()

    def switch_on(self, drive: tuple[str, ...] = ()) -> Box:
        """A machine with the card; it is held and reset by `qmp`."""
        devices = ("-qmp", f"unix:{self.folder}/qmp,server=on,wait=off")
        ports = {self.port: 11112}
        self.box = Box(BOARD, self.disk, self.folder, ports=ports, devices=devices, drive=drive)
        return self.box

    def working(self) -> Box:
        """The machine, its node and the modalities, started where they are not."""
        box = self.box or self.switch_on()
        wait_until_it_serves(box)
        if not self._modalities:
            self.load()
        wait_for_objects(self, 10)
        return box

    def qmp(self) -> Qmp:
        return Qmp(self.folder / "qmp")

    def load(self) -> None:
        """Two modalities begin to send."""
        for name in ("CT1", "MR1"):
            self._sent += 1
            number = self._sent * 1_000_000
            modality = Modality(name, self.port, number, self.folder, self.ledger)
            self._modalities.append(modality)
            modality.start()

    def rest(self) -> None:
        """They send no more."""
        while self._modalities:
            self._modalities.pop().stop()

    def delivered(self) -> dict[int, int]:
        """What the archive outside has by now: sizes of files, which may still grow."""
        with os.scandir(self.archive.received_folder) as found:
            return {number_of(each.name): each.stat().st_size for each in found}

    def missing(self, numbers: set[int], delivered: dict[int, int]) -> list[str]:
        """Those of them that the archive outside did not have, whole, at the moment of that list.

        Each is compared once.
        """
        found = []
        for number in sorted(numbers - self._compared):
            paths = list(self.archive.received_folder.glob(f"*.{number}"))
            content = paths[0].read_bytes() if paths else b""
            wrong = difference(number, content)
            if wrong or delivered.get(number) != len(content):
                found.append(wrong or f"object {number}: had not arrived whole")
            else:
                self._compared.add(number)
        return found

    def examine(self, disk: Path, promised: frozenset[int], delivered: dict[int, int]) -> str:
        """A copy of the data partition has what was promised, byte for byte; what it has."""
        archive = archive_of(disk, ARCHIVE, self.folder / "files")
        found = opened(archive, Rules(("PACS",)), ArchiveSettings(lock_patience=2.0))
        recovery = found.recovery
        assert set(found.uids) == set(found.files), recovery
        numbers = {}
        for row, uid in found.uids.items():
            number = numbers[row] = number_of(uid)
            assert not difference(number, found.files[row]), difference(number, found.files[row])
        gone = promised - set(numbers.values())
        lost = self.missing(set(gone), delivered)
        assert not lost, (lost, recovery)
        return (
            f"{len(promised)} acknowledged, {len(numbers)} there, {found.unconfirmed} unconfirmed,"
            f" {recovery.taken_back} taken back, {recovery.indexed} without a row"
        )


def _seed() -> int:
    seed = int(os.environ.get("GANTRY_BOX_CUT_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"GANTRY_BOX_CUT_SEED={seed}")
    return seed


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    firmware = FIRMWARE[BOARD.debian]
    if not firmware.code.exists():
        missing("UEFI", f"apt-get install {firmware.package}")
    if os.geteuid():
        pytest.skip("only root can make an image")
    folder = tmp_path_factory.mktemp("site")
    # A process for each association: one that was cut off holds up nobody.
    with DcmtkStoreScp(folder / "archive", "--fork") as archive:
        made = Site(folder, archive)
        yield made
        made.rest()
        if made.box is not None:
            made.box.cut_power()


def wait_until_it_serves(box: Box) -> None:
    box.wait_until("systemctl is-active gantry.service", seconds=_PATIENCE)


def wait_for_objects(site: Site, number: int) -> None:
    """Until so many more are acknowledged."""
    wanted = len(site.ledger.numbers()) + number
    end = time.monotonic() + _PATIENCE
    while len(site.ledger.numbers()) < wanted:
        assert time.monotonic() < end, "the box does not take objects"
        time.sleep(0.5)


def moments(site: Site, log: WriteLog, seconds: float) -> list[Moment]:
    """What is known again and again, for so long."""
    found: list[Moment] = []
    end = time.monotonic() + seconds
    while not found or time.monotonic() < end:
        # In this order: what is promised is in the log, and what was delivered is found.
        promised = site.ledger.numbers()
        entries = log.count()
        found.append(Moment(promised, entries, site.delivered()))
        time.sleep(0.05)
    return found


def test_whatever_a_disk_has_not_kept_nothing_acknowledged_is_lost(
    site: Site, count: Callable[[int, int], int]
) -> None:
    cuts = int(os.environ.get("GANTRY_BOX_CUTS") or count(50, 1000))
    log = WriteLog(site.disk.path, DATA.start, site.folder)
    copy = site.folder / "cut.img"
    site.switch_on(log.drive)
    site.working()
    before = len(site.ledger.numbers())
    lost, last = 0, log.count()
    for number in range(cuts):
        seen = moments(site, log, site.chance.uniform(0.5, LONGEST))
        # Any entry of the log may be the last one.
        entries = site.chance.randint(max(last, seen[0].entries), seen[-1].entries)
        promised = [each.promised for each in seen if each.entries <= entries][-1]
        delivered = next(each.delivered for each in seen if each.entries >= entries)
        fate = log.cut(entries, copy, site.chance)
        last = entries
        lost += fate.lost + fate.torn
        print(f"cut {number}: {fate}, {site.examine(copy, promised, delivered)}", flush=True)
    # Whoever cuts a box that rests proves nothing.
    assert len(site.ledger.numbers()) - before > 2 * cuts
    assert lost > cuts


def examined(site: Site) -> str:
    """What the disk of a machine has that is off, or held."""
    promised = site.ledger.numbers()
    delivered = site.delivered()
    copy = site.folder / "cut.img"
    copy_from(site.disk.path, DATA.start, copy)
    return site.examine(copy, promised, delivered)


def kill(site: Site, box: Box) -> Box:
    """The machine is no more, and another one gets its disk."""
    box.cut_power()
    print(f"killed: {examined(site)}", flush=True)
    return site.switch_on()


def reset(site: Site, box: Box) -> Box:
    """The machine forgets all but its disk."""
    qmp = site.qmp()
    qmp("stop")
    print(f"reset: {examined(site)}", flush=True)
    # It ends, and is on again when its next start is waited for.
    qmp("system_reset")
    wait_until(lambda: not box.is_on, "it is reset", seconds=60.0)
    qmp.close()
    return box


@pytest.mark.parametrize("cut", [kill, reset, kill])
def test_the_box_comes_back_and_has_kept_its_promises(
    site: Site, cut: Callable[[Site, Box], Box]
) -> None:
    box = site.working()
    before = box.boot()
    time.sleep(site.chance.uniform(0.0, LONGEST))
    box = cut(site, box)
    box.wait_for_another_boot(before, seconds=_PATIENCE)
    # It goes on by itself, and so do they.
    site.working()
    site.rest()
    box.wait_until("gantry queue | grep -x 'no jobs'", seconds=_PATIENCE)
    promised = set(site.ledger.numbers())
    assert not site.missing(promised, site.delivered())
    box.check("cd /; runuser -u gantry -- gantry doctor", seconds=300.0)
    assert box.check("systemctl --failed --no-legend --plain") == ""
    print(f"{cut.__name__}: {len(promised)} acknowledged in all, all of them delivered")
