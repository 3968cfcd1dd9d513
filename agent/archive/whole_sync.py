"""Small objects, their names and their rows made durable together, by one wait for the disk.

What is committed so is `unconfirmed` until the next transaction: after a power cut in between, row,
name and object may be there or not, each for itself. `agent.archive.confirmation` then looks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from agent.archive import failure, file_system
from agent.archive.arrival import Arrival
from agent.archive.index import Index
from agent.archive.settings import StorageStatuses
from agent.archive.spool import Spool
from agent.errors import StorageError

_LARGEST = 1 << 20
"""Bytes of an object that is read again for its checksum."""
_PATIENCE = 0.5
_APART = 60.0
"""Seconds: for so long each is synced for itself, after the whole took longer than our patience."""


class WholeSync:
    """Whether to sync at once, and what came of it. Everything may block."""

    def __init__(self, spool: Spool, index: Index, statuses: StorageStatuses) -> None:
        self.doubt: StorageError | None = None
        """Why what was committed last may not be on the disk; until `confirm` has looked."""
        self._spool = spool
        self._index = index
        self._statuses = statuses
        self._is_possible = file_system.can_be_synchronised_whole(spool.folder)
        self._apart_until = 0.0
        self._has_rows = True

    def suits(self, receptions: Sequence[Arrival]) -> bool:
        """Whether these objects, which are examined, are to be synced with their rows."""
        new = [each for each in receptions if each.is_new]
        return (
            bool(new)
            and self._is_possible
            and time.monotonic() >= self._apart_until
            and not any(each.recovered_number or each.size > _LARGEST for each in new)
        )

    def note(self, receptions: Iterable[Arrival]) -> None:
        """In each transaction: these are unconfirmed from now on, and those before no more."""
        if self._has_rows:
            self._index.execute("DELETE FROM unconfirmed")
        rows = [(each.number, each.checksum) for each in receptions if not each.duplicate_of]
        for row in rows:
            self._index.execute("INSERT INTO unconfirmed VALUES (?, ?)", row)
        self._has_rows = bool(rows)

    def forget(self) -> None:
        """A transaction was taken back: there may be rows again."""
        self._has_rows = True

    def sync(self) -> StorageError | None:
        """After the transaction; None when all of it is durable."""
        started = time.monotonic()
        try:
            self._spool.sync_whole()
        except OSError as error:
            self.doubt = failure.of_system(error, "sync the file system", self._statuses)
            return self.doubt
        ended = time.monotonic()
        if ended - started > _PATIENCE:
            # Others write much to this file system: no sender waits for that.
            self._apart_until = ended + _APART
        return None
