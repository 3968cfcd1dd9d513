"""Where imports and exports are asked for, by people and by peers: what carries them out is there
when there are some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.archive.archive import Archive
from agent.archive.examinations import EXPORT, IMPORT
from agent.configuration.configuration import Configuration
from agent.loop import Event
from agent.loop.workers import Template, WorkerPool
from agent.workflow.made_late import MadeLate
from agent.workflow.worklist_watch import WorklistWatch

if TYPE_CHECKING:
    from agent.workflow.export import Exports
    from agent.workflow.import_reconciliation import Imports
    from agent.workflow.media_creation import MediaCreation

SCRATCH = "exports"
"""The folder in the state in which each export has one for itself."""


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
        self.woken = Event()
        """Set when something may begin; who looks at what is at work clears it."""
        self._imports = MadeLate(self._new_imports)
        self._exports = MadeLate(self._new_exports)
        self._creation = MadeLate(self._new_creation)

    @property
    def imports(self) -> Imports:
        """They."""
        self.woken.set()
        return self._imports.get()

    @property
    def exports(self) -> Exports:
        """They."""
        self.woken.set()
        return self._exports.get()

    @property
    def creation(self) -> MediaCreation:
        """The media that peers ask for."""
        return self._creation.get()

    def work(self) -> list[dict[str, Any]]:
        """Imports and exports that go on, and those that went wrong last, as people see them."""
        found: list[dict[str, Any]] = []
        for made in (self._imports.made, self._exports.made):
            if made is not None:
                found += made.work()
        return found

    async def run_imports(self) -> None:
        """Until cancelled: what was cut off by the end of a former node goes on."""
        going = self._is_going(IMPORT)
        await (self.imports if going else await self._imports.needed()).run()

    async def run_exports(self) -> None:
        """The same."""
        going = self._is_going(EXPORT) or self._has_scratch()
        await (self.exports if going else await self._exports.needed()).run()

    async def run_creation(self) -> None:
        """Until cancelled: it begins when an entity offers it."""
        await (await self._creation.needed()).run()

    def reload(self) -> None:
        """There may be other archives: what was cut off in them goes on."""
        if self._is_going(IMPORT):
            self.imports.hurry()
        if self._is_going(EXPORT):
            self.exports.hurry()

    def _has_scratch(self) -> bool:
        """Whether an export left behind what it had for itself."""
        with suppress(OSError):
            return any(Path(self._configuration().node.state, SCRATCH).iterdir())
        return False

    def _is_going(self, kind: str) -> bool:
        """Whether it was, when the archives were opened: to ask now would take a worker for it."""
        return any(kind in archive.unfinished for archive in self._archives.values())

    def _new_imports(self) -> Imports:
        from agent.workflow.import_reconciliation import Imports

        return Imports(
            self._configuration,
            self._archives,
            self._template,
            self._pool,
            self._worklist,
            self._wake,
        )

    def _new_exports(self) -> Exports:
        from agent.workflow.export import Exports

        return Exports(self._configuration, self._archives, self._template, self._pool)

    def _new_creation(self) -> MediaCreation:
        from agent.workflow.media_creation import MediaCreation

        return MediaCreation(self._configuration, self._archives, self._template, self._pool)
