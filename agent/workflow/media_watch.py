"""Media that are plugged in: mounted, imported where that is wanted, and let go.

A medium is mounted for reading, unless it is wanted otherwise, in a folder that is always the same
for it: an import from a stick that was pulled, and an export to it, go on when the stick is back.
What blocks runs in workers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from agent import observation
from agent.configuration.configuration import Configuration
from agent.configuration.media import Media
from agent.errors import DeviceError, GantryError, LocalError
from agent.loop import (
    Event,
    Task,
    TaskGroup,
    shielded,
    sleep,
)
from agent.loop.workers import Template, WorkerPool
from agent.quoting import Quoted, Sentence, quoted
from agent.workflow.device_waiting import let_go, until_due
from agent.workflow.media_desk import MediaDesk
from agent.workflow.supervision import supervised
from hal.removable import base as removable
from hal.removable.base import (
    EjectPressed,
    MediaError,
    MediaEvent,
    MediaTrouble,
    Medium,
    MediumBusy,
    MediumCame,
    MediumIgnored,
    MediumWent,
    Mounted,
    NotMountable,
    WriteProtected,
)

MEDIA = observation.metrics.gauge("gantry_media", "Media that are there", "media")

COMING, HERE, IMPORTING, RELEASED, USELESS = (
    "being mounted",
    "mounted",
    "being imported",
    "safe to remove",
    "cannot be used",
)
_LOOK = 0.5
_PATIENCE = 10
"""So many looks at a medium that is in use, before a person is told."""
_STEPS_AT_ONCE = 4


@dataclass(slots=True)
class SeenMedium:
    """A medium that is there: where its files are, and how far we are with it; `why` in words."""

    table: str
    medium: Medium
    state: str = COMING
    why: str = ""
    mounted: Mounted | None = None

    def summary(self) -> dict[str, Any]:
        """As people see it."""
        return {
            "media": self.table,
            "id": self.medium.id,
            "name": self.medium.name,
            "device": self.medium.device,
            "bus": self.medium.bus,
            "file_system": self.medium.file_system,
            "size": self.medium.size,
            "read_only": self.medium.read_only,
            "optical": self.medium.optical,
            "blank": self.medium.blank or not self.medium.file_system,
            "state": self.state,
            "why": self.why,
            "folder": self.mounted.path if self.mounted else "",
        }


class MediaWatch:
    """All media of a node."""

    def __init__(
        self, configuration: Callable[[], Configuration], template: Template, desk: MediaDesk
    ) -> None:
        self.seen: dict[str, SeenMedium] = {}
        self._configuration = configuration
        self._desk = desk
        # A stick that hangs must not hold up others, nor the questions of the general workers.
        self._pool = WorkerPool(template, "media", _STEPS_AT_ONCE, kill_abandoned=True)
        self._changed = Event()
        self._running: dict[str, tuple[Media, Task[None]]] = {}

    def reload(self) -> None:
        """The configuration has changed."""
        self._changed.set()

    def listing(self) -> list[dict[str, Any]]:
        """The media that are there, as people see them."""
        return [each.summary() for each in self.seen.values()]

    async def run(self) -> None:
        """Until cancelled: watch what is configured; what did not change goes on."""
        try:
            async with TaskGroup() as group:
                while True:
                    self._changed.clear()
                    self._follow(group)
                    await self._changed.wait()
        finally:
            self._pool.close()

    def _follow(self, group: TaskGroup) -> None:
        wanted = {each.name: each for each in self._configuration().media if each.enabled}
        for name, (table, task) in tuple(self._running.items()):
            if wanted.get(name) != table:
                task.cancel()
                del self._running[name]
        for name, table in wanted.items():
            if name not in self._running:
                watch = _TableWatch(self, table)
                task = group.start(supervised(watch.run, "media", media=name), f"media {name}")
                self._running[name] = (table, task)

    async def release(self, name: str) -> dict[str, Any]:
        """Unmount a medium, by its id, name or device; it is safe to remove then, and a disc is
        pushed out of its drive.

        Raises LocalError where there is none such, or it is being imported; DeviceError where it
        cannot be let go.
        """
        found = [
            each
            for each in self.seen.values()
            if name in (each.medium.id, each.medium.name, each.medium.device)
        ]
        if len(found) != 1:
            names = ", ".join(each.medium.name for each in self.seen.values())
            raise LocalError(
                f"there is no medium {quoted(name)}"
                if not found
                else f"several media are named {quoted(name)}",
                value=name,
                limit=names,
                way_out="'gantry media devices' lists them.",
            )
        seen = found[0]
        if seen.state == IMPORTING:
            raise LocalError(
                f"{quoted(seen.medium.name)} is being imported",
                way_out="Wait, or give the import up: gantry import --stop NUMBER.",
            )
        await self.let_out(seen)
        return seen.summary()

    @property
    def folder(self) -> Path:
        """Below it media are mounted."""
        return Path(self._configuration().node.state, "media").absolute()

    async def mount(self, seen: SeenMedium, *, writable: bool) -> None:
        """For writing too if it can be. Raises MediaError where it cannot be read."""
        folder = self.folder / _name_of(seen.medium)
        step = _mount_to_write if writable else removable.mount
        try:
            seen.mounted = await self._pool.call(step, seen.medium, str(folder))
        except MediumBusy:
            # We may have mounted it in a former life.
            before = await self._pool.call(removable.mounted_before, seen.medium, str(folder))
            if before is None:
                raise
            # An import or an export that went on with this life may have files open on it.
            if before.read_only == (not writable or seen.medium.read_only):
                seen.mounted = before
                return
            try:
                await self._pool.call(removable.unmount, before)
            except MediumBusy:
                seen.mounted = before
                return
            seen.mounted = await self._pool.call(step, seen.medium, str(folder))

    async def let_out(self, seen: SeenMedium) -> None:
        """Unmount it. Raises DeviceError."""
        mounted = seen.mounted
        try:
            if mounted is not None:
                await self._unmount(mounted)
                seen.mounted = None
            if seen.medium.optical:
                await self._pool.call(removable.release, seen.medium)
        except MediaError as error:
            raise DeviceError(f"{quoted(error)}") from error
        seen.state, seen.why = RELEASED, ""
        observation.notice("medium safe to remove", medium=_named(seen.medium))

    async def _unmount(self, mounted: Mounted) -> None:
        """Who looks through every new medium, as desktops do, is soon done with it."""
        for left in reversed(range(_PATIENCE + 1)):
            try:
                await self._pool.call(removable.unmount, mounted)
                return
            except MediumBusy:
                if not left:
                    raise
                await sleep(_LOOK)

    async def forget(self, seen: SeenMedium) -> None:
        """It is gone: what is left of it in the tree goes."""
        mounted, seen.mounted = seen.mounted, None
        if mounted is not None:
            await self._pool.call(removable.let_go, mounted)

    @property
    def desk(self) -> MediaDesk:
        """Where its studies are imported."""
        return self._desk


class _TableWatch:
    """One table of the configuration: its driver, and a task for each medium."""

    def __init__(self, watch: MediaWatch, table: Media) -> None:
        self._watch = watch
        self._table = table
        self._mine: dict[str, tuple[SeenMedium, Task[None]]] = {}

    async def run(self) -> None:
        """Until cancelled. Raises DeviceError where the driver cannot be set up."""
        table = self._table
        try:
            driver = removable.open_driver(table.kind, **table.settings)
            driver.mounted_below = str(self._watch.folder)
            driver.open()
        except MediaError as error:
            raise DeviceError(f"{quoted(error)}") from error
        try:
            async with TaskGroup() as group:
                while True:
                    for event in driver.events():
                        await self._take(group, event)
                    MEDIA.of(table.name).set(len(self._mine))
                    await until_due(driver)
        finally:
            let_go(driver)
            for seen, _ in self._mine.values():
                self._watch.seen.pop(seen.medium.id, None)

    async def _take(self, group: TaskGroup, event: MediaEvent) -> None:
        if isinstance(event, MediumCame):
            seen = SeenMedium(self._table.name, event.medium)
            self._watch.seen[event.medium.id] = seen
            observation.notice("medium came", medium=_named(event.medium), bus=event.medium.bus)
            task = group.start(self._serve(seen), f"medium {event.medium.device}")
            self._mine[event.medium.id] = seen, task
            self._watch.desk.woken.set()
        elif isinstance(event, MediumWent):
            await self._lose(event)
        elif isinstance(event, EjectPressed):
            found = self._mine.get(event.medium.id)
            if found is not None and found[0].state == HERE:
                await self._let_out(found[0])
        elif isinstance(event, MediumIgnored):
            observation.info("medium ignored", medium=_named(event.medium), why=_why(event))
        elif isinstance(event, MediaTrouble):
            observation.warning("media not seen", media=self._table.name, why=Sentence(event.why))

    async def _lose(self, event: MediumWent) -> None:
        found = self._mine.pop(event.medium.id, None)
        if found is None:
            return
        seen, task = found
        task.cancel()
        self._watch.seen.pop(event.medium.id, None)
        pulled = seen.mounted is not None
        say = observation.warning if pulled else observation.notice
        say(
            "medium pulled" if pulled else "medium went",
            medium=_named(event.medium),
            why=Sentence(event.why),
        )
        with shielded():
            await self._watch.forget(seen)

    async def _serve(self, seen: SeenMedium) -> None:
        """One medium, from its coming until nothing more is to be done."""
        if seen.medium.blank or not seen.medium.file_system:
            seen.state, seen.why = HERE, "it is blank" if seen.medium.blank else "it has no files"
            return
        try:
            await self._watch.mount(seen, writable=self._table.writable)
            seen.state = HERE
            if self._is_imported(seen.medium):
                await self._import(seen)
        except (MediaError, GantryError) as error:
            seen.why = str(error)
            if seen.mounted is None:
                seen.state = USELESS
            elif seen.state == IMPORTING:
                seen.state = HERE
            observation.warning("medium not used", medium=_named(seen.medium), why=error)

    def _is_imported(self, medium: Medium) -> bool:
        return self._table.imports != "never" and any(
            fnmatchcase(medium.label, pattern) for pattern in self._table.labels
        )

    async def _import(self, seen: SeenMedium) -> None:
        assert seen.mounted is not None
        seen.state = IMPORTING
        imports = self._watch.desk.imports
        numbers, problems = await imports.begin_all(
            seen.mounted.path, match=self._table.imports == "match", archive=self._table.archive
        )
        while not await imports.are_copied(numbers):
            await sleep(_LOOK)
        # Who may write to it, and has brought nothing, has come for a study.
        is_wanted = not numbers and self._table.writable and not seen.mounted.read_only
        if problems or is_wanted:
            seen.state, seen.why = HERE, "; ".join(problems)
            return
        await self._let_out(seen)

    async def _let_out(self, seen: SeenMedium) -> None:
        try:
            await self._watch.let_out(seen)
        except DeviceError as error:
            seen.state, seen.why = HERE, str(error)
            observation.warning("medium not let go", medium=_named(seen.medium), why=error)


def _mount_to_write(medium: Medium, folder: str) -> Mounted:
    try:
        return removable.mount(medium, folder, read_only=False)
    except (WriteProtected, NotMountable):
        return removable.mount(medium, folder)


def _named(medium: Medium) -> Quoted:
    """Its label may be a patient's name: a log has its device."""
    return quoted(medium.name, medium.device if medium.device.startswith("/dev/") else "")


def _why(event: MediumIgnored) -> Sentence:
    """Its name is part of what the rules say."""
    name = event.medium.name
    return Sentence(event.why.replace(name, f"{_named(event.medium)}"))


def _name_of(medium: Medium) -> str:
    """A folder's name that is the same whenever the medium comes."""
    word = "".join(each for each in medium.label if each.isascii() and each.isalnum())
    return f"{word[:16] or 'medium'}-{zlib.crc32(medium.id.encode()):08x}"
