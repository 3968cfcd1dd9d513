"""Retention: which stored objects may go, and when (by age, or when space is needed).

An object with an unfinished job never goes; nor does one whose configured condition (delivered,
committed) has not come true, however full the disk is: then storage is refused instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from agent import observation
from agent.archive.archive import Archive
from agent.archive.records import Candidate, Conditions
from agent.archive.space import Excess
from agent.configuration.archive import Archive as ArchiveTable
from agent.loop import now, sleep, turn
from agent.quoting import Sentence

DELETED = observation.metrics.counter(
    "gantry_retention_deleted_total", "Objects deleted by retention", "archive", "why"
)

_LOOKS = 5.0
_BY_AGE_EVERY = 300.0
_AT_ONCE = 200


class Retention:
    """Keeps one archive within its bounds.

    `table` may be replaced by a reload. `earliest` is a date (seconds since 1970) before which the
    clock was not set: objects that say they came before it have no known age.
    """

    def __init__(
        self,
        table: ArchiveTable,
        archive: Archive,
        earliest: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.table = table
        self._archive = archive
        self._earliest = earliest
        self._clock = clock
        self._by_age_due = 0.0
        self._told_full = False

    async def run(self) -> None:
        """Until cancelled, or raises StorageError."""
        while True:
            await self.tidy()
            await sleep(_LOOKS)

    async def tidy(self) -> None:
        """Look once, and delete what is due. Raises StorageError when the archive cannot."""
        rules = self.table.retention
        if rules.delete == "never" or self._archive.away is not None:
            return
        if rules.delete == "by-age" and now() >= self._by_age_due:
            self._by_age_due = now() + min(_BY_AGE_EVERY, max(_LOOKS, rules.age / 20))
            await self._delete_old()
        # Half-way, so that senders are not refused while there is something to delete.
        begins = (self.table.low_watermark + self.table.high_watermark) / 2
        if self._archive.space.excess(begins):
            await self._make_room()

    async def _delete_old(self) -> None:
        rules = self.table.retention
        today = self._clock()
        conditions = Conditions(
            rules.after,
            "oldest",
            received_after=self._earliest,
            received_before=today - max(rules.age, rules.keep),
        )
        # An unset clock makes everything look young: then nothing goes.
        while found := await self._archive.candidates(conditions, _AT_ONCE):
            if not await self._delete(found, "age"):
                return
            await turn()

    async def _make_room(self) -> None:
        """Down to the low watermark."""
        rules = self.table.retention
        conditions = Conditions(
            rules.after, rules.order, received_before=self._clock() - rules.keep
        )
        while excess := self._archive.space.excess(self.table.low_watermark):
            found = _enough(await self._archive.candidates(conditions, _AT_ONCE), excess)
            if not found or not await self._delete(found, "space"):
                self._tell_full()
                return
            await turn()
        self._told_full = False

    async def _delete(self, found: list[Candidate], why: str) -> int:
        deleted, _, freed = await self._archive.delete_objects(
            [each.id for each in found], who="retention", reason=why
        )
        DELETED.of(self.table.name, why).add(deleted)
        observation.info(
            "deleted by retention",
            archive=self.table.name,
            objects=deleted,
            bytes=freed,
            why=Sentence(why),
        )
        return deleted

    def _tell_full(self) -> None:
        if not self._told_full:
            self._told_full = True
            observation.warning(
                "nothing left to delete",
                archive=self.table.name,
                after=self.table.retention.after,
                part=round(self._archive.usage().part, 3),
            )


def _enough(found: list[Candidate], wanted: Excess) -> list[Candidate]:
    """The first of them that together make so much room."""
    room = 0
    for number, each in enumerate(found, 1):
        room += each.size
        if room >= wanted.bytes and number >= wanted.files:
            return found[:number]
    return found
