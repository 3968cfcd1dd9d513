"""Archives are opened when the node starts, and again when a disk that was away is back.

A node whose archive lies on a disk that is not there runs all the same: it says so to who asks,
refuses objects with the status that is configured for it, and serves what needs no archive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from agent.archive.archive import Archive
from agent.configuration.archive import Archive as ArchiveTable
from agent.configuration.configuration import Configuration
from agent.errors import GantryError
from agent.loop import sleep
from agent.loop.workers import Template, WorkerPool
from agent.workflow.archive_tables import archive_folder, archive_settings
from agent.workflow.routing import Routing

_LOOKS = 1.0
_SELDOM = 5
"""Every how many looks a disk is looked for that was not there at once."""


async def open_archive(
    table: ArchiveTable, configuration: Configuration, template: Template, pool: WorkerPool
) -> Archive:
    """The archive of a table, open unless its disk is away.

    Raises StorageError for what a person has to see to: another writer, an index that is damaged or
    newer.
    """
    return await Archive.open(
        archive_folder(configuration, table),
        template,
        Routing.of(configuration),
        settings=archive_settings(configuration, table),
        pool=pool,
        name=table.name,
        wait_for_disk=True,
    )


async def look_for_disks(archives: Mapping[str, Archive], found: Callable[[], None]) -> None:
    """Until cancelled: open what cannot be used as soon as it can be; `found` is told then."""
    looks: dict[str, int] = {}
    while True:
        await sleep(_LOOKS)
        for name, archive in tuple(archives.items()):
            looks[name] = looks.get(name, 0) + 1 if archive.away is not None else 0
            if looks[name] == 1 or (looks[name] and looks[name] % _SELDOM == 0):
                with suppress(GantryError):
                    await archive.start()
                    found()


def usable(archives: Mapping[str, Archive]) -> list[Archive]:
    """Those whose disk is there, as far as is known."""
    return [archive for archive in archives.values() if archive.away is None]
