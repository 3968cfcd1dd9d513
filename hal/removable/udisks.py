"""Mounting by udisks2, through its program `udisksctl`, for one who has no right to mount.

The service then mounts where it likes (below /media or /run/media), with `nosuid` and `nodev`
always. Whether it does so for this user is decided by polkit: see NotAllowed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from hal.removable import mounts
from hal.removable.base import (
    MediaError,
    Medium,
    MediumBusy,
    MediumGone,
    NotAllowed,
    NotMountable,
    WriteProtected,
)

_PROGRAM = "udisksctl"
_SECONDS = 120.0
_ERROR = re.compile(r"org\.freedesktop\.UDisks2\.Error\.(\w+): (.*)", re.DOTALL)


def mount(medium: Medium, read_only: bool) -> str:
    """Have a medium mounted; where, in the answer. Raises as `hal.removable.base.mount`."""
    options = "nosuid,nodev,noexec,noatime," + ("ro" if read_only else "rw")
    _call(medium, "mount", "--options", options)
    for each in reversed(mounts.mounts()):
        if each.source == medium.device:
            if each.read_only and not read_only:
                _call(medium, "unmount")
                raise WriteProtected(f"{medium.name} is protected against writing")
            return each.path
    raise MediumGone(f"{medium.name} was mounted and is gone again")


def unmount(medium: Medium, *, force: bool = False) -> None:
    """Have it unmounted; nothing where it is not mounted. Raises MediumBusy, NotAllowed."""
    if any(each.source == medium.device for each in mounts.mounts()):
        _call(medium, "unmount", *(["--force"] if force else []))


def _call(medium: Medium, verb: str, *words: str) -> None:
    program = shutil.which(_PROGRAM, path="/usr/bin:/bin")
    if program is None:
        raise NotAllowed("this needs CAP_SYS_ADMIN, or the package udisks2, which is not installed")
    command = [program, verb, "--no-user-interaction", "--block-device", medium.device, *words]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired as error:
        raise MediumBusy(f"udisks did not {verb} {medium.name} in {_SECONDS:g} s") from error
    if done.returncode != 0:
        raise _said(medium, verb, done.stderr.strip())


def _said(medium: Medium, verb: str, words: str) -> MediaError:
    found = _ERROR.search(words)
    kind, why = (found[1], found[2].strip()) if found else ("", words)
    if kind.startswith("NotAuthorized"):
        return NotAllowed(
            f"udisks does not {verb} {medium.name} for this user; a rule of polkit for"
            " org.freedesktop.udisks2.filesystem-mount permits it"
        )
    if "write-protected" in why:
        return WriteProtected(f"{medium.name} is protected against writing; take another")
    if kind in ("AlreadyMounted", "DeviceBusy"):
        return MediumBusy(f"{medium.name} is in use: {why}")
    if "not found" in words or "Error looking up object" in words:
        return MediumGone(f"{medium.name} is not there any more")
    if "not a mountable filesystem" in words or kind in ("Failed", "NotSupported"):
        return NotMountable(f"{medium.name} cannot be mounted: {why}")
    return NotAllowed(f"udisks cannot be asked to {verb} {medium.name}: {why}")
