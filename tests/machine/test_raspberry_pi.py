"""The card for arm64 in a Raspberry Pi 3, as far as QEMU has one (`raspi3b`).

Its VideoCore is not emulated: what config.txt names is given to QEMU as that firmware would load
it, U-Boot and the device tree, from the files on the card's boot partition. From there on all is
the card's own. It is followed up to the data partition: what comes then, systemd and the node, is
tested in the machine `virt` (`test_arm64.py`).
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from image.boards import BOARDS
from tests.machine.card import Disk
from tests.machine.test_card import built
from tests.peers.programs import missing, run

pytestmark = [pytest.mark.machine, pytest.mark.timeout(7200)]

BOARD = BOARDS["arm64"]
_PATIENCE = 1800.0
"""For a start in emulation, beside others."""
_FIRMWARE = ("bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat")
"""What the boot ROM of a Pi 3 and the EEPROM of a Pi 4 load."""
_TREES = ("bcm2837-rpi-3-b.dtb", "bcm2837-rpi-3-b-plus.dtb", "bcm2711-rpi-4-b.dtb")
_KNOWN = {"arm_64bit": "1", "enable_uart": "1", "upstream_kernel": "1", "kernel": "u-boot.bin"}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    """A card of 4 GiB: QEMU's reader takes powers of two."""
    if os.geteuid():
        pytest.skip("only root can make an image")
    folder = tmp_path_factory.mktemp("card")
    return Disk(BOARD, built(BOARD).card, folder, size=4 << 30)


@pytest.fixture(scope="module")
def boot(disk: Disk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the boot partition, found as the boot ROM finds them: by the MBR."""
    folder = tmp_path_factory.mktemp("boot") / "files"
    with disk.path.open("rb") as card:
        record = card.read(512)[446:462]
    kind, first = struct.unpack("<4xB3xI4x", record)
    assert kind == 0x0C, "the boot ROM takes FAT32 for nothing else"
    run(["mcopy", "-s", "-i", f"{disk.path}@@{first * 512}", "::", folder], seconds=60.0).check()
    return folder


def test_the_firmware_finds_its_files_and_what_config_txt_names(boot: Path) -> None:
    for name in (*_FIRMWARE, *_TREES):
        assert (boot / name).stat().st_size > 1000, name
    for name in _TREES:
        assert (boot / name).read_bytes()[:4] == b"\xd0\x0d\xfe\xed", "no device tree"
    settings = {}
    for line in (boot / "config.txt").read_text().splitlines():
        assert len(line) <= 98, "the firmware ignores what follows"
        if not line.startswith("#"):
            name, _, value = line.partition("=")
            settings[name] = value
    assert settings == _KNOWN
    assert (boot / settings["kernel"]).stat().st_size > 100_000
    assert (boot / "EFI/BOOT/BOOTAA64.EFI").read_bytes()[:2] == b"MZ"


class Pi:
    """The running machine, without a network."""

    def __init__(self, disk: Path, boot: Path, folder: Path) -> None:
        self._console = folder / "console"
        self._process = subprocess.Popen(
            [
                *("qemu-system-aarch64", "-M", "raspi3b", "-accel", "tcg,thread=multi"),
                *("-display", "none", "-monitor", "none"),
                *("-kernel", boot / "u-boot.bin", "-dtb", boot / "bcm2837-rpi-3-b.dtb"),
                *("-drive", f"file={disk},if=sd,format=raw,cache=writethrough"),
                # The first UART belongs to Bluetooth; the second is at the pins of the header.
                *("-serial", "null", "-serial", f"file:{self._console}"),
                *("-nic", "none"),
            ],
            stdin=subprocess.DEVNULL,
        )

    def said(self) -> str:
        """All that came out of the header's serial line."""
        return self._console.read_text(errors="replace") if self._console.exists() else ""

    def wait_for(self, pattern: str, seconds: float) -> None:
        """Until the console has said it."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.said()):
            assert self._process.poll() is None, f"the machine ended:\n{self.said()[-4000:]}"
            assert time.monotonic() < end, f"no {pattern}:\n{self.said()[-4000:]}"
            time.sleep(1.0)

    def switch_off(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def pi(disk: Disk, boot: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pi]:
    """A Pi with the card in it that has just been switched on."""
    try:
        running = Pi(disk.path, boot, tmp_path_factory.mktemp("pi"))
    except FileNotFoundError:
        missing("QEMU's machine raspi3b", "apt-get install qemu-system-arm")
    yield running
    running.switch_off()


def test_u_boot_starts_grub_and_grub_the_kernel_of_the_slot(pi: Pi) -> None:
    pi.wait_for(r"Booting /efi.boot.bootaa64\.efi", _PATIENCE)
    pi.wait_for("Gantry, slot A", _PATIENCE)
    # Our own first program, from the initrd in the slot, has the data partition checked.
    pi.wait_for("data: (clean|recovering)", _PATIENCE)
