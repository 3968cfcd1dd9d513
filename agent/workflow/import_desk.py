"""Where imports are asked for: what carries them out is there when there is something to import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from agent.archive.archive import Archive
from agent.archive.examinations import IN_PROGRESS
from agent.configuration.configuration import Configuration
from agent.loop import Event
from agent.loop.workers import Template, WorkerPool
from agent.workflow.worklist_watch import WorklistWatch

if TYPE_CHECKING:
    from agent.workflow.import_reconciliation import Imports


class ImportDesk:
    """The imports of a node; a gateway that imports nothing does not pay for it."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        archives: Mapping[str, Archive],
        worklist: WorklistWatch,
        template: Template,
        pool: WorkerPool,
        wake: Callable[[str], None],
    ) -> None:
        """`wake` is called with the name of a peer that has messages, "" for objects."""
        self._configuration = configuration
        self._archives = archives
        self._worklist = worklist
        self._template = template
        self._pool = pool
        self._wake = wake
        self._wanted = Event()
        self._imports: Imports | None = None

    @property
    def imports(self) -> Imports:
        """They."""
        if self._imports is None:
            from agent.workflow.import_reconciliation import Imports

            self._imports = Imports(
                self._configuration,
                self._archives,
                self._worklist,
                self._template,
                self._pool,
                self._wake,
            )
            self._wanted.set()
        return self._imports

    async def run(self) -> None:
        """Until cancelled: what was cut off by the end of a former node goes on."""
        going = [
            row
            for archive in tuple(self._archives.values())
            for row in await archive.examinations(IN_PROGRESS, 1, imports=True)
        ]
        if not going:
            await self._wanted.wait()
        await self.imports.run()
