"""Optical drives through the kernel's interface; names and numbers are those of linux/cdrom.h.

A file with an image of a disc is a drive too: one whose disc does not come out.
"""

from __future__ import annotations

import enum
import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import NamedTuple

from hal.removable.base import MediaError, MediumBusy, MediumGone, NotAllowed

CDROMEJECT = 0x5309
CDROM_DRIVE_STATUS = 0x5326
CDROM_DISC_STATUS = 0x5327
CDROM_LOCKDOOR = 0x5329
CDROM_GET_CAPABILITY = 0x5331
CDSL_CURRENT = 0x7FFFFFFF

VOLUME_DESCRIPTORS = 16 * 2048
"""Where ISO 9660 and UDF begin to describe themselves, in bytes."""
_DESCRIPTOR = 2048
_MOST_DESCRIPTORS = 32


class DriveStatus(enum.IntEnum):
    """What CDROM_DRIVE_STATUS answers."""

    CDS_NO_INFO = 0
    CDS_NO_DISC = 1
    CDS_TRAY_OPEN = 2
    CDS_DRIVE_NOT_READY = 3
    CDS_DISC_OK = 4


class DiscStatus(enum.IntEnum):
    """What CDROM_DISC_STATUS answers."""

    CDS_NO_INFO = 0
    CDS_NO_DISC = 1
    CDS_AUDIO = 100
    CDS_DATA_1 = 101
    CDS_DATA_2 = 102
    CDS_XA_2_1 = 103
    CDS_XA_2_2 = 104
    CDS_MIXED = 105


class Capability(enum.IntFlag):
    """What CDROM_GET_CAPABILITY answers; of it, what matters to one who reads or burns."""

    CDC_CLOSE_TRAY = 0x1
    CDC_OPEN_TRAY = 0x2
    CDC_LOCK = 0x4
    CDC_CD_R = 0x2000
    CDC_CD_RW = 0x4000
    CDC_DVD = 0x8000
    CDC_DVD_R = 0x10000
    CDC_DVD_RAM = 0x20000


BURNERS = Capability.CDC_CD_R | Capability.CDC_CD_RW | Capability.CDC_DVD_R | Capability.CDC_DVD_RAM


class Drive(NamedTuple):
    """A drive and what lies in it. `label` is the disc's, "" where it has none or no data."""

    status: DriveStatus
    disc: DiscStatus
    capabilities: Capability
    label: str
    file_system: str

    @property
    def has_data(self) -> bool:
        """There is a disc with files."""
        return self.file_system != ""

    @property
    def is_blank(self) -> bool:
        """There is a disc on which nothing is written."""
        # The drive knows a disc, and finds no track of data and no music on it.
        nothing = (DiscStatus.CDS_NO_INFO, DiscStatus.CDS_NO_DISC)
        return self.status is DriveStatus.CDS_DISC_OK and not self.has_data and self.disc in nothing

    @property
    def can_burn(self) -> bool:
        """The drive, whatever lies in it, can write discs of some kind."""
        return bool(self.capabilities & BURNERS)


def look_into(drive: str) -> Drive:
    """Ask a drive, or the file of an image, what it is and what lies in it; blocks for seconds.

    Raises MediumGone where the drive is away and NotAllowed where this user may not ask.
    """
    descriptor = _opened(drive)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return _image(descriptor)
        status = DriveStatus(_asked(descriptor, CDROM_DRIVE_STATUS, CDSL_CURRENT))
        number = _asked(descriptor, CDROM_DISC_STATUS, 0)
        disc = DiscStatus(number) if number in set(DiscStatus) else DiscStatus.CDS_NO_INFO
        capabilities = Capability(_asked(descriptor, CDROM_GET_CAPABILITY, 0) & _ALL)
        is_there = status is DriveStatus.CDS_DISC_OK
        file_system, label = volume_of(descriptor) if is_there else ("", "")
        return Drive(status, disc, capabilities, label, file_system)
    except ValueError as error:
        raise MediumGone(f"{drive} is no optical drive: {error}") from error
    except OSError as error:
        raise _said(drive, error) from error
    finally:
        os.close(descriptor)


def eject(drive: str) -> None:
    """Unlock the door and push the disc out; blocks for seconds.

    Raises MediumBusy where the disc is mounted, MediumGone and NotAllowed as `look_into`. An
    image has no door: nothing happens.
    """
    descriptor = _opened(drive)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.ioctl(descriptor, CDROM_LOCKDOOR, 0)
            fcntl.ioctl(descriptor, CDROMEJECT, 0)
    except OSError as error:
        raise _said(drive, error) from error
    finally:
        os.close(descriptor)


def volume_of(descriptor: int) -> tuple[str, str]:
    """The file system ("iso9660", "udf" or "") and the label that a disc says of itself.

    The volume descriptors are those of ECMA-119 8 and ECMA-167 2/8; a disc that has both is UDF.
    """
    file_system = label = ""
    for number in range(_MOST_DESCRIPTORS):
        position = VOLUME_DESCRIPTORS + number * _DESCRIPTOR
        try:
            block = os.pread(descriptor, _DESCRIPTOR, position)
        except OSError:
            break
        mark = block[1:6]
        if mark == b"CD001":
            if block[0] == 1:
                file_system, label = "iso9660", block[40:72].decode("ascii", "replace").strip()
        elif mark in (b"NSR02", b"NSR03"):
            return "udf", label
        elif mark not in (b"BEA01", b"TEA01", b"BOOT2"):
            break
    return file_system, label


_ALL = sum(Capability)


def _image(descriptor: int) -> Drive:
    file_system, label = volume_of(descriptor)
    is_blank = os.fstat(descriptor).st_size == 0
    disc = DiscStatus.CDS_DATA_1 if not is_blank else DiscStatus.CDS_NO_INFO
    return Drive(DriveStatus.CDS_DISC_OK, disc, Capability(0), label, file_system)


def _asked(descriptor: int, request: int, argument: int) -> int:
    return int(fcntl.ioctl(descriptor, request, argument))


def _opened(drive: str) -> int:
    try:
        # Non-blocking: a drive without a disc can be opened, and one with an open tray stays so.
        return os.open(drive, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _said(drive, error) from error


def _said(drive: str, error: OSError) -> MediaError:
    why = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        group = Path(drive).group() if Path(drive).exists() else "cdrom"
        return NotAllowed(f"{drive} cannot be used: {why}; members of the group {group} may")
    if error.errno == errno.EBUSY:
        return MediumBusy(f"the disc in {drive} is in use; unmount it first")
    return MediumGone(f"{drive} cannot be used: {why}")
