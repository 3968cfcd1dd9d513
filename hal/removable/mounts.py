"""What is mounted, and what disks carry the running system, as the kernel lists it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_MOUNTINFO = Path("/proc/self/mountinfo")
_SWAPS = Path("/proc/swaps")
_OCTAL = re.compile(r"\\([0-7]{3})")
_OF_THE_SYSTEM = ("/boot", "/usr", "/var", "/home", "/srv", "/opt", "/etc", "/nix", "/sysroot")


class Mount(NamedTuple):
    """One line of mountinfo. `number` is major and minor of the device, `source` its node."""

    number: str
    path: str
    file_system: str
    source: str
    read_only: bool
    options: tuple[str, ...] = ()
    """Those of the mount itself, not of the super block."""

    @property
    def is_of_the_system(self) -> bool:
        """Whether the running system needs it."""
        inside = tuple(f"{folder}/" for folder in _OF_THE_SYSTEM)
        return self.path == "/" or f"{self.path}/".startswith(inside)


def mounts(table: Path = _MOUNTINFO) -> list[Mount]:
    """All mounts, oldest first; none where the kernel does not say."""
    try:
        lines = table.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) > 5 and len(rest) > 1:
            # Of options only those of the super block say whether the medium can be written to.
            is_read_only = "ro" in fields[5].split(",") or "ro" in rest[2:3][0].split(",")
            path, source = _unescaped(fields[4]), _unescaped(rest[1])
            options = tuple(fields[5].split(","))
            found.append(Mount(fields[2], path, rest[0], source, is_read_only, options))
    return found


def swap_nodes(table: Path = _SWAPS) -> set[str]:
    """The device nodes that the kernel swaps to."""
    try:
        lines = table.read_text(encoding="utf-8", errors="surrogateescape").splitlines()[1:]
    except OSError:
        return set()
    return {_unescaped(line.split()[0]) for line in lines if line.startswith("/dev/")}


def holders(folder: str) -> list[str]:
    """What is built upon a device (encryption, RAID, volumes); `folder` is its own in sysfs."""
    try:
        return sorted(each.name for each in Path(folder, "holders").iterdir())
    except OSError:
        return []


def _unescaped(word: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), word)
