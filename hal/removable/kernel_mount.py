"""mount(2), umount2(2) and syncfs(2) by ctypes, for one who has the right to mount.

Not the program `mount`: it would read /etc/fstab, start helpers of its own choice, and tell in
words of the user's language what the kernel tells as a number.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from pathlib import Path

from hal.removable.base import (
    MediaError,
    Medium,
    MediumBusy,
    MediumGone,
    NotAllowed,
    NotMountable,
    NotWritten,
    WriteProtected,
)
from hal.removable.file_systems import MS_RDONLY, SAFE, WAYS

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8
_CAP_SYS_ADMIN = 21
_STATUS = Path("/proc/self/status")
_GONE = frozenset((errno.ENOENT, errno.ENXIO, errno.ENOMEDIUM, errno.ENOTBLK))
_PROTECTED = frozenset((errno.EROFS, errno.EACCES))


def may_mount() -> bool:
    """Whether this process has CAP_SYS_ADMIN."""
    try:
        for line in _STATUS.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "CapEff":
                return bool(int(value, 16) >> _CAP_SYS_ADMIN & 1)
    except (OSError, ValueError):
        pass
    return False


def mount(medium: Medium, folder: str, read_only: bool) -> None:
    """Mount a medium at a folder that is there. Raises as `hal.removable.base.mount`."""
    ways = WAYS.get(medium.file_system)
    if ways is None:
        said = medium.file_system or "no file system"
        known = ", ".join(WAYS)
        raise NotMountable(f"{medium.name} has {said}; what can be read here: {known}")
    error = OSError(errno.ENODEV, "")
    for way in ways:
        options = way.reading if read_only else way.writing
        if options is None:
            raise WriteProtected(f"{medium.file_system} is only read here; format it as exfat")
        flags = SAFE | (MS_RDONLY if read_only else 0)
        data = options.format(uid=os.geteuid(), gid=os.getegid())
        try:
            _mount(medium.device, folder, way.kernel_name, flags, data)
            return
        except OSError as caught:
            error = caught
            if error.errno != errno.ENODEV:
                break
    raise _said(medium, error, read_only)


def synchronise(folder: str) -> None:
    """Bring all that was written below a folder onto its medium. Raises NotWritten."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NotWritten(f"{folder} is gone: {error.strerror}") from error
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(descriptor) < 0:
            why = os.strerror(ctypes.get_errno())
            raise NotWritten(f"what was written to {folder} is not all on the medium: {why}")
    finally:
        os.close(descriptor)


def unmount(folder: str) -> None:
    """Take what is mounted at a folder away; nothing where nothing is. Raises MediumBusy."""
    try:
        _unmount(folder, UMOUNT_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise MediumBusy(f"a program has a file below {folder} open; close it") from error
        if error.errno in (errno.EPERM, errno.EACCES):
            raise NotAllowed(f"{folder} cannot be unmounted: this needs CAP_SYS_ADMIN") from error
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise MediumGone(f"{folder} cannot be unmounted: {error.strerror}") from error


def detach(folder: str) -> None:
    """Take it out of the tree at once, whatever is open on it. Never raises."""
    # Where it fails it is mounted no more, which is what is wanted.
    with contextlib.suppress(OSError):
        _unmount(folder, UMOUNT_NOFOLLOW | MNT_DETACH)


def _mount(device: str, folder: str, kernel_name: str, flags: int, data: str) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    words = (os.fsencode(device), os.fsencode(folder), kernel_name.encode())
    if library.mount(*words, ctypes.c_ulong(flags), data.encode()) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _unmount(folder: str, flags: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.umount2(os.fsencode(folder), flags) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _said(medium: Medium, error: OSError, read_only: bool) -> MediaError:
    number, name = error.errno, medium.name
    if number in _GONE:
        return MediumGone(f"{name} is not there any more")
    if number == errno.EPERM:
        return NotAllowed(f"{name} cannot be mounted: this needs CAP_SYS_ADMIN")
    if number == errno.EBUSY:
        return MediumBusy(f"{name} is mounted elsewhere, or its folder is in use; unmount it")
    if number in _PROTECTED and not read_only:
        return WriteProtected(
            f"{name} is protected against writing; move its switch, or take another"
        )
    if number == errno.ENODEV:
        return NotMountable(
            f"the kernel here does not know {medium.file_system}, which {name} has; use a medium"
            " with another file system (exfat, vfat)"
        )
    why = os.strerror(number or 0)
    return NotMountable(f"{name} cannot be read as {medium.file_system}: {why}; it may be damaged")
