"""How each file system is mounted: the kernel's name of it, its options, and whether to write.

Whatever lies on a medium comes from strangers: nothing on it is a program, a device node or has
another user's rights, and symbolic links are not followed (`SAFE`). The options are those of the
kernel's documentation of each file system; `{uid}` and `{gid}` are the one who is to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

# linux/mount.h
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_NOSYMFOLLOW = 256
MS_NOATIME = 1024

SAFE = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW | MS_NOATIME


class Way(NamedTuple):
    """One way to mount: the kernel's file system, and options for reading and for writing."""

    kernel_name: str
    reading: str
    writing: str | None
    """None where it is never written to."""


_OWNED = "uid={uid},gid={gid},umask=0077"
# FAT keeps a name of capitals in eight characters and three as it is, without a long one beside
# it: the File IDs of PS3.10 8.5. `flush` writes early, since sticks are pulled.
_VFAT = f"{_OWNED},shortname=mixed,utf8=1"
_EXFAT = f"{_OWNED},iocharset=utf8"
_OPTICAL = "uid={uid},gid={gid},mode=0400,dmode=0500,utf8"

WAYS: Mapping[str, tuple[Way, ...]] = MappingProxyType(
    {
        "vfat": (Way("vfat", _VFAT, f"{_VFAT},flush,errors=remount-ro"),),
        "exfat": (Way("exfat", _EXFAT, f"{_EXFAT},errors=remount-ro"),),
        # Which of both a kernel has differs, and Debian's has none; neither is trusted to write
        # what Windows reads.
        "ntfs": (
            Way("ntfs3", f"{_OWNED},iocharset=utf8", None),
            Way("ntfs", f"{_OWNED},nls=utf8", None),
        ),
        # Without its journal nothing is written to a medium that is only read.
        "ext4": (Way("ext4", "noload", "errors=remount-ro"),),
        "ext3": (Way("ext4", "noload", "errors=remount-ro"),),
        "ext2": (Way("ext4", "", "errors=remount-ro"),),
        # File IDs are names of ISO 9660 in capitals (PS3.12 Annex F), which the kernel shows in
        # small letters: found in any case they are found as DICOMDIR has them. Rock Ridge has
        # owners and modes of some other machine.
        "iso9660": (Way("iso9660", f"{_OPTICAL},norock,check=relaxed", None),),
        "udf": (Way("udf", f"{_OPTICAL},umask=0077", None),),
    }
)
"""The file system as udev names it, to the ways that are tried in turn."""
