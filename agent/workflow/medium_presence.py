"""Whether a medium is there still: asked by those who read from one, or write to one."""

from __future__ import annotations

import os
from pathlib import Path

from agent.errors import DeviceError
from agent.quoting import quoted
from hal.removable import optical


def presence(root: Path) -> tuple[int, int, bool]:
    """What changes when a medium goes: the file system, its root, and whether its device is there,
    for what the kernel has in its cache can be read for long. Raises OSError."""
    state = root.stat()
    place = f"{os.major(state.st_dev)}:{os.minor(state.st_dev)}"
    return state.st_dev, state.st_ino, Path("/sys/dev/block", place).exists()


def change_since(before: tuple[int, int, bool], root: Path) -> str:
    """What has become of a medium, in words; "" while it is as it was. Raises OSError."""
    now = presence(root)
    if now == before:
        return ""
    was_pulled = before[:2] == now[:2] and before[2] and not now[2]
    return "it was pulled" if was_pulled else "it is not the medium that it was"


def check_blank_disc(drive: str) -> None:
    """Raises DeviceError where there is no blank disc in a drive: nothing is prepared in vain."""
    found = optical.look_into(drive)
    if found.status is not optical.DriveStatus.CDS_DISC_OK:
        raise DeviceError(f"there is no disc in {quoted(drive)}; put a blank one in")
    if not found.is_blank:
        raise DeviceError(f"the disc in {quoted(drive)} is not blank; put a blank one in")
