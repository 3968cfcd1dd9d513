"""The blocking steps for block devices, run in a worker: by the kernel, or else by udisks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from hal.removable import kernel_mount, mounts, optical, repair, udisks
from hal.removable.base import (
    MediaError,
    Medium,
    MediumBusy,
    MediumGone,
    Mounted,
    NotAllowed,
    NotWritten,
    Space,
    WriteProtected,
)

SCSI_IOCTL_DOORUNLOCK = 0x5381
"""scsi/scsi_ioctl.h"""
_BLOCKS = Path("/sys/class/block")


def mount(medium: Medium, folder: str, read_only: bool) -> Mounted:
    """As `hal.removable.base.mount`."""
    if medium.read_only and not read_only:
        raise WriteProtected(f"{medium.name} is protected against writing; take another")
    taken = [each.path for each in mounts.mounts() if each.source == medium.device]
    if taken:
        raise MediumBusy(f"{medium.name} is mounted at {taken[-1]} already; unmount it there")
    if not kernel_mount.may_mount():
        return Mounted(medium, udisks.mount(medium, read_only), read_only)
    place = Path(folder)
    is_new = not place.exists()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NotAllowed(f"{folder} cannot be made: {error.strerror}") from error
    try:
        if not read_only:
            repair.put_right(medium)
        kernel_mount.mount(medium, folder, read_only)
    except BaseException:
        if is_new:
            _remove_folder(folder)
        raise
    return Mounted(medium, str(place.resolve()), read_only)


def mounted_before(medium: Medium, folder: str) -> Mounted | None:
    """As `hal.removable.base.mounted_before`."""
    place = os.path.realpath(folder)
    for each in reversed(mounts.mounts()):
        # udisks chooses the folder: there any is ours.
        if each.source == medium.device and (each.path == place or not kernel_mount.may_mount()):
            return Mounted(medium, each.path, each.read_only)
    return None


def unmount(mounted: Mounted) -> None:
    """As `hal.removable.base.unmount`."""
    if not _is_mounted(mounted):
        return
    wrong: NotWritten | None = None
    if not mounted.read_only:
        try:
            kernel_mount.synchronise(mounted.path)
        except NotWritten as error:
            wrong = error
    if kernel_mount.may_mount():
        kernel_mount.unmount(mounted.path)
        _remove_folder(mounted.path)
    else:
        udisks.unmount(mounted.medium)
    if wrong is None and not mounted.read_only:
        wrong = _flushed(mounted.medium)
    if wrong is not None:
        raise wrong


def let_go(mounted: Mounted) -> None:
    """As `hal.removable.base.let_go`."""
    if not kernel_mount.may_mount():
        # udisks sees that the device is gone, and takes such a mount away by itself, if later.
        with contextlib.suppress(MediaError):
            udisks.unmount(mounted.medium, force=True)
    elif _is_mounted(mounted):
        kernel_mount.detach(mounted.path)
        _remove_folder(mounted.path)


def space(mounted: Mounted) -> Space:
    """As `hal.removable.base.space`."""
    if not _is_mounted(mounted):
        raise MediumGone(f"{mounted.medium.name} is mounted no more at {mounted.path}")
    try:
        found = os.statvfs(mounted.path)
    except OSError as error:
        raise MediumGone(f"{mounted.medium.name} cannot be asked: {error.strerror}") from error
    return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def release(medium: Medium) -> None:
    """As `hal.removable.base.release`."""
    disk = medium.disk or medium.device
    if not Path(disk).exists():
        raise MediumGone(f"{medium.name} is not there any more")
    nodes = _family(disk)
    for each in mounts.mounts():
        if each.source in nodes:
            raise MediumBusy(f"{each.source} is mounted at {each.path}; unmount it first")
    if medium.optical:
        optical.eject(disk)
        return
    wrong = _flushed(medium)
    if wrong is not None:
        raise wrong
    _stop(disk)


def _stop(disk: str) -> None:
    """Tell a stick that it is done with, so that its lamp goes out; not all understand that."""
    try:
        descriptor = os.open(disk, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):
            # The kernel locks what can be removed as long as it is open.
            fcntl.ioctl(descriptor, SCSI_IOCTL_DOORUNLOCK, 0)
            fcntl.ioctl(descriptor, optical.CDROMEJECT, 0)
    finally:
        os.close(descriptor)


def _flushed(medium: Medium) -> NotWritten | None:
    """Have the device write its cache; what is wrong if it cannot."""
    try:
        descriptor = os.open(medium.device, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            return None  # Another's device: who unmounted it has had it flushed.
        return NotWritten(f"{medium.name} went before all was written: {error.strerror}")
    try:
        os.fsync(descriptor)
    except OSError as error:
        return NotWritten(f"{medium.name} has not written all: {error.strerror}")
    finally:
        os.close(descriptor)
    return None


def _family(disk: str) -> set[str]:
    """The nodes of a disk and of its partitions."""
    folder = _BLOCKS / Path(disk).name
    parts = {f"/dev/{each.parent.name}" for each in folder.glob("*/partition")}
    return parts | {disk}


def _is_mounted(mounted: Mounted) -> bool:
    device = mounted.medium.device
    return any(each.path == mounted.path and each.source == device for each in mounts.mounts())


def _remove_folder(folder: str) -> None:
    # Only an empty folder goes, so that one with files, or mounted on again, stays.
    with contextlib.suppress(OSError):
        Path(folder).rmdir()
