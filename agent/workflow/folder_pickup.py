"""Folder pickup: objects that other software drops into a folder, taken into an archive.

A file goes away only when its object is safe. What comes twice (after a crash, or because two
programs wrote it) is one object: the archive knows it by its SOP Instance UID and its bytes.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent import observation
from agent.archive.archive import Archive
from agent.archive.decision import Origin
from agent.archive.reception import Reception
from agent.configuration.intake import Folder
from agent.errors import GantryError, StatusReaction, StorageError
from agent.loop import TaskGroup, shielded, sleep
from agent.loop.workers import Service, Template, WorkerDied
from agent.quoting import Quoted, Sentence, quoted
from agent.services.keeping import Keeper, Verdict
from agent.workflow.folder_worker import PickupSettings, serve_folder
from agent.workflow.object_copy import Taken
from hal.folder.base import (
    FileChanged,
    FileComplete,
    FolderEvent,
    FolderGone,
    FolderRescanned,
    FolderReturned,
    FolderTrouble,
)

TAKEN = observation.metrics.counter("gantry_folder_files_total", "Files", "folder", "outcome")

_PATIENCE = 30.0
_AT_ONCE = 8
_WHEN_FULL = 10.0
# What a network mount answers while its server is gone.
_AWAY = frozenset((errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN))

_SAID: dict[type[FolderEvent], str] = {
    FolderGone: "folder gone",
    FolderReturned: "folder returned",
    FolderRescanned: "folder looked through",
    FolderTrouble: "part of folder not seen",
}


def settings_of(table: Folder, implementation: tuple[str, str]) -> PickupSettings:
    """What the worker of a `[[folder]]` must know; `implementation` is class UID and version."""
    return PickupSettings(
        path=table.path,
        recursive=table.recursive,
        pattern=table.pattern,
        settle=table.settle,
        done=table.done or str(Path(table.path, ".done")),
        failed=table.failed or str(Path(table.path, ".failed")),
        implementation_class_uid=implementation[0],
        implementation_version_name=implementation[1],
        title=table.title,
    )


class FolderPickup:
    """Takes what comes into one folder, until cancelled."""

    def __init__(
        self,
        table: Folder,
        archive: Archive,
        keeper: Callable[[], Keeper],
        template: Template,
        implementation: tuple[str, str],
        stored: Callable[[], None],
    ) -> None:
        """`keeper` keeps what comes for the archive; `stored` is called when an object has made
        jobs."""
        self.table = table
        self._archive = archive
        self._keeper = keeper
        self._template = template
        self._settings = settings_of(table, implementation)
        self._stored = stored
        self._service: Service | None = None

    async def run(self) -> None:
        """Until cancelled, or raises what stopped it; started again it looks through the folder."""
        self._service = await Service.start(
            self._template, serve_folder, self._settings, name=f"folder {self.table.name}"
        )
        try:
            while True:
                await self._take_all(await self._ask("collect", _PATIENCE))
        finally:
            with shielded():
                await self._end_worker()

    async def _end_worker(self) -> None:
        service, self._service = self._service, None
        if service is not None:
            # It may hang on a dead mount; what it was doing has no name yet.
            service.kill()
            await service.closed()

    async def _ask(self, name: str, *arguments: Any, descriptors: tuple[int, ...] = ()) -> Any:
        assert self._service is not None
        return await self._service.call(name, *arguments, descriptors=descriptors)

    async def _take_all(self, events: list[FolderEvent]) -> None:
        for event in events:
            if not isinstance(event, FileComplete):
                observation.warning(
                    _SAID[type(event)],
                    folder=self.table.name,
                    path=event.path or None,
                    reason=_reason(event),
                )
        files = iter([each for each in events if isinstance(each, FileComplete)])

        async def take_some() -> None:
            for file in files:
                await self._take(file)

        async with TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.start(take_some(), f"folder {self.table.name}")

    async def _take(self, file: FileComplete) -> None:
        """One file, until it is decided; while there is no room it waits where it is."""
        while True:
            try:
                verdict = await self._store(file)
                break
            except FileChanged:
                return  # The new version is told in its turn.
            except WorkerDied:
                raise
            except GantryError as error:
                if error.value in _AWAY:
                    raise  # The folder is looked through again when it is back.
                if not self._may_pass(error):
                    await self._give_up(file, error)
                    return
                observation.warning(
                    "file waits", folder=self.table.name, file=_named(file), why=error
                )
            await sleep(_WHEN_FULL)
        if verdict.jobs:
            self._stored()
        await self._settle(file)

    async def _store(self, file: FileComplete) -> Any:
        # The worker writes the file meta information: only it has looked into the file.
        reception: Reception = self._archive.receive(b"")
        try:
            taken: Taken = await self._ask("take", file, descriptors=(reception.descriptor,))
            if taken.remarks:
                observation.info(
                    "file mended",
                    folder=self.table.name,
                    file=_named(file),
                    remarks=Sentence("; ".join(f"{quoted(each)}" for each in taken.remarks)),
                )
            verdict: Any = await self._keeper().commit(
                reception,
                Origin(
                    source="folder",
                    calling=self.table.title,
                    sop_class_uid=taken.sop_class_uid,
                    sop_instance_uid=taken.sop_instance_uid,
                ),
            )
        finally:
            reception.discard()
        if not verdict.is_stored:
            raise _not_stored(verdict)
        return verdict

    def _may_pass(self, error: GantryError) -> bool:
        """Whether it was refused for want of room, or for a disk that may come back."""
        statuses = self._archive.settings.statuses
        passing = (statuses.disk_full, statuses.storage_failure, statuses.volume_away)
        reaction = error.reaction
        return isinstance(reaction, StatusReaction) and reaction.status in passing

    async def _settle(self, file: FileComplete) -> None:
        TAKEN.of(self.table.name, "taken").add()
        observation.info("file taken", folder=self.table.name, file=_named(file))
        try:
            if self.table.then == "delete":
                await self._ask("delete", file)
            elif self.table.then == "move":
                await self._ask("move", file, False, "")
        except WorkerDied:
            raise
        except GantryError as error:
            observation.warning(
                "file taken but not put away",
                folder=self.table.name,
                file=_named(file),
                error=error,
            )

    async def _give_up(self, file: FileComplete, why: GantryError) -> None:
        TAKEN.of(self.table.name, "failed").add()
        where = ""
        try:
            if self.table.then != "keep" or self.table.failed:
                where = await self._ask("move", file, True, str(why))
        except WorkerDied:
            raise
        except GantryError as error:
            observation.warning("file not put away", folder=self.table.name, error=error)
        observation.error(
            "file not taken",
            folder=self.table.name,
            file=_named(file),
            why=why,
            moved=where or None,
        )


def _reason(event: FolderEvent) -> Sentence | Quoted | None:
    """Why the folder is gone is the system's to say; what is within has names of others."""
    if isinstance(event, FolderGone):
        return Sentence(event.reason)
    return quoted(event.reason) if isinstance(event, FolderTrouble) else None


def _named(file: FileComplete) -> Quoted:
    """Its name may be the patient's: a log has the number of its inode, by which
    `find FOLDER -inum N` finds it where it is and where it was moved on the same volume."""
    return quoted(file.path, f"inode {file.version.inode}")


def _not_stored(verdict: Verdict) -> GantryError:
    return StorageError(
        f"{quoted(verdict.comment)}" or f"refused with the status {verdict.status:04X}H",
        reaction=StatusReaction(verdict.status, f"{quoted(verdict.comment)}"),
    )
