"""Deleting the files that no row stands for: of objects that were taken out, or never came in."""

from __future__ import annotations

import time
from collections.abc import Iterable

from agent import observation
from agent.archive.ballast import Ballast
from agent.archive.index import Index
from agent.archive.instances import InstanceRows
from agent.archive.spool import Spool

_AT_ONCE = 64


class Sweeping:
    """What is doomed, deleted a few files at a time, so that it holds nobody up."""

    def __init__(self, spool: Spool, index: Index, rows: InstanceRows, ballast: Ballast) -> None:
        self.staged: set[int] = set()
        """Files of corrections that are not finished: doomed, yet not to be swept."""
        self.seconds = 0.0
        self._spool = spool
        self._index = index
        self._rows = rows
        self._ballast = ballast
        self._has_doomed = True

    def expect(self) -> None:
        """Rows were taken out: there are files to sweep."""
        self._has_doomed = True

    def abandon(self, numbers: Iterable[int]) -> None:
        """Staged files that shall not be: they are doomed already, and may be swept now."""
        self.staged.difference_update(numbers)
        self._has_doomed = True

    def run(self, limit: int = _AT_ONCE) -> bool:
        """Delete some files without rows; says whether more are to be deleted."""
        if not self._has_doomed:
            return False
        started = time.monotonic()
        try:
            doomed = self._rows.doomed(limit + len(self.staged))
            numbers = [each for each in doomed if each not in self.staged]
            self._has_doomed = bool(numbers)
            if numbers:
                self._spool.remove(numbers)
                with self._index.transaction():
                    self._rows.undoom(numbers)
                self._ballast.take_on()
        except Exception as error:
            # They stay doomed; the next sweep tries again.
            observation.warning("files not deleted", error=error)
            return False
        self.seconds += time.monotonic() - started
        return self._has_doomed
