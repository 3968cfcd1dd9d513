"""How full an archive is: asked before any data is taken, so it must cost next to nothing.

A file system has room for so many bytes and, most of them, for so many files: of objects of a few
KiB the files come to an end first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.archive import failure
from agent.archive.settings import ArchiveSettings
from agent.errors import StatusReaction, StorageError

_FILES_RESERVED = 1024
"""Files that are never used for objects, or a twentieth of all: index, logs and settings need some
to be replaced."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes: held by the objects, allowed, free in the file system; files free in it, of `files`
    (0: it has no bound); `part` of either in use, 0 to 1."""

    held: int
    quota: int
    free: int
    total: int
    free_files: int
    files: int
    part: float


@dataclass(frozen=True, slots=True)
class Excess:
    """What is to go: so many bytes, and so many files; false where there is neither."""

    bytes: int
    files: int

    def __bool__(self) -> bool:
        return self.bytes > 0 or self.files > 0


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
        self.away: StorageError | None = None
        """Why nothing of the archive can be used now."""
        self._folder = folder
        self._settings = settings
        self._period = period
        self._clock = clock
        self._asked = -period
        self._free = 0
        self._total = 1
        self._free_files = 0
        self._files = 0
        self._failed: StorageError | None = None

    def check(self) -> None:
        """Raises StorageError where nothing of the archive can be used now."""
        if self.away is not None:
            # It is raised for as long as the disk is away: it must not remember each time.
            raise self.away.with_traceback(None)

    def usage(self) -> Usage:
        """How much is in use. Raises StorageError when the volume cannot be asked."""
        self.check()
        self._ask()
        if self._failed is not None:
            raise self._failed
        quota = self._settings.quota
        part = 1 - self._free / self._total
        if self._files:
            part = max(part, 1 - self._free_files / self._files)
        if quota:
            part = max(part, self.held / quota)
        return Usage(self.held, quota, self._free, self._total, self._free_files, self._files, part)

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
        if usage.files and usage.free_files <= _files_reserved(usage):
            return StatusReaction(statuses.disk_full, "No room for more files on the disk")
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

    def excess(self, watermark: float) -> Excess:
        """What is in use above this part of the quota, or else of the file system.

        What must stay free of the file system (`reserve`) counts in either case: room for as much
        again is asked for. Raises StorageError when the volume cannot be asked.
        """
        usage = self.usage()
        if usage.quota:
            above = usage.held - int(watermark * usage.quota)
            files = 0
        else:
            above = usage.total - usage.free - int(watermark * usage.total)
            files = usage.files - usage.free_files - int(watermark * usage.files)
        return Excess(
            max(0, above, 2 * self._settings.reserve - usage.free),
            max(0, files, 2 * _files_reserved(usage) - usage.free_files),
        )

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
        self._free_files = status.f_favail
        self._files = max(0, status.f_files - status.f_ffree + status.f_favail)


def _files_reserved(usage: Usage) -> int:
    return min(_FILES_RESERVED, usage.files // 20)
