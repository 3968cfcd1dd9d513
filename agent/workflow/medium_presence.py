"""Whether a medium is there still: asked by those who read from one, or write to one."""

from __future__ import annotations

import os
from pathlib import Path


def presence(root: Path) -> tuple[int, int, bool]:
    """What changes when a medium goes: the file system, its root, and whether its device is there,
    for what the kernel has in its cache can be read for long. Raises OSError."""
    state = root.stat()
    place = f"{os.major(state.st_dev)}:{os.minor(state.st_dev)}"
    return state.st_dev, state.st_ino, Path("/sys/dev/block", place).exists()
