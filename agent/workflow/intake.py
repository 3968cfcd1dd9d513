"""The ways in besides the network: watched folders and capture devices, as configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from agent.archive.archive import Archive
from agent.configuration.configuration import Configuration
from agent.configuration.intake import Folder
from agent.errors import LocalError
from agent.loop import Event, Task, TaskGroup
from agent.loop.workers import Template, WorkerPool
from agent.quoting import quoted
from agent.services.keeping import Keeper
from agent.services.offer import implementation_of
from agent.workflow.supervision import supervised

if TYPE_CHECKING:
    from agent.workflow.acquisition import Acquisition

# What makes objects, and what watches folders, is imported where it is configured: a gateway needs
# neither the time at its start nor the memory.


class Intake:
    """Runs a pickup for each folder; has an acquisition for each capture device."""

    def __init__(
        self,
        configuration: Configuration,
        archives: Mapping[str, Archive],
        template: Template,
        pool: WorkerPool,
        stored: Callable[[], None],
    ) -> None:
        """Signatures are verified in workers of `pool`; `stored` is called when an object has made
        jobs."""
        self._configuration = configuration
        self._archives = archives
        self._template = template
        self._pool = pool
        self._stored = stored
        self._changed = Event()
        self._pickups: dict[str, tuple[Folder, Task[None]]] = {}
        self._acquisitions: dict[str, Acquisition] = {}
        self._keeping: dict[str, tuple[Acquisition, Task[None]]] = {}

    def reload(self, configuration: Configuration) -> None:
        """Follow another configuration; what did not change goes on undisturbed."""
        self._configuration = configuration
        self._changed.set()

    def acquisition(self, name: str = "") -> Acquisition:
        """A capture device by name, or the first. Raises LocalError when there is none such."""
        if not name and self._acquisitions:
            return next(iter(self._acquisitions.values()))
        if name not in self._acquisitions:
            raise LocalError(
                f"there is no capture device {quoted(name)}"
                if name
                else "there is no capture device",
                limit=", ".join(self._acquisitions),
                way_out="Add a [[capture]] to the configuration.",
            )
        return self._acquisitions[name]

    async def run(self) -> None:
        """Until cancelled. A reload starts and ends pickups here."""
        async with TaskGroup() as group:
            while True:
                self._changed.clear()
                self._follow_folders(group)
                self._follow_captures()
                self._follow_keeping(group)
                await self._changed.wait()

    def _follow_folders(self, group: TaskGroup) -> None:
        wanted = {each.name: each for each in self._configuration.folders}
        if wanted:
            from agent.workflow.folder_pickup import FolderPickup
        for name, (table, task) in list(self._pickups.items()):
            if wanted.get(name) != table:
                del self._pickups[name]
                task.cancel()
        for name, table in wanted.items():
            if name not in self._pickups and table.archive in self._archives:
                pickup = FolderPickup(
                    table,
                    self._archives[table.archive],
                    partial(self._keeper_of, table),
                    self._template,
                    implementation_of(self._configuration),
                    self._stored,
                )
                task = group.start(supervised(pickup.run, "folder", folder=name), f"folder {name}")
                self._pickups[name] = (table, task)

    def _keeper_of(self, table: Folder) -> Keeper:
        """Who keeps what comes into a folder, by the configuration that holds now."""
        archive = self._archives[table.archive]
        from agent.workflow.signature_rule import rule_of_archive

        rule = rule_of_archive(table.archive, self._configuration)
        if rule is None:
            return archive
        from agent.workflow.signature_keeper import SignatureKeeper

        return SignatureKeeper(archive, rule, self._pool)

    def _follow_captures(self) -> None:
        before = self._acquisitions
        self._acquisitions = {}
        if self._configuration.captures:
            from agent.workflow.acquisition import Acquisition
        for table in self._configuration.captures:
            kept = before.get(table.name)
            if kept is not None and kept.table == table:
                self._acquisitions[table.name] = kept
            elif table.archive in self._archives:
                self._acquisitions[table.name] = Acquisition(
                    table,
                    self._configuration,
                    self._archives[table.archive],
                    self._template,
                    self._stored,
                )

    def _follow_keeping(self, group: TaskGroup) -> None:
        """Each device that keeps what it shows has a task that does."""
        for name, (acquisition, task) in list(self._keeping.items()):
            if self._acquisitions.get(name) is not acquisition:
                del self._keeping[name]
                task.cancel()
        for name, acquisition in self._acquisitions.items():
            if acquisition.table.keep and name not in self._keeping:
                run = acquisition.keeping.run
                task = group.start(supervised(run, "keeping", device=name), f"keeping {name}")
                self._keeping[name] = (acquisition, task)
