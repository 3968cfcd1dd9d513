"""Block devices as udev tells of them: what is there, and what changes; nothing of media yet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyudev  # type: ignore[import-untyped]

SECTOR = 512
"""The unit of sizes in sysfs, whatever the sectors of the device are."""
_MOST_AT_ONCE = 256
_CONTROL = Path("/run/udev/control")


class BlockDevice(NamedTuple):
    """A disk, a partition or an optical drive. `path` is its folder in sysfs, `parent` its disk's.

    `size` is in bytes, 0 where a slot or a drive is empty.
    """

    path: str
    parent: str
    node: str
    number: str
    """Major and minor, as in mountinfo: "8:17"."""
    is_partition: bool
    size: int
    read_only: bool
    card_type: str
    """What a card at an SD host is: "SD" or "MMC"; "" for all others."""
    properties: Mapping[str, str]


class Change(NamedTuple):
    """What udev announced of a device: "add", "change" or "remove", and what it is now."""

    action: str
    device: BlockDevice


class BlockDeviceMonitor:
    """The netlink socket on which udev announces. Raises OSError as the kernel says."""

    def __init__(self) -> None:
        self._context: Any = pyudev.Context()
        self._monitor: Any = pyudev.Monitor.from_netlink(self._context, source="udev")
        self._monitor.filter_by("block")
        self._monitor.start()

    @property
    def descriptor(self) -> int:
        """Readable when something was announced."""
        return int(self._monitor.fileno())

    def devices(self) -> list[BlockDevice]:
        """All that are there now, the disks before their partitions."""
        listed = self._context.list_devices(subsystem="block")
        return sorted((_described(each) for each in listed), key=lambda each: each.path)

    def changes(self) -> tuple[list[Change], bool]:
        """What was announced, oldest first, and whether some of it was lost. Never waits."""
        found: list[Change] = []
        for _ in range(_MOST_AT_ONCE):
            try:
                device = self._monitor.poll(timeout=0)
            except OSError:
                return found, True  # ENOBUFS: more came than the socket holds.
            if device is None:
                break
            found.append(Change(str(device.action), _described(device)))
        return found, False

    def close(self) -> None:
        """Let the socket go: it closes with its last reference."""
        self._monitor = self._context = None


def is_running() -> bool:
    """Whether there is a udev that announces anything."""
    return _CONTROL.exists()


def _described(device: Any) -> BlockDevice:
    folder = Path(device.sys_path)
    properties = {str(name): str(device.properties[name]) for name in device.properties}
    is_partition = device.device_type == "partition"
    return BlockDevice(
        path=str(folder),
        parent=str(folder.parent) if is_partition else "",
        node=str(device.device_node or ""),
        number=f"{properties.get('MAJOR', '0')}:{properties.get('MINOR', '0')}",
        is_partition=is_partition,
        size=int(_text(folder / "size") or 0) * SECTOR,
        read_only=_text(folder / "ro") == "1",
        card_type=_text(folder / "device" / "type") if "/mmc" in str(folder) else "",
        properties=properties,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
