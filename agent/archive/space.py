"""How full an archive is: asked before any data is taken, so it must cost next to nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.archive import failure
from agent.archive.settings import ArchiveSettings
from agent.errors import StatusReaction, StorageError


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes: held by the objects, allowed, free in the file system; `part` in use, 0 to 1."""

    held: int
    quota: int
    free: int
    total: int
    part: float


class Space:
    """The room of one archive. The file system is asked at most once in `period` seconds."""

    def __init__(
        self,
        folder: Path,
        settings: ArchiveSettings,
        *,
        period: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.held = 0
        """Bytes of objects, as the storage worker said last."""
        self._folder = folder
        self._settings = settings
        self._period = period
        self._clock = clock
        self._asked = -period
        self._free = 0
        self._total = 1
        self._failed: StorageError | None = None

    def usage(self) -> Usage:
        """How much is in use. Raises StorageError when the volume cannot be asked."""
        self._ask()
        if self._failed is not None:
            raise self._failed
        quota = self._settings.quota
        part = 1 - self._free / self._total
        if quota:
            part = max(part, self.held / quota)
        return Usage(self.held, quota, self._free, self._total, part)

    def refusal(self) -> StatusReaction | None:
        """Why no object can be taken now (PS3.4 Table B.2-1: A7xx), or None."""
        statuses = self._settings.statuses
        try:
            usage = self.usage()
        except StorageError as error:
            reaction = error.reaction
            if isinstance(reaction, StatusReaction):
                return reaction
            return StatusReaction(statuses.storage_failure, "Storage failure")
        if usage.quota and self.held >= self._settings.high_watermark * usage.quota:
            return StatusReaction(statuses.disk_full, "Archive quota is used up")
        if usage.free <= self._settings.reserve:
            return StatusReaction(statuses.disk_full, "Out of disk space")
        if not usage.quota and usage.part >= self._settings.high_watermark:
            return StatusReaction(statuses.disk_full, "Out of disk space")
        return None

    def spare(self) -> int:
        """Bytes that files which are no objects may take before objects are refused.

        Raises StorageError when the volume cannot be asked.
        """
        usage = self.usage()
        spare = usage.free - self._settings.reserve
        if not usage.quota:
            used = usage.total - usage.free
            spare = min(spare, int(self._settings.high_watermark * usage.total) - used)
        return max(0, spare)

    def excess(self, watermark: float) -> int:
        """Bytes in use above this part of the quota, or else of the file system; 0: none.

        What must stay free of the file system (`reserve`) counts in either case: room for as much
        again is asked for. Raises StorageError when the volume cannot be asked.
        """
        usage = self.usage()
        if usage.quota:
            above = usage.held - int(watermark * usage.quota)
        else:
            above = usage.total - usage.free - int(watermark * usage.total)
        return max(0, above, 2 * self._settings.reserve - usage.free)

    def adopt(self, settings: ArchiveSettings) -> None:
        """Go by other limits from now on."""
        self._settings = settings
        self.look_again()

    def look_again(self) -> None:
        """Something has changed: ask the file system with the next call."""
        self._asked = self._clock() - self._period

    def _ask(self) -> None:
        now = self._clock()
        if now - self._asked < self._period:
            return
        self._asked = now
        self._failed = None
        try:
            status = os.statvfs(self._folder)
        except OSError as error:
            self._failed = failure.of_system(
                error, "ask how full the disk is", self._settings.statuses
            )
            return
        self._free = status.f_bavail * status.f_frsize
        # What only root may use counts as used.
        self._total = max(1, (status.f_blocks - status.f_bfree + status.f_bavail) * status.f_frsize)
