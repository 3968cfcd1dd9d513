"""The interface of removable media: what came, what went, and what may be done with it.

A driver has no thread and no loop. Its owner waits for `descriptor` to be readable, or for the
clock to reach `deadline()`, and then calls `events()`. What blocks (`mount`, `unmount`, `space`,
`release`, `let_go`) are functions of this module: plain data in, plain data out, to be run in a
worker process, whichever driver told of the medium.

    MediaError
    ├── MediumGone        example: the stick was pulled
    ├── MediumBusy        example: a file on it is still open
    ├── MediumFull        example: 12 MB are needed, 3 MB are free
    ├── WriteProtected    example: the switch of the card is at "lock"
    ├── NotMountable      example: a file system that this kernel does not know
    ├── NotAllowed        example: the rules refuse its serial number; no right to mount
    ├── NotWritten        example: the last bytes could not be brought onto the stick
    └── WrongSettings     example: a driver that does not exist

The drivers are named in `DRIVERS`; importing this module imports none of them.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from hal.drivers import found_driver, made_by_driver

DRIVERS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "block-devices": (
            "hal.removable.block_devices",
            "BlockDevices",
            "hal.removable.block_device_steps",
        ),
        "simulator": (
            "hal.removable.simulator",
            "SimulatedMedia",
            "hal.removable.simulator_steps",
        ),
    }
)
"""Driver name to (module, class, module of its blocking steps)."""

_WHAT = "driver of media"


class MediaError(Exception):
    """The root of what a removable medium can raise; never raised itself."""


class MediumGone(MediaError):
    """The medium is not there any more."""


class MediumBusy(MediaError):
    """Somebody uses it: a file is open, or it is mounted already."""


class MediumFull(MediaError):
    """It has not the room that is needed."""


class WriteProtected(MediaError):
    """It cannot be written to, and that was asked for."""


class NotMountable(MediaError):
    """There is no file system on it that can be read here."""


class NotAllowed(MediaError):
    """The rules, or the system, do not permit it."""


class NotWritten(MediaError):
    """What was written to it has not all arrived there."""


class WrongSettings(MediaError):
    """The driver cannot be set up as it was told."""


@dataclass(frozen=True, slots=True)
class Medium:
    """What is known of a medium. Words that it does not say of itself are empty.

    `id` is the same when it comes again, at whatever socket; a disc has it from the disc, not from
    the drive. `bus` is "usb", "sd", "mmc" (soldered in), "ata", "scsi", "nvme", "firewire",
    "virtio" or "virtual". `file_system` is named as by the kernel ("vfat", "iso9660"), "" where
    there is none. `size` is in bytes. `blank`: a disc without data, that can be burnt.
    """

    driver: str
    id: str
    device: str
    bus: str
    vendor: str = ""
    model: str = ""
    serial: str = ""
    label: str = ""
    file_system: str = ""
    size: int = 0
    read_only: bool = False
    optical: bool = False
    blank: bool = False
    disk: str = ""
    """The device of the whole disk, of which `device` may be a partition."""

    @property
    def name(self) -> str:
        """What a person calls it: its label, else what made it."""
        return self.label or f"{self.vendor} {self.model}".strip() or self.device


@dataclass(frozen=True, slots=True)
class MediaEvent:
    """Something that happened, `at` seconds of the clock."""

    at: float


@dataclass(frozen=True, slots=True)
class MediumCame(MediaEvent):
    """A medium is there: plugged in, put into the drive, or there already at `open`."""

    medium: Medium


@dataclass(frozen=True, slots=True)
class MediumWent(MediaEvent):
    """It is there no more; `why` in words.

    `mounted_at` is the folder where it was still mounted: it was pulled. The owner then has
    `let_go` run for that folder, in a worker.
    """

    medium: Medium
    why: str
    mounted_at: str = ""


@dataclass(frozen=True, slots=True)
class MediumIgnored(MediaEvent):
    """A medium came that is not to be touched; `why` in words. Its going is not told."""

    medium: Medium
    why: str


@dataclass(frozen=True, slots=True)
class EjectPressed(MediaEvent):
    """Somebody pressed the button of the drive: the disc is about to go."""

    medium: Medium


@dataclass(frozen=True, slots=True)
class MediaTrouble(MediaEvent):
    """Media cannot be seen, or not all; `why` in words. Said once until it works again."""

    why: str


class Mounted(NamedTuple):
    """A medium that can be read under `path`, and written to unless `read_only`."""

    medium: Medium
    path: str
    read_only: bool


class Space(NamedTuple):
    """Bytes that a mounted medium holds, and that a program may still write."""

    capacity: int
    free: int


class RemovableMedia(ABC):
    """The media of this machine. Memory: what is known of each; some hundred bytes."""

    mounted_below: str = ""
    """The folder below which the owner mounts media; what is mounted there, by the owner's former
    life too, is no part of the running system wherever that folder lies. Set before `open()`."""

    @abstractmethod
    def open(self) -> None:
        """Begin; what is there already comes as events. Raises WrongSettings. May block shortly.

        Nothing happens when it is open.
        """

    @abstractmethod
    def close(self) -> None:
        """End. Never raises; can be called twice; mounted media stay mounted."""

    @property
    @abstractmethod
    def descriptor(self) -> int | None:
        """Readable when something happened; None while closed. Forget it before `close()`."""

    @abstractmethod
    def deadline(self) -> float | None:
        """When to call `events()` even if the descriptor is silent; None: never."""

    @abstractmethod
    def events(self) -> list[MediaEvent]:
        """What happened since the last call, oldest first. Never waits, never raises."""

    @property
    @abstractmethod
    def media(self) -> tuple[Medium, ...]:
        """Those that have been told as come and not as gone, in that order."""


def open_driver(name: str, **options: Any) -> RemovableMedia:
    """Make the driver of this name; imports its module now.

    Raises WrongSettings for a name that is not in DRIVERS and for options it does not know.
    """
    misuse = (TypeError, ValueError)
    made = made_by_driver(DRIVERS, name, options, _WHAT, WrongSettings, misuse)
    assert isinstance(made, RemovableMedia)
    return made


def mount(medium: Medium, folder: str, *, read_only: bool = True) -> Mounted:
    """Make the files of a medium readable; blocks for seconds.

    `folder` is where, if the caller has the right to say so: it is made where it is missing. Look
    at `path` of the answer. Programs, device nodes and set-uid files on a medium have no effect.
    Before it is written to, one that was not unmounted properly is put right where the programs for
    that are installed.
    Raises MediumGone, MediumBusy, WriteProtected, NotMountable, NotAllowed.
    """
    mounted: Mounted = _steps(medium).mount(medium, folder, read_only)
    return mounted


def mounted_before(medium: Medium, folder: str) -> Mounted | None:
    """The medium as it is mounted already, at `folder` or where a service of the system mounts;
    None where it is not, or is mounted elsewhere by somebody. So a program that was killed finds
    again what it had mounted. Never raises."""
    found: Mounted | None = _steps(medium).mounted_before(medium, folder)
    return found


def unmount(mounted: Mounted) -> None:
    """Bring all onto the medium and take it out of the tree; blocks for minutes on a slow stick.

    Does nothing where it is mounted no more. Raises MediumBusy, and NotWritten when what was
    written is not all on it; it is unmounted then all the same.
    """
    _steps(mounted.medium).unmount(mounted)


def let_go(mounted: Mounted) -> None:
    """Take a medium that was pulled out of the tree, whatever is open on it. Never raises."""
    _steps(mounted.medium).let_go(mounted)


def space(mounted: Mounted) -> Space:
    """How much it holds and how much of it is free. Raises MediumGone."""
    found: Space = _steps(mounted.medium).space(mounted)
    return found


def release(medium: Medium) -> None:
    """After this it is safe to remove: nothing of its disk is mounted and all is written.

    A disc is pushed out of its drive. Raises MediumBusy where something is still mounted,
    NotWritten, NotAllowed; MediumGone where somebody was faster.
    """
    _steps(medium).release(medium)


def need(mounted: Mounted, size: int) -> None:
    """Raises MediumFull unless `size` more bytes fit; WriteProtected where nothing does."""
    name = mounted.medium.name
    if mounted.read_only:
        raise WriteProtected(f"{name} is mounted for reading only; mount it for writing")
    free = space(mounted).free
    if size > free:
        raise MediumFull(f"{name} has {free} bytes free and {size} are needed; take an emptier one")


def _steps(medium: Medium) -> Any:
    return importlib.import_module(found_driver(DRIVERS, medium.driver, _WHAT, WrongSettings)[2])
