"""What takes long and survives a restart: carried out one after the other, tried again where it has
to wait for a medium.

Where each has got to is kept in its archive, beside the examinations.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from agent import observation
from agent.archive.archive import Archive
from agent.archive.examinations import IN_PROGRESS, ExaminationRow
from agent.configuration.configuration import Configuration
from agent.errors import LocalError
from agent.loop import Event, Limit, TimedOut, timeout
from agent.loop.workers import Template, WorkerPool
from agent.quoting import quoted


class UndertakingRecord(Protocol):
    """What is known of one of them; `waits` is why it does not go on, in words."""

    waits: str

    @property
    def id(self) -> int: ...

    def row(self) -> ExaminationRow: ...

    def summary(self) -> dict[str, Any]: ...


Record = TypeVar("Record", bound=UndertakingRecord)


class Work(NamedTuple):
    """How far one of them has come; `failed` is what went wrong, in words."""

    target: str
    done: int
    expected: int
    going: bool
    failed: str
    stage: str = ""
    now: int = 0


class Undertakings(ABC, Generic[Record]):
    """All of one kind that a node has; a subclass says what there is to be done."""

    kind: ClassVar[str]
    """By which the archive knows them: the `device` of their rows."""
    name: ClassVar[str]
    """What one of them is called, for people."""
    first_wait: ClassVar[float]
    longest_wait: ClassVar[float]
    """Seconds until what waits is tried again; each time they double."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        archives: Mapping[str, Archive],
        template: Template,
        pool: WorkerPool,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._configuration = configuration
        self._archives = archives
        self._template = template
        self._pool = pool
        self._clock = clock
        self._changed = Event()
        self._beginning = Limit(1)
        self._under_way: dict[int, Record] = {}
        self._stopped: dict[int, str] = {}
        self._open: dict[int, Record] = {}
        self._last_failed: list[Record] = []

    @abstractmethod
    def _record_of(self, row: ExaminationRow) -> Record:
        """What the archive kept."""

    @abstractmethod
    async def _go_on(self, archive: Archive, record: Record) -> bool:
        """As far as it goes; False where it has to be tried again."""

    @abstractmethod
    def _work_of(self, record: Record) -> Work:
        """How far it has come."""

    def _is_early(self, record: Record) -> bool:
        """Whether it is not to be tried yet, however many others are."""
        return False

    def _until_next(self, wait: float | None) -> float | None:
        """Seconds until something is to be tried, where nothing else happens; None: for ever."""
        return wait

    def work(self) -> list[dict[str, Any]]:
        """What goes on or waits, and the last one where it failed, as people see them."""
        return [
            {
                "kind": self.name,
                "id": each.id,
                "waits": each.waits,
                **self._work_of(each)._asdict(),
            }
            for each in (*self._open.values(), *self._last_failed)
        ]

    async def listing(self, limit: int = 50) -> list[dict[str, Any]]:
        """The last of every archive, as people see them."""
        return [
            self._under_way.get(row.id, self._record_of(row)).summary()
            for archive in self._archives.values()
            for row in await archive.examinations("", limit, kind=self.kind)
        ]

    def hurry(self) -> None:
        """There may be something to do."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled: carry out what is in progress, that of a former life included."""
        wait = self.first_wait
        while True:
            self._changed.clear()
            waits = False
            for archive in tuple(self._archives.values()):
                for record in reversed(await self._going(archive)):
                    if self._is_early(record) and record.id not in self._stopped:
                        continue
                    self._under_way[record.id] = self._open[record.id] = record
                    try:
                        waits = not await self._go_on(archive, record) or waits
                    finally:
                        del self._under_way[record.id]
            try:
                with timeout(self._until_next(wait if waits else None)):
                    await self._changed.wait()
                wait = self.first_wait
            except TimedOut:
                wait = min(2 * wait, self.longest_wait)

    async def _wait(self, archive: Archive, record: Record, why: Exception) -> bool:
        """It cannot go on now; said once, as long as it is for the same reason."""
        if record.waits != str(why):
            record.waits = str(why)
            observation.warning(f"{self.name} waits", **{self.name: record.id}, why=why)
            await archive.save_examination(record.row())
        return self._is_early(record)

    def _ended(self, record: Record, *, failed: bool) -> None:
        """It has come to its end, and is told of no more unless it failed."""
        del self._open[record.id]
        self._last_failed = [record] if failed else []

    async def _going(self, archive: Archive) -> list[Record]:
        rows = await archive.examinations(IN_PROGRESS, kind=self.kind)
        return [self._record_of(row) for row in rows]

    async def _stop(self, number: int, reason: str = "") -> None:
        """It is to be given up. Raises LocalError where it is not in progress."""
        for archive in self._archives.values():
            if number in {each.id for each in await self._going(archive)}:
                self._stopped[number] = reason
                self._changed.set()
                return
        raise LocalError(f"{self.name} {number} is not in progress", value=number)

    def _archive(self, name: str) -> Archive:
        """The one of this name, the first for none. Raises LocalError."""
        if not name and self._archives:
            return next(iter(self._archives.values()))
        if name not in self._archives:
            raise LocalError(f"there is no archive {quoted(name)}", limit=", ".join(self._archives))
        return self._archives[name]
