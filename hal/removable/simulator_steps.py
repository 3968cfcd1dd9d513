"""The blocking steps for simulated media.

A stick is mounted where it lies: its own folder. The files of a disc are copied out of its image by
xorriso, since to mount one needs a right, and a kernel that knows ISO 9660.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from hal.removable.base import (
    Medium,
    MediumBusy,
    MediumGone,
    Mounted,
    NotAllowed,
    NotMountable,
    Space,
    WriteProtected,
)
from hal.removable.file_systems import WAYS
from hal.removable.simulator import EJECTED, is_mounted_to_write, mark_of, mounted_path
from hal.removable.xorriso import extract

_PROCESSES = Path("/proc")


def mount(medium: Medium, folder: str, read_only: bool) -> Mounted:
    """As `hal.removable.base.mount`."""
    source = Path(medium.device)
    _must_be_there(medium)
    if medium.read_only and not read_only:
        raise WriteProtected(f"{medium.name} is protected against writing; take another")
    if medium.file_system not in WAYS:
        said = medium.file_system or "no file system"
        raise NotMountable(f"{medium.name} has {said}; what can be read here: {', '.join(WAYS)}")
    path = str(Path(folder).absolute()) if medium.optical else str(source)
    taken = mounted_path(medium)
    if taken:
        raise MediumBusy(f"{medium.name} is mounted at {taken} already")
    if medium.optical:
        # What is there was copied by a program that was killed before it had all.
        shutil.rmtree(path, ignore_errors=True)
        extract(str(source), path)
    mark = mark_of(medium)
    try:
        mark.write_bytes((b"ro " if read_only else b"rw ") + os.fsencode(path))
    except OSError as error:
        raise NotAllowed(f"{mark} cannot be written: {error.strerror}") from error
    return Mounted(medium, path, read_only)


def mounted_before(medium: Medium, folder: str) -> Mounted | None:
    """As `hal.removable.base.mounted_before`."""
    path = mounted_path(medium)
    if path not in (str(Path(folder).absolute()), medium.device):
        return None
    return Mounted(medium, path, not is_mounted_to_write(medium))


def unmount(mounted: Mounted) -> None:
    """As `hal.removable.base.unmount`."""
    if mounted_path(mounted.medium) != mounted.path:
        return
    for opened in _open_files():
        if opened == mounted.path or opened.startswith(f"{mounted.path}/"):
            raise MediumBusy(f"a program has {opened} open; close it")
    let_go(mounted)


def let_go(mounted: Mounted) -> None:
    """As `hal.removable.base.let_go`."""
    if mounted_path(mounted.medium) != mounted.path:
        return
    if mounted.medium.optical:
        shutil.rmtree(mounted.path, ignore_errors=True)
    mark_of(mounted.medium).unlink(missing_ok=True)


def space(mounted: Mounted) -> Space:
    """As `hal.removable.base.space`: what the medium claims, and what its files leave of that."""
    medium = mounted.medium
    _must_be_there(medium)
    if medium.optical:
        return Space(medium.size, 0)
    used = 0
    for folder, _, names in os.walk(mounted.path):
        for name in names:
            with contextlib.suppress(OSError):
                used += Path(folder, name).lstat().st_size
    host = os.statvfs(mounted.path)
    return Space(medium.size, max(0, min(medium.size - used, host.f_bavail * host.f_frsize)))


def release(medium: Medium) -> None:
    """As `hal.removable.base.release`: it lies in the folder `.ejected` afterwards."""
    source = Path(medium.device)
    _must_be_there(medium)
    mounted = mounted_path(medium)
    if mounted:
        raise MediumBusy(f"{medium.name} is mounted at {mounted}; unmount it first")
    target = source.parent / EJECTED / source.name
    try:
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            raise NotAllowed(f"{target} is there already; take it out first")
        source.rename(target)
    except OSError as error:
        raise NotAllowed(f"{source} cannot be ejected: {error.strerror}") from error


def _must_be_there(medium: Medium) -> None:
    if not Path(medium.device).exists():
        raise MediumGone(f"{medium.name} is not there any more")


def _open_files() -> Iterator[str]:
    """What the processes of this user, or for root of all, have open or stand in."""
    for process in _PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield str((process / "cwd").readlink())
            for opened in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    yield str(opened.readlink())
