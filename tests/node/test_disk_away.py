"""An archive on a disk of its own that is not there: at the start, or from some moment on."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from agent.errors import GantryError
from tests.cli_of import gantry
from tests.node.running import NodeProcess, peer_table
from tests.peers.dcmtk import DcmtkStoreScp, echoscu, storescu
from tests.peers.process import Server, free_port, wait_until

CT = Path(str(get_testdata_file("CT_small.dcm")))
MR = Path(str(get_testdata_file("MR_small.dcm")))
# FS_IOC_SHUTDOWN and its flag for "do not flush" (linux/fs.h): from then on the file system gives
# errors, as that of a disk that was unplugged does.
_SHUT_DOWN, _AT_ONCE = 0x8004587D, 2


class Disk:
    """A disk with ext4 that can be plugged in and pulled out: a file, mounted by a loop device."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "volume"
        self.place.mkdir()
        self._image = folder / "disk"
        with self._image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", self._image], check=True)

    def plug(self) -> None:
        # A device of its own each time, as a disk has that is plugged in again.
        found = subprocess.run(
            ["losetup", "--find", "--show", self._image], capture_output=True, text=True
        )
        if found.returncode:
            pytest.skip(f"there are no loop devices here: {found.stderr.strip()}")
        device = found.stdout.strip()
        subprocess.run(["mount", device, self.place], check=True)
        # It goes with its last user.
        subprocess.run(["losetup", "--detach", device], check=True)

    def pull(self) -> None:
        place = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(place, _SHUT_DOWN, struct.pack("I", _AT_ONCE))
        finally:
            os.close(place)
        self.let_go()

    def let_go(self) -> None:
        subprocess.run(["umount", "-l", self.place], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    made = Disk(tmp_path)
    yield made
    while os.path.ismount(made.place):
        made.let_go()


def _archives(disk: Disk, port: int) -> str:
    """One on the disk, for an entity of its own, beside that of the node."""
    return (
        '[[archive]]\nname = "main"\n[[archive]]\nname = "far"\n'
        f'folder = "{disk.place}/archive"\nvolume = "{disk.place}"\nreserve = 0\n'
        f'[[entity]]\nname = "FAR"\nport = {port}\naddresses = ["127.0.0.1"]\narchive = "far"\n'
        '[entity.accept]\ncalling = "any"\n[[entity.service]]\nname = "storage"\n'
        '[[entity.service]]\nname = "verification"\n[entity.status]\nvolume_away = "A7FE"\n'
    )


def _instances(node: NodeProcess) -> dict[str, int]:
    return {
        each["name"]: each["counts"]["instances"] if "counts" in each else -1
        for each in node.ask("status")["archives"]
    }


def test_a_node_starts_without_the_disk_of_an_archive_and_takes_it_up_when_it_comes(
    tmp_path: Path, disk: Disk
) -> None:
    port = free_port()
    with NodeProcess(tmp_path / "node", _archives(disk, port)) as node:
        assert echoscu(port, called="FAR").returncode == 0
        refused = storescu(port, CT, called="FAR", options=["-d"])
        assert "0xa7fe" in refused.output.lower()
        storescu(node.port, MR).check()
        assert _instances(node) == {"main": 1, "far": -1}
        said = gantry("status", "--control", str(node.control)).output
        assert (
            f"archive far: cannot be used: The volume of the archive is away: {disk.place}" in said
        )
        with pytest.raises(GantryError, match="is not mounted"):
            node.ask("studies", archive="far")
        assert not any(disk.place.iterdir()), "nothing is made in its place"
        node.reload()
        disk.plug()
        wait_until(lambda: _instances(node)["far"] == 0, "it is taken up")
        storescu(port, CT, called="FAR").check()
        assert _instances(node) == {"main": 1, "far": 1}
        # It is said once, however often the disk is looked for.
        assert node.log.count("archive cannot be used") == 1


def test_a_disk_that_is_pulled_out_stops_its_own_archive_only_and_nothing_is_lost(
    tmp_path: Path, disk: Disk, start_peer: Callable[[Server], DcmtkStoreScp]
) -> None:
    port, archive = free_port(), free_port()
    disk.plug()
    more = _archives(disk, port) + peer_table("PACS", archive)
    with NodeProcess(tmp_path / "node", more) as node:
        storescu(port, CT, called="FAR").check()
        assert _instances(node) == {"main": 0, "far": 1}
        disk.pull()
        assert "Status: Success" not in storescu(port, MR, called="FAR", options=["-d"]).output
        wait_until(lambda: _instances(node)["far"] == -1, "the disk is missed")
        again = storescu(port, MR, called="FAR", options=["-d"])
        assert "0xa7" in again.output.lower()
        # What has another archive is stored, and delivered.
        pacs = start_peer(DcmtkStoreScp(tmp_path / "pacs", port=archive))
        storescu(node.port, MR).check()
        wait_until(lambda: len(pacs.received()) == 1, "that of the other archive is delivered")
        disk.plug()
        wait_until(lambda: _instances(node)["far"] == 1, "it is there again")
        wait_until(lambda: len(pacs.received()) == 2, "what waited on it is delivered")
        storescu(port, MR, called="FAR").check()
        wait_until(lambda: len(pacs.received()) == 2, "the same object twice")
        assert _instances(node) == {"main": 1, "far": 2}


def test_what_is_no_matter_of_the_disk_still_ends_the_node(tmp_path: Path) -> None:
    """Another node has the archive: this one does not run beside it."""
    with NodeProcess(tmp_path / "node", '[[archive]]\nname = "main"\n') as node:
        other = NodeProcess(tmp_path / "other", '[[archive]]\nname = "main"\n')
        folder = node.folder / "state" / "archive" / "main"
        other.write(f'[[archive]]\nname = "main"\nfolder = "{folder}"\n')
        other.launch()
        assert other.process is not None
        assert other.process.wait(30) == 1
        assert "Another process writes to the archive" in other.log
        with suppress(GantryError):
            other.ask("status")
            pytest.fail("it runs")


def test_a_second_node_leaves_the_control_socket_of_the_first_alone(
    tmp_path: Path, disk: Disk
) -> None:
    """With the disk the lock of the archive is away, by which it is told else."""
    only = f'[[archive]]\nname = "main"\nfolder = "{disk.place}/archive"\nvolume = "{disk.place}"\n'
    with NodeProcess(tmp_path / "node", only) as node:
        second = NodeProcess(tmp_path / "node", only)
        second.launch()
        assert second.process is not None
        assert second.process.wait(30) == 1
        assert "another node answers at" in node.log
        assert _instances(node) == {"main": -1}
    with node:
        assert _instances(node) == {"main": -1}, "what a killed node leaves behind is no other node"
