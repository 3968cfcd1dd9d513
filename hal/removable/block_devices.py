"""Sticks, cards, disks and discs, as udev tells of them.

After each announcement the media are worked out anew from all devices that are known, and what
differs is told. So nothing depends on the order in which disks, partitions and discs are told, and
when announcements are lost all is listed again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hal.removable import mounts, udev
from hal.removable.base import (
    EjectPressed,
    MediaEvent,
    MediaTrouble,
    Medium,
    MediumCame,
    MediumIgnored,
    MediumWent,
    RemovableMedia,
    WrongSettings,
)
from hal.removable.rules import MediaRule, refusal

NAME = "block-devices"
_EXTENDED = frozenset(("0x5", "0xf", "0x85"))
"""Types of partitions that only hold others."""
_PATIENCE = 3.0
"""Seconds that a disc with data may take until it is known which: drives answer before they can."""
_NO_DATA = frozenset(("blank", "appendable"))


class BlockDevices(RemovableMedia):
    """The driver. `rules` are MediaRule or tables with its fields; see hal/removable/rules.py."""

    def __init__(
        self,
        *,
        rules: Sequence[MediaRule | Mapping[str, Any]] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = tuple(
            each if isinstance(each, MediaRule) else MediaRule(**each) for each in rules
        )
        self.now = now
        self._monitor: udev.BlockDeviceMonitor | None = None
        self._devices: dict[str, udev.BlockDevice] = {}
        self._told: dict[str, Medium] = {}
        self._ignored: dict[str, Medium] = {}
        self._pressed: set[str] = set()
        self._doubtful: dict[str, float] = {}
        self._waiting: list[MediaEvent] = []

    def open(self) -> None:
        if self._monitor is not None:
            return
        try:
            # The socket first: what comes while we list is then announced.
            self._monitor = udev.BlockDeviceMonitor()
        except OSError as error:
            raise WrongSettings(f"udev cannot be listened to: {error}") from error
        if not udev.is_running():
            why = "udev does not run here, so that no medium is told of; install and start it"
            self._waiting.append(MediaTrouble(self.now(), why))
        self._list_anew()

    def close(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        for known in (self._devices, self._told, self._ignored, self._doubtful):
            known.clear()
        self._pressed.clear()
        self._waiting.clear()

    @property
    def descriptor(self) -> int | None:
        return None if self._monitor is None else self._monitor.descriptor

    def deadline(self) -> float | None:
        if self._waiting:
            return self._waiting[0].at
        return min(self._doubtful.values(), default=None)

    @property
    def media(self) -> tuple[Medium, ...]:
        return tuple(self._told.values())

    def events(self) -> list[MediaEvent]:
        if self._monitor is not None:
            changes, is_lost = self._monitor.changes()
            for change in changes:
                self._take(change)
            if is_lost:
                why = "udev announced more than could be taken; all media are listed anew"
                self._waiting.append(MediaTrouble(self.now(), why))
                self._list_anew()
            elif self._doubtful and self.now() >= min(self._doubtful.values()):
                self._tell()
        found, self._waiting = self._waiting, []
        return found

    def _take(self, change: udev.Change) -> None:
        device = change.device
        if change.action == "remove":
            self._devices.pop(device.path, None)
        else:
            self._devices[device.path] = device
        if device.properties.get("DISK_EJECT_REQUEST") == "1" and device.path in self._told:
            self._pressed.add(device.path)
            self._waiting.append(EjectPressed(self.now(), self._told[device.path]))
        self._tell()

    def _list_anew(self) -> None:
        assert self._monitor is not None
        self._devices = {each.path: each for each in self._monitor.devices()}
        self._tell()

    def _tell(self) -> None:
        """Tell what differs between the media that are there and those that were told."""
        there = self._settled(media_of(self._devices.values()))
        for known in (self._told, self._ignored):
            for path in [path for path in known if there.get(path) != known[path]]:
                medium = known.pop(path)
                if known is self._told:
                    self._tell_gone(path, medium, is_replaced=path in there)
        for path, medium in there.items():
            if path in self._told or path in self._ignored:
                continue
            why = self._of_the_system(path) or refusal(medium, self._rules)
            if why:
                self._ignored[path] = medium
                self._waiting.append(MediumIgnored(self.now(), medium, why))
            else:
                self._told[path] = medium
                self._waiting.append(MediumCame(self.now(), medium))

    def _settled(self, there: dict[str, Medium]) -> dict[str, Medium]:
        """Without the discs of which it may still come out what is on them."""
        now = self.now()
        before, self._doubtful = self._doubtful, {}
        for path, medium in list(there.items()):
            is_known = medium in (self._told.get(path), self._ignored.get(path))
            if is_known or not medium.optical or medium.file_system or medium.blank:
                continue
            until = before.get(path, now + _PATIENCE)
            if now < until:
                self._doubtful[path] = until
                del there[path]
        return there

    def _tell_gone(self, path: str, medium: Medium, *, is_replaced: bool) -> None:
        found = [each.path for each in mounts.mounts() if each.source == medium.device]
        was_asked = path in self._pressed
        self._pressed.discard(path)
        if was_asked:
            why = "the button of the drive was pressed"
        elif is_replaced:
            why = "what is on it is another now"
        elif medium.optical and path in self._devices:
            why = "the disc was taken out"
        else:
            # The kernel finds the medium away first, and its slot or plug afterwards or never.
            why = "it was pulled"
        if found:
            why += " while it was mounted"
        self._waiting.append(MediumWent(self.now(), medium, why, found[-1] if found else ""))

    def _of_the_system(self, path: str) -> str:
        """Why the disk of a device is not to be touched whatever the rules say; "" if it may be."""
        disk = self._devices[path].parent or path
        family = [each for each in self._devices.values() if disk in (each.path, each.parent)]
        numbers = {each.number for each in family}
        for mount in mounts.mounts():
            is_ours = self.mounted_below and mount.path.startswith(f"{self.mounted_below}/")
            if mount.number in numbers and mount.is_of_the_system and not is_ours:
                return f"the running system lies on its disk ({mount.path})"
        if any(each.node in mounts.swap_nodes() for each in family):
            return "the running system swaps to its disk"
        held = mounts.holders(path)
        return f"another device is built upon it ({held[0]})" if held else ""


def media_of(devices: Iterable[udev.BlockDevice]) -> dict[str, Medium]:
    """The media among the devices, by the folder in sysfs: what carries, or could carry, files.

    A disk with partitions is as many media as it has partitions, unless it has a file system of
    its own (as images of discs do that are written to a stick); a slot or drive without a medium
    is none.
    """
    by_path = {each.path: each for each in devices}
    found = {}
    for path, device in by_path.items():
        disk = by_path.get(device.parent) if device.is_partition else device
        # A partition that is announced before its disk is taken up with the disk.
        if disk is None or not device.node or not _is_one(device, disk):
            continue
        found[path] = _medium(device, disk)
    return found


def _is_one(device: udev.BlockDevice, disk: udev.BlockDevice) -> bool:
    said = device.properties
    if said.get("ID_CDROM"):
        return said.get("ID_CDROM_MEDIA") == "1"
    if device.size == 0:
        return False
    if device.is_partition:
        if said.get("ID_PART_ENTRY_TYPE") in _EXTENDED:
            return False
        return not _has_files(disk)
    return _has_files(device) or "ID_PART_TABLE_TYPE" not in said


def _has_files(device: udev.BlockDevice) -> bool:
    return device.properties.get("ID_FS_USAGE") == "filesystem"


def _medium(device: udev.BlockDevice, disk: udev.BlockDevice) -> Medium:
    # Some drivers give the properties of the disk to its partitions too, others do not.
    said = {**disk.properties, **device.properties} if device is not disk else device.properties
    own = device.properties
    is_optical = bool(own.get("ID_CDROM"))
    file_system = own.get("ID_FS_TYPE", "")
    state = own.get("ID_CDROM_MEDIA_STATE", "")
    serial = said.get("ID_SERIAL_SHORT", "")
    label = _unescaped(own.get("ID_FS_LABEL_ENC", "")) or own.get("ID_FS_LABEL", "")
    bus = _bus(disk)
    identity = (
        ("optical", own.get("ID_FS_UUID", ""), label)
        if is_optical
        else (
            bus,
            serial or said.get("ID_SERIAL", ""),
            own.get("ID_PART_ENTRY_NUMBER", "0"),
            own.get("ID_FS_UUID", ""),
        )
    )
    return Medium(
        driver=NAME,
        id=":".join(identity),
        device=device.node,
        bus=bus,
        vendor=said.get("ID_VENDOR", "").replace("_", " ").strip(),
        model=(said.get("ID_MODEL", "") or said.get("ID_NAME", "")).replace("_", " ").strip(),
        serial=serial,
        label=label.strip(),
        file_system=file_system,
        size=device.size,
        read_only=device.read_only or disk.read_only or is_optical,
        optical=is_optical,
        blank=is_optical and not file_system and state in _NO_DATA,
        disk=disk.node,
    )


def _bus(disk: udev.BlockDevice) -> str:
    said = disk.properties
    if disk.card_type:
        return "sd" if disk.card_type == "SD" else "mmc"
    if "/devices/virtual/" in disk.path:
        return "virtual"
    bus = said.get("ID_BUS", "")
    # A disk in a USB box calls itself "ata" in ID_BUS, yet hangs on USB.
    if bus == "usb" or "ID_USB_DRIVER" in said or "/usb" in disk.path:
        return "usb"
    for name in ("nvme", "virtio", "firewire"):
        if f"/{name}" in disk.path or f"/fw{name}" in disk.path:
            return name
    return {"ieee1394": "firewire"}.get(bus, bus or "scsi")


def _unescaped(word: str) -> str:
    """A value in which udev wrote bytes as `\\x20`."""
    parts = word.split("\\x")
    data = parts[0].encode()
    for part in parts[1:]:
        try:
            data += bytes.fromhex(part[:2]) + part[2:].encode()
        except ValueError:
            data += f"\\x{part}".encode()
    return data.decode("utf-8", "replace")
