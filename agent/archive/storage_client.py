"""The connection to the storage worker: started, called, and started again when it died."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent import observation
from agent.archive.decision import Receiver
from agent.archive.failure import DiskFull, DiskUnusable
from agent.archive.settings import ArchiveSettings
from agent.archive.space import Space
from agent.archive.worker_entries import serve_storage
from agent.errors import StatusReaction, StorageError
from agent.loop.loop import current_loop
from agent.loop.workers import Service, Template, WorkerDied

_STEADY = 60.0
"""Seconds for which an archive that was opened anew is held for usable, whatever a call says."""


class StorageClient:
    """One archive's worker. Calls may overlap; what waits in the worker is answered as a group."""

    def __init__(
        self,
        folder: Path,
        template: Template,
        receiver: Receiver,
        settings: ArchiveSettings,
        name: str,
    ) -> None:
        self.folder = folder
        self.name = name
        self.settings = settings
        self.identity = ""
        self.unfinished: frozenset[str] = frozenset()
        self.space = Space(folder, settings)
        self._template = template
        self._receiver = receiver
        self._service: Service | None = None
        self._is_closed = False
        self._lost = -_STEADY

    async def start(self) -> None:
        """Start the worker, and put right what a crash left; does nothing when it runs.

        Raises StorageError: volume away, another writer, index damaged or newer, disk fails.
        """
        try:
            opened = await self._call("open")
        except DiskFull as error:
            # Not even opened: it is as good as away.
            self._lose(self._service, error)
            raise
        self.space.away = None
        self.identity = opened.identity
        self.space.held = opened.bytes
        self.unfinished = opened.unfinished
        recovery = opened.recovery
        observation.notice(
            "archive open",
            archive=self.name,
            bytes=opened.bytes,
            recovered=recovery.indexed,
            set_aside=recovery.set_aside,
            released_jobs=recovery.released_jobs,
        )

    @property
    def away(self) -> StorageError | None:
        """Why nothing of the archive can be used, until `start` finds its disk again."""
        return self.space.away

    async def close(self) -> None:
        """End the worker; what was committed stays. May be called again."""
        self._is_closed = True
        if self._service is not None:
            service, self._service = self._service, None
            service.close()
            await service.closed()

    async def statistics(self) -> dict[str, float]:
        """Of the worker's life: groups, objects, seconds in each phase, bytes held."""
        answer: dict[str, float] = await self._call("statistics")
        return answer

    async def check(self) -> None:
        """Read all of the index; raises StorageError when it is damaged. Holds others up."""
        await self._call("check")

    async def _call(self, name: str, *arguments: Any, descriptors: Sequence[int] = ()) -> Any:
        if name != "open":
            self.space.check()
        service = await self._running()
        try:
            return await service.call(name, *arguments, descriptors=tuple(descriptors))
        except DiskUnusable as error:
            self._lose(service, error)
            raise
        except WorkerDied as died:
            if self._service is service:
                self._service = None
                observation.error("storage worker died", archive=self.name, error=died)
            raise StorageError(
                f"The storage worker of the archive {self.name} died; it is started again.",
                value=name,
                reaction=StatusReaction(self.settings.statuses.storage_failure, "Storage failure"),
                way_out="Look for what ended it in the log before this; memory, for example.",
            ) from died

    def _lose(self, service: Service | None, error: StorageError) -> None:
        """What the worker holds open may be of a disk that never comes back under this name: when
        it does, another worker opens it anew.

        Where that was done not long ago it is no such thing: a sector, say, that cannot be read.
        Then this call fails, and others need not.
        """
        now = current_loop().clock.now()
        if self.space.away is None and now - self._lost < _STEADY:
            return
        self._lost = now
        if self.space.away is None or str(error) != str(self.space.away):
            observation.error("archive cannot be used", archive=self.name, error=error)
        self.space.away = error
        if service is not None and self._service is service:
            self._service = None
            service.close()

    async def _running(self) -> Service:
        if self._is_closed:
            raise StorageError(
                f"The archive {self.name} is closed.",
                reaction=StatusReaction(self.settings.statuses.storage_failure, "Shutting down"),
            )
        if self._service is not None:
            return self._service
        service = await Service.start(
            self._template,
            serve_storage,
            str(self.folder),
            self.settings,
            self._receiver,
            name=f"storage {self.name}",
        )
        if self._service is None:
            self._service = service
            return service
        # Another call was quicker while this one waited.
        service.close()
        await service.closed()
        return self._service
