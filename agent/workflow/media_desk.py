"""Where imports and exports are asked for, by people and by peers: what carries them out is there
when there are some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from agent.archive.archive import Archive
from agent.archive.examinations import EXPORT, IMPORT
from agent.configuration.configuration import Configuration
from agent.loop import Event
from agent.loop.workers import Template, WorkerPool
from agent.workflow.worklist_watch import WorklistWatch

if TYPE_CHECKING:
    from agent.workflow.export import Exports
    from agent.workflow.import_reconciliation import Imports
    from agent.workflow.media_creation import MediaCreation


class MediaDesk:
    """The imports and exports of a node; a gateway that has none does not pay for them."""

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
        self._imports_wanted, self._exports_wanted = Event(), Event()
        self._creation_wanted = Event()
        self.woken = Event()
        """Set when something may begin; who looks at what is at work clears it."""
        self._imports: Imports | None = None
        self._exports: Exports | None = None
        self._creation: MediaCreation | None = None

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
            self._imports_wanted.set()
        self.woken.set()
        return self._imports

    @property
    def exports(self) -> Exports:
        """They."""
        if self._exports is None:
            from agent.workflow.export import Exports

            self._exports = Exports(self._configuration, self._archives, self._template, self._pool)
            self._exports_wanted.set()
        self.woken.set()
        return self._exports

    @property
    def creation(self) -> MediaCreation:
        """The media that peers ask for."""
        if self._creation is None:
            from agent.workflow.media_creation import MediaCreation

            self._creation = MediaCreation(
                self._configuration, self._archives, self._template, self._pool
            )
            self._creation_wanted.set()
        return self._creation

    def work(self) -> list[dict[str, Any]]:
        """Imports and exports that go on, and those that went wrong last, as people see them."""
        found: list[dict[str, Any]] = []
        if self._imports is not None:
            found += self._imports.work()
        if self._exports is not None:
            found += self._exports.work()
        return found

    async def run_imports(self) -> None:
        """Until cancelled: what was cut off by the end of a former node goes on."""
        if not self._is_going(IMPORT):
            await self._imports_wanted.wait()
        await self.imports.run()

    async def run_exports(self) -> None:
        """The same."""
        if not self._is_going(EXPORT):
            await self._exports_wanted.wait()
        await self.exports.run()

    async def run_creation(self) -> None:
        """Until cancelled: it begins when an entity offers it."""
        await self._creation_wanted.wait()
        await self.creation.run()

    def _is_going(self, kind: str) -> bool:
        """Whether it was, when the archives were opened: to ask now would take a worker for it."""
        return any(kind in archive.unfinished for archive in self._archives.values())
