"""Putting right what a pull has left half-done, before anything is written to the medium again.

FAT and exFAT have no journal. A file may be there whose clusters the table calls free: the kernel
that deletes it finds that out, and lets nothing be written any more; and what is written before
may get clusters that are another's. Each has a mark that says it was not unmounted properly.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from hal.removable.base import Medium, MediumBusy, NotMountable

_SECONDS = 600.0
_SECTOR = 512
_FAT32_TYPE = slice(82, 87)
_FAT16_OFFSET = 37
_DONE = (0, 1)
"""Nothing was wrong; all was put right (fsck(8))."""


class _Check(NamedTuple):
    """`program` puts right what it can without asking. The mark is a bit of the first sector."""

    program: tuple[str, ...]
    offset: int
    bit: int


CHECKS: Mapping[str, _Check] = MappingProxyType(
    {
        # BS_Reserved1, where the kernel, mkfs.fat and fsck.fat have the state.
        "vfat": _Check(("fsck.vfat", "-a"), 65, 0x01),
        # VolumeFlags, VolumeDirty (exFAT specification 3.1.13.2).
        "exfat": _Check(("fsck.exfat", "-p"), 106, 0x02),
    }
)


def put_right(medium: Medium) -> None:
    """Have a medium checked that was not unmounted properly; nothing without the program for it.

    What was lost of files may be found in the top folder then, as FSCK0000.REC. Blocks for a
    minute on a large stick. Raises MediumBusy, and NotMountable where it cannot be put right.
    """
    check = CHECKS.get(medium.file_system)
    if check is None or not _is_marked(medium, check):
        return
    program = shutil.which(check.program[0], path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        return
    try:
        done = subprocess.run(
            [program, *check.program[1:], medium.device],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise MediumBusy(f"{medium.name} was not checked in {_SECONDS:g} s") from error
    # fsck.vfat gives 1 for what it has put right, and for what it cannot read too.
    if done.returncode not in _DONE or _is_marked(medium, check):
        said = done.stdout.decode(errors="replace").strip().splitlines()
        raise NotMountable(
            f"{medium.name} was pulled while it was written to, and cannot be put right"
            f" ({check.program[0]}: {said[-1] if said else done.returncode}); format it anew"
        )


def _is_marked(medium: Medium, check: _Check) -> bool:
    try:
        descriptor = os.open(medium.device, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False  # Who mounts it finds out why.
    try:
        sector = os.pread(descriptor, _SECTOR, 0)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    if len(sector) < _SECTOR:
        return False
    offset = check.offset
    if medium.file_system == "vfat" and sector[_FAT32_TYPE] != b"FAT32":
        offset = _FAT16_OFFSET
    return bool(sector[offset] & check.bit)
