"""Removable media without hardware: whoever moves a folder into a folder has plugged in a stick.

What lies in the control folder is plugged in, under the name that it has there; names that begin
with a dot do not count:

    STICK/       a stick, with the files in it
    DISC.iso     a disc in a drive; a blank one where the file is empty
    STICK.json   what STICK says of itself: the keys of `DESCRIPTION`, as far as they differ

So another process plugs with `mv` and pulls with `mv`, also while files on it are open: those
below its path are then not found. `size` is the room that it claims to have; a folder takes more
all the same. A description must be there before the medium is.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hal.folder import kernel
from hal.removable import optical
from hal.removable.base import (
    MediaError,
    MediaEvent,
    MediaTrouble,
    Medium,
    MediumCame,
    MediumIgnored,
    MediumWent,
    RemovableMedia,
    WrongSettings,
)
from hal.removable.rules import MediaRule, refusal

NAME = "simulator"
DESCRIPTION: Mapping[str, type] = MappingProxyType(
    {
        "bus": str,
        "vendor": str,
        "model": str,
        "serial": str,
        "label": str,
        "file_system": str,
        "size": int,
        "read_only": bool,
    }
)
"""What a description may hold, and of which type."""
_SIZE = 1_000_000_000
_LARGEST_DESCRIPTION = 65_536
_MASK = (
    kernel.IN_MODIFY
    | kernel.IN_CLOSE_WRITE
    | kernel.IN_CREATE
    | kernel.IN_MOVED_FROM
    | kernel.IN_MOVED_TO
    | kernel.IN_DELETE
    | kernel.IN_DELETE_SELF
    | kernel.IN_MOVE_SELF
    | kernel.IN_ONLYDIR
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A medium, and the file or folder that it is: another under the same name is another."""

    medium: Medium
    inode: int


class SimulatedMedia(RemovableMedia):
    """The simulator. `folder` is the control folder, which is made where it is missing."""

    def __init__(
        self,
        *,
        folder: str | os.PathLike[str],
        rules: Sequence[MediaRule | Mapping[str, Any]] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = Path(folder).absolute()
        self._rules = tuple(
            each if isinstance(each, MediaRule) else MediaRule(**each) for each in rules
        )
        self.now = now
        self._inotify: kernel.Inotify | None = None
        self._told: dict[str, _Entry] = {}
        self._ignored: dict[str, _Entry] = {}
        self._being_written: set[str] = set()
        self._troubles: set[str] = set()
        self._waiting: list[MediaEvent] = []

    def open(self) -> None:
        if self._inotify is not None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._inotify = kernel.Inotify()
            self._inotify.add(str(self._folder), _MASK)
        except OSError as error:
            self.close()
            raise WrongSettings(f"{self._folder} cannot be watched: {error.strerror}") from error
        self._look()

    def close(self) -> None:
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None
        for kept in (self._told, self._ignored, self._being_written, self._troubles, self._waiting):
            kept.clear()

    @property
    def descriptor(self) -> int | None:
        return None if self._inotify is None else self._inotify.descriptor

    def deadline(self) -> float | None:
        return self._waiting[0].at if self._waiting else None

    @property
    def media(self) -> tuple[Medium, ...]:
        return tuple(each.medium for each in self._told.values())

    def events(self) -> list[MediaEvent]:
        if self._inotify is not None:
            seen = self._inotify.read()
            for event in seen:
                self._note(event)
            if seen:
                self._look()
        found, self._waiting = self._waiting, []
        return found

    def _note(self, event: kernel.KernelEvent) -> None:
        """Keep which files are being written: a disc that is being burnt is the old one still."""
        if event.mask & kernel.IN_Q_OVERFLOW:
            self._being_written.clear()
        elif event.mask & kernel.IN_MODIFY:
            self._being_written.add(event.name)
        elif event.mask & kernel.IN_CREATE and not event.mask & kernel.IN_ISDIR:
            status = _status(self._folder / event.name, follow=False)
            # A link to a file is whole at once; a new file is when its writer closes it.
            if status is not None and stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                self._being_written.add(event.name)
        else:
            self._being_written.discard(event.name)

    def _look(self) -> None:
        """Tell what differs between the control folder and what was told."""
        there = self._entries()
        for known in (self._told, self._ignored):
            for name in [name for name in known if there.get(name) != known[name]]:
                entry = known.pop(name)
                if known is self._told:
                    self._tell_gone(name, entry, there)
        for name, entry in there.items():
            if name in self._told or name in self._ignored:
                continue
            why = refusal(entry.medium, self._rules)
            if why:
                self._ignored[name] = entry
                self._waiting.append(MediumIgnored(self.now(), entry.medium, why))
            else:
                self._told[name] = entry
                self._waiting.append(MediumCame(self.now(), entry.medium))

    def _tell_gone(self, name: str, entry: _Entry, there: Mapping[str, _Entry]) -> None:
        mounted_at = mounted_path(entry.medium)
        if name in there and there[name].inode == entry.inode:
            why = "what is on it is another now"
        elif (self._folder / EJECTED / name).exists():
            why = "it was ejected"
        else:
            why = "it was pulled"
        if mounted_at:
            why += " while it was mounted"
        self._waiting.append(MediumWent(self.now(), entry.medium, why, mounted_at))

    def _entries(self) -> dict[str, _Entry]:
        try:
            names = sorted(os.listdir(self._folder))  # noqa: PTH208
        except OSError:
            return {}
        found = {}
        for name in names:
            if name.startswith(".") or name.endswith(".json"):
                continue
            if name in self._being_written:
                for known in (self._told, self._ignored):
                    if name in known:
                        found[name] = known[name]
                continue
            entry = self._entry(name)
            if entry is not None:
                found[name] = entry
        return found

    def _entry(self, name: str) -> _Entry | None:
        path = self._folder / name
        status = _status(path)
        if status is None:
            return None
        medium = Medium(NAME, f"simulated:{name}", str(path), "usb", disk=str(path))
        try:
            if stat.S_ISREG(status.st_mode):
                medium = _disc(medium, path, status.st_size)
            else:
                medium = replace(medium, label=name, file_system="vfat", size=_SIZE, serial=name)
            given = _description(path.with_name(f"{name}.json"))
        except (WrongSettings, MediaError) as error:
            self._say(str(error))
            return None
        return _Entry(replace(medium, **given), status.st_ino)

    def _say(self, why: str) -> None:
        if why not in self._troubles:
            self._troubles.add(why)
            self._waiting.append(MediaTrouble(self.now(), why))


EJECTED = ".ejected"
"""The folder, in the control folder, to which ejected media go."""


def mark_of(medium: Medium) -> Path:
    """The file that is there while a medium is mounted; in it "ro" or "rw", a space, and where."""
    path = Path(medium.device)
    return path.with_name(f".{path.name}.mounted")


def mounted_path(medium: Medium) -> str:
    """Where a medium is mounted; "" when it is not."""
    try:
        return os.fsdecode(mark_of(medium).read_bytes()[3:])
    except OSError:
        return ""


def is_mounted_to_write(medium: Medium) -> bool:
    """Whether a medium is mounted, and not for reading only."""
    try:
        return mark_of(medium).read_bytes().startswith(b"rw")
    except OSError:
        return False


def _disc(medium: Medium, path: Path, size: int) -> Medium:
    drive = optical.look_into(str(path))
    identity = f"optical:{drive.label or path.name}"
    return replace(
        medium,
        id=identity,
        label=drive.label,
        file_system=drive.file_system,
        size=size,
        read_only=True,
        optical=True,
        blank=drive.is_blank,
    )


def _description(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            table = json.loads(file.read(_LARGEST_DESCRIPTION))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise WrongSettings(f"{path} cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise WrongSettings(f"{path} is no table of names and values")
    for name, value in table.items():
        wanted = DESCRIPTION.get(name)
        if wanted is None:
            known = ", ".join(DESCRIPTION)
            raise WrongSettings(f"{path} has {name!r}; a medium has: {known}")
        if type(value) is not wanted:
            raise WrongSettings(f"{path}: {name} is {value!r}, which is no {wanted.__name__}")
    return table


def _status(path: Path, *, follow: bool = True) -> os.stat_result | None:
    try:
        return path.stat(follow_symlinks=follow)
    except OSError:
        return None
