"""Block devices as udev announces them, made up by umockdev, and what tables say."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from hal.removable import block_device_steps, file_systems, kernel_mount
from hal.removable.base import (
    Medium,
    MediumGone,
    Mounted,
    NotMountable,
    WriteProtected,
    let_go,
    mount,
    space,
    unmount,
)
from hal.removable.mounts import mounts, swap_nodes
from hal.removable.rules import MediaRule, refusal
from tests.peers.programs import missing, program, run

CHECKS = Path(__file__).parent / "mocked" / "block_device_checks.py"
HEADER = Path("/usr/include/linux/mount.h")


def test_all_checks_hold_among_devices_that_are_made_up() -> None:
    wrapper = program("umockdev", "umockdev-wrapper")
    words = [wrapper, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", CHECKS]
    said = run(words, seconds=100, folder=Path(__file__).parents[2]).check().output
    passed = re.search(r"(\d+) passed", said)
    assert passed and int(passed[1]) > 15, said


def test_flags_are_those_of_the_kernel() -> None:
    if not HEADER.exists():
        missing("linux/mount.h", "apt-get install linux-libc-dev")
    said = dict(re.findall(r"#define\s+(MS_\w+)\s+(\d+)\b", HEADER.read_text()))
    names = [name for name in vars(file_systems) if name.startswith("MS_")]
    assert len(names) == 6
    for name in names:
        assert getattr(file_systems, name) == int(said[name])


def test_the_door_is_unlocked_by_the_number_of_the_kernel() -> None:
    header = Path("/usr/include/scsi/scsi_ioctl.h")
    if not header.exists():
        missing(str(header), "apt-get install libc6-dev")
    found = re.search(r"#define\s+SCSI_IOCTL_DOORUNLOCK\s+(\w+)", header.read_text())
    assert found and int(found[1], 0) == block_device_steps.SCSI_IOCTL_DOORUNLOCK


def test_each_file_system_is_mounted_by_options_that_name_the_owner() -> None:
    for ways in file_systems.WAYS.values():
        for way in ways:
            for options in filter(None, (way.reading, way.writing)):
                text = options.format(uid=1, gid=2)
                assert "{" not in text
                assert ("uid=1,gid=2" in text) == (way.kernel_name != "ext4")


def test_mounts_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw,errors=remount-ro\n"
        "36 22 8:17 / /media/A\\040B\\134 rw,nosuid - vfat /dev/sdb1 ro,uid=1\n"
        "37 22 0:40 / /tmp rw - tmpfs tmpfs rw\n"
        "38 22 8:18 / /homes ro - ext4 /dev/sdb2 rw\n"
        "nonsense\n"
    )
    found = mounts(table)
    assert [each.path for each in found] == ["/", "/media/A B\\", "/tmp", "/homes"]
    assert [each.read_only for each in found] == [False, True, False, True]
    assert [each.is_of_the_system for each in found] == [True, False, False, False]
    assert (found[1].number, found[1].source) == ("8:17", "/dev/sdb1")
    assert mounts(tmp_path / "nothing") == []
    assert any(each.path == "/" for each in mounts())
    table.write_text("Filename Type Size\n/dev/sda3 partition 100 0 -2\n/swap file 1 0 -3\n")
    assert swap_nodes(table) == {"/dev/sda3"}


def test_rules_take_the_first_that_fits() -> None:
    stick = Medium("block-devices", "1", "/dev/sdx", "usb", "Maker", "Fast", "S1", "XRAY")
    assert refusal(stick, ()) == ""
    assert refusal(stick, [MediaRule(label="xray"), MediaRule(permit=False)]) == ""
    assert refusal(stick, [MediaRule(permit=False), MediaRule(label="XRAY")])
    assert refusal(stick, [MediaRule(permit=False, vendor="Other*")]) == ""
    built_in = Medium("block-devices", "1", "/dev/sdx", "nvme", "Maker", "Fast", "S1", "XRAY")
    assert "built in" in refusal(built_in, ())
    assert "built in" in refusal(built_in, [MediaRule(bus="nvme", model="Fast", serial="?*")])
    assert refusal(built_in, [MediaRule(bus="nvme"), MediaRule(serial="S1")]) == ""
    disc = Medium("block-devices", "1", "/dev/sr0", "ata", optical=True)
    assert refusal(disc, ()) == ""


def stick(**words: object) -> Medium:
    return Medium("block-devices", "1", "/dev/no-such-stick", "usb", **words)  # type: ignore[arg-type]


def test_a_stick_that_is_not_there_is_gone(tmp_path: Path) -> None:
    if not kernel_mount.may_mount():
        pytest.skip("needs the right to mount")
    at = tmp_path / "at"
    with pytest.raises((MediumGone, NotMountable)):
        mount(stick(file_system="ext4"), str(at))
    assert not at.exists()
    with pytest.raises(NotMountable, match="crypto_LUKS"):
        mount(stick(file_system="crypto_LUKS"), str(at))
    with pytest.raises(WriteProtected, match="only read"):
        mount(stick(file_system="ntfs"), str(at), read_only=False)
    gone = Mounted(stick(), str(at), False)
    unmount(gone)
    let_go(gone)
    with pytest.raises(MediumGone):
        space(gone)
