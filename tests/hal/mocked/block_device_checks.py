"""The driver of block devices among disks, cards and drives that umockdev makes up."""

from __future__ import annotations

import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.removable import block_devices, mounts, udev
from hal.removable.base import (
    EjectPressed,
    MediaEvent,
    MediaTrouble,
    Medium,
    MediumCame,
    MediumIgnored,
    MediumWent,
)
from hal.removable.block_devices import BlockDevices
from tests.hal.clocks import StoppedClock
from tests.hal.mocked.testbed import USB, Testbed

FAT = {
    "ID_FS_TYPE": "vfat",
    "ID_FS_USAGE": "filesystem",
    "ID_FS_UUID": "ABCD-1234",
    "ID_FS_LABEL": "MY_STICK",
    "ID_FS_LABEL_ENC": "MY\\x20STICK",
}
CARD_HOST = "/devices/platform/soc/mmc_host/mmc0/mmc0:0001"
ATA = "/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block"


@pytest.fixture
def bed(monkeypatch: pytest.MonkeyPatch) -> Testbed:
    monkeypatch.setattr(udev, "is_running", lambda: True)
    return Testbed()


@pytest.fixture
def media(bed: Testbed) -> Iterator[BlockDevices]:
    made = BlockDevices()
    made.open()
    yield made
    made.close()


def told(media: BlockDevices) -> list[MediaEvent]:
    """All that is told until nothing is told for a while."""
    found: list[MediaEvent] = []
    while True:
        new = media.events()
        found += new
        assert media.descriptor is not None
        if not new and not select.select([media.descriptor], [], [], 0.2)[0]:
            return found


def came(media: BlockDevices) -> list[Medium]:
    events = told(media)
    assert all(type(event) is MediumCame for event in events), events
    return [event.medium for event in events if isinstance(event, MediumCame)]


def test_what_is_there_at_the_start_is_told(bed: Testbed) -> None:
    disk = bed.usb_disk(1, "sdx", ID_PART_TABLE_TYPE="dos")
    bed.partition(disk, 1, **FAT)
    media = BlockDevices()
    media.open()
    (medium,) = came(media)
    assert (medium.device, medium.disk) == ("/dev/sdx1", "/dev/sdx")
    assert (medium.bus, medium.vendor, medium.model) == ("usb", "Maker", "Fast Stick")
    assert (medium.serial, medium.label, medium.file_system) == ("S1", "MY STICK", "vfat")
    assert (medium.size, medium.read_only, medium.optical) == (512_000_000, False, False)
    assert media.media == (medium,)
    media.close()
    assert media.media == ()


def test_a_stick_comes_and_goes(bed: Testbed, media: BlockDevices) -> None:
    disk = bed.usb_disk(1, "sdx", ID_PART_TABLE_TYPE="dos")
    part = bed.partition(disk, 1, **FAT)
    (medium,) = came(media)
    bed.remove(part)
    bed.remove(disk)
    (event,) = told(media)
    assert isinstance(event, MediumWent)
    assert (event.medium, event.why, event.mounted_at) == (medium, "it was pulled", "")


def test_the_order_of_disk_and_partition_does_not_matter(bed: Testbed, media: BlockDevices) -> None:
    part = bed.partition(f"{USB.format(1)}/sdx", 1, **FAT)
    assert came(media) == []
    disk = bed.usb_disk(1, "sdx", ID_PART_TABLE_TYPE="dos")
    assert len(came(media)) == 1
    bed.remove(disk)
    assert [type(event) for event in told(media)] == [MediumWent]
    bed.remove(part)
    assert told(media) == []


def test_each_partition_is_a_medium_and_one_that_holds_others_is_none(
    bed: Testbed, media: BlockDevices
) -> None:
    disk = bed.usb_disk(1, "sdx", ID_PART_TABLE_TYPE="dos")
    bed.partition(disk, 1, **FAT)
    bed.partition(disk, 2, ID_PART_ENTRY_TYPE="0x5")
    bed.partition(disk, 5, ID_FS_TYPE="crypto_LUKS", ID_FS_USAGE="crypto")
    found = came(media)
    assert [medium.device for medium in found] == ["/dev/sdx1", "/dev/sdx5"]
    assert found[1].file_system == "crypto_LUKS"
    assert len({medium.id for medium in found}) == 2


def test_a_stick_without_partitions_is_the_medium_itself(bed: Testbed, media: BlockDevices) -> None:
    bed.usb_disk(1, "sdx", **FAT)
    (medium,) = came(media)
    assert medium.device == medium.disk == "/dev/sdx"


def test_an_image_of_a_disc_on_a_stick_is_one_medium(bed: Testbed, media: BlockDevices) -> None:
    said = {"ID_FS_TYPE": "iso9660", "ID_FS_USAGE": "filesystem", "ID_PART_TABLE_TYPE": "dos"}
    disk = bed.usb_disk(1, "sdx", **said)
    bed.partition(disk, 1, **FAT)
    (medium,) = came(media)
    assert (medium.device, medium.file_system, medium.optical) == ("/dev/sdx", "iso9660", False)


def test_a_medium_is_known_again_at_another_socket(bed: Testbed, media: BlockDevices) -> None:
    ids = set()
    for number, name in ((1, "sdx"), (2, "sdy")):
        disk = bed.usb_disk(number, name, ID_SERIAL_SHORT="S1", **FAT)
        ids |= {medium.id for medium in came(media)}
        bed.remove(disk)
        told(media)
    assert len(ids) == 1


def test_the_slot_of_a_card_reader_is_empty_at_first(bed: Testbed, media: BlockDevices) -> None:
    slot = bed.usb_disk(1, "sdx")
    bed.set(slot, size="0\n")
    assert came(media) == []
    bed.set(slot, size="100000\n", ro="1\n")
    bed.say(slot, **FAT)
    bed.announce(slot, "change")
    (medium,) = came(media)
    assert (medium.size, medium.read_only) == (51_200_000, True)
    bed.set(slot, size="0\n")
    bed.announce(slot, "change")
    (event,) = told(media)
    assert isinstance(event, MediumWent) and event.why == "it was pulled"


def test_a_stick_that_is_formatted_anew_is_another(bed: Testbed, media: BlockDevices) -> None:
    disk = bed.usb_disk(1, "sdx", **FAT)
    (before,) = came(media)
    bed.announce(disk, "change")
    assert told(media) == []
    bed.say(disk, ID_FS_UUID="FFFF-0000")
    bed.announce(disk, "change")
    went, now = told(media)
    assert isinstance(went, MediumWent) and went.medium == before
    assert went.why == "what is on it is another now"
    assert isinstance(now, MediumCame) and now.medium.id != before.id


def test_a_built_in_disk_is_touched_only_by_its_name(bed: Testbed) -> None:
    folder = f"{ATA}/sdx"
    said = {"ID_BUS": "ata", "ID_SERIAL_SHORT": "WD-77", "ID_MODEL": "Disk", **FAT}
    bed.add(folder, said, {"size": "2000000", "ro": "0"})
    for rules, is_taken in (
        ((), False),
        (({"bus": "ata"},), False),
        (({"serial": "*"},), False),
        (({"serial": "WD-77"},), True),
        (({"label": "my *"},), True),
        (({"serial": "WD-77", "permit": False}, {"label": "my *"}), False),
    ):
        media = BlockDevices(rules=rules)
        media.open()
        (event,) = told(media)
        assert isinstance(event, MediumCame if is_taken else MediumIgnored), rules
        assert len(media.media) == is_taken
        media.close()
    assert isinstance(event, MediumIgnored)
    assert event.why == "a rule refuses MY STICK on ata with serial number WD-77"


@pytest.mark.parametrize(
    ("kind", "bus", "expected"), [("SD", "sd", MediumCame), ("MMC", "mmc", MediumIgnored)]
)
def test_a_card_is_told_from_a_chip(
    bed: Testbed, media: BlockDevices, kind: str, bus: str, expected: type
) -> None:
    card = bed.add(f"{CARD_HOST}/block/mmcblk9", FAT, {"size": "1000", "ro": "0"})
    bed.set(card, **{"device/type": f"{kind}\n"})
    (event,) = told(media)
    assert type(event) is expected
    assert isinstance(event, MediumCame | MediumIgnored) and event.medium.bus == bus


def test_devices_that_are_made_of_others_are_left_alone(bed: Testbed, media: BlockDevices) -> None:
    loop = bed.add("/devices/virtual/block/loop9", FAT, {"size": "1000", "ro": "0"})
    (event,) = told(media)
    assert isinstance(event, MediumIgnored) and event.medium.bus == "virtual"
    bed.remove(loop)
    assert told(media) == []


def test_the_disk_of_the_running_system_is_never_touched(
    bed: Testbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = bed.usb_disk(1, "sdx", ID_PART_TABLE_TYPE="dos")
    bed.partition(disk, 1, **FAT)
    bed.partition(disk, 2, ID_FS_TYPE="ext4", ID_FS_USAGE="filesystem")
    line = "30 1 259:3 / {} rw,relatime shared:1 - ext4 /dev/sdx2 rw\n"
    real = mounts.mounts
    table = tmp_path / "mountinfo"
    monkeypatch.setattr(block_devices.mounts, "mounts", lambda: real(table))
    for path, is_taken in (
        ("/", False),
        ("/boot/firmware", False),
        ("/var/lib/gantry/mediax", False),
        ("/var/lib/gantry/media/X-1", True),
        ("/media/x", True),
    ):
        table.write_text(line.format(path))
        media = BlockDevices(rules=({"serial": "S1"},))
        media.mounted_below = "/var/lib/gantry/media"
        media.open()
        events = told(media)
        assert len(media.media) == (2 if is_taken else 0), events
        if not is_taken:
            assert all("running system" in event.why for event in events)
        media.close()


def test_discs_come_and_go_in_a_drive_that_stays(bed: Testbed, media: BlockDevices) -> None:
    drive = bed.add(
        f"{ATA}/sr9",
        {"ID_CDROM": "1", "ID_BUS": "ata", "ID_MODEL": "DVD_Writer", "ID_SERIAL_SHORT": "D1"},
        {"size": "2097151", "ro": "0"},
    )
    assert told(media) == []
    bed.say(drive, ID_CDROM_MEDIA="1", ID_CDROM_MEDIA_STATE="blank", ID_CDROM_MEDIA_CD_R="1")
    bed.announce(drive, "change")
    (blank,) = came(media)
    assert (blank.optical, blank.blank, blank.file_system) == (True, True, "")
    bed.say(
        drive,
        ID_CDROM_MEDIA_STATE="complete",
        ID_FS_TYPE="iso9660",
        ID_FS_USAGE="filesystem",
        ID_FS_LABEL="DISC",
        ID_FS_UUID="2026-01-01-00-00-00-00",
    )
    bed.announce(drive, "change")
    went, now = told(media)
    assert isinstance(went, MediumWent) and isinstance(now, MediumCame)
    assert (now.medium.label, now.medium.blank, now.medium.read_only) == ("DISC", False, True)
    bed.say(drive, DISK_EJECT_REQUEST="1")
    bed.announce(drive, "change")
    (pressed,) = told(media)
    assert isinstance(pressed, EjectPressed) and pressed.medium == now.medium
    bed.say(drive, DISK_EJECT_REQUEST="", ID_CDROM_MEDIA="")
    bed.announce(drive, "change")
    (event,) = told(media)
    assert isinstance(event, MediumWent) and "button" in event.why
    assert media.media == ()


def test_a_disc_that_a_drive_does_not_know_yet_is_waited_for(bed: Testbed) -> None:
    clock = StoppedClock()
    media = BlockDevices(now=clock.now)
    media.open()
    said = {"ID_CDROM": "1", "ID_BUS": "ata", "ID_CDROM_MEDIA": "1"}
    drive = bed.add(f"{ATA}/sr9", said, {"size": "2097151", "ro": "0"})
    assert told(media) == []
    deadline = media.deadline()
    assert deadline is not None and deadline > clock.now()
    bed.say(drive, ID_FS_TYPE="iso9660", ID_FS_USAGE="filesystem", ID_FS_LABEL="DISC")
    bed.announce(drive, "change")
    (medium,) = came(media)
    assert medium.label == "DISC" and media.deadline() is None
    bed.say(drive, ID_FS_TYPE="", ID_FS_USAGE="", ID_FS_LABEL="")
    bed.announce(drive, "change")
    (went,) = told(media)
    assert isinstance(went, MediumWent) and went.why == "the disc was taken out"
    deadline = media.deadline()
    assert deadline is not None
    clock.time = deadline
    (medium,) = came(media)
    assert (medium.file_system, medium.blank, medium.optical) == ("", False, True)
    assert media.deadline() is None
    bed.announce(drive, "change")
    assert told(media) == []
    media.close()


def test_many_announcements_of_the_same_are_told_once(bed: Testbed, media: BlockDevices) -> None:
    disk = bed.usb_disk(1, "sdx", **FAT)
    assert len(came(media)) == 1
    for _ in range(20):
        for _ in range(5):
            bed.announce(disk, "change")
        media.events()
    assert told(media) == []
    assert [medium.device for medium in media.media] == ["/dev/sdx"]


def test_what_was_lost_is_listed_anew(
    bed: Testbed, media: BlockDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed.usb_disk(1, "sdx", **FAT)
    with monkeypatch.context() as patched:
        patched.setattr(udev.BlockDeviceMonitor, "changes", lambda self: ([], True))
        trouble, event = media.events()
    assert isinstance(trouble, MediaTrouble) and isinstance(event, MediumCame)
    assert told(media) == []


def test_a_machine_without_udev_is_told_of(bed: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udev, "is_running", lambda: False)
    media = BlockDevices()
    media.open()
    (event,) = told(media)
    assert isinstance(event, MediaTrouble) and "udev does not run" in event.why
    media.close()
