"""The archive's one writer: objects in batches, and no answer before its promise can be kept.

For all that waits at once: examine each; sync each file; link each; sync the folder; commit rows,
jobs and all other changes in one transaction; answer. Where a file system can be synced as a whole,
small objects are linked and committed first, with a checksum of each; then file, name and row
become durable by one wait for the disk, not three. After a power cut in between any of them may be
missing: nobody was answered, and `agent.archive.confirmation` looks.

What fails for one object is that object's failure. What fails for all is everybody's: then no
number is used again, and the files that have a name by then are deleted. After a failed COMMIT
nobody knows whether its log will be found good after a crash, and then a row must still find its
file: such files are doomed by the next transaction that succeeds, and stay until then.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from agent import observation
from agent.archive import arrival as arrivals
from agent.archive import failure, index_failure
from agent.archive.arrival import Arrival
from agent.archive.ballast import Ballast
from agent.archive.change import Change
from agent.archive.decision import JobPlan, Receiver
from agent.archive.index import Index
from agent.archive.instances import InstanceRows, NewInstance
from agent.archive.job_rows import steady_clock
from agent.archive.jobs import JobQueue
from agent.archive.layout import LARGEST_NUMBER
from agent.archive.settings import ArchiveSettings
from agent.archive.spool import Spool
from agent.archive.sweeping import Sweeping
from agent.archive.whole_sync import WholeSync
from agent.errors import GantryError, StorageError


class Store:
    """Spool, index and queue, opened for writing. Everything may block."""

    def __init__(
        self, spool: Spool, index: Index, receiver: Receiver, settings: ArchiveSettings
    ) -> None:
        self.spool = spool
        self.index = index
        self.receiver = receiver
        self.settings = settings
        self.folder = spool.folder
        self.rows = InstanceRows(index)
        self.queue = JobQueue(index, settings.retry, now=steady_clock(), history=settings.history)
        self._ballast = Ballast(spool.folder)
        self.bytes = 0
        self._highest = 0
        self._saved: dict[str, int] = {}
        self._in_this_group: set[str] = set()
        self.statistics: dict[str, float] = dict.fromkeys(
            ("batches", "objects", "examine", "sync", "link", "commit"), 0
        )
        self.sweeping = Sweeping(spool, index, self.rows, self._ballast)
        self._leftovers: set[int] = set()
        self.whole_sync = WholeSync(spool, index, settings.statuses)
        self._reload()

    @classmethod
    def open(cls, folder: Path, receiver: Receiver, settings: ArchiveSettings) -> Store:
        """Take the archive in `folder`, which is made when it is not there.

        Raises StorageError: volume away, another writer, index damaged or of a newer version.
        """
        spool = Spool.open(folder, settings)
        try:
            index = Index.open(folder, settings.statuses)
            try:
                return cls(spool, index, receiver, settings)
            except Exception as error:
                index.close()
                raise index_failure.of_any(error, "read the index", settings.statuses) from error
        except BaseException:
            spool.close()
            raise

    def close(self) -> None:
        """Fold the log into the index, and let the folder go."""
        try:
            self.index.close()
        finally:
            self.spool.close()

    def process(self, receptions: Sequence[Arrival], changes: Sequence[Change] = ()) -> None:
        """Take objects in and make changes, in one group; each has its verdict or error after.

        Raises nothing. What has a verdict is durable when this returns.
        """
        pending, remaining = list(receptions), changes
        while pending or remaining:
            self._process(pending, remaining)
            pending, remaining = [each for each in pending if each.is_twin], ()
            for each in pending:
                each.start_again(self.folder)
        if self.whole_sync.doubt is None:
            # A file goes when it is certain that no row comes back that stands for it.
            self.sweeping.run()

    @property
    def last_number(self) -> int:
        """The highest number that was ever used, as far as the index knows."""
        return self._saved["last_number"]

    def use_up(self, number: int) -> None:
        """Never give this number, or a lower one, to a new object."""
        self._highest = max(self._highest, number)

    def allocate(self, count: int) -> range:
        """Numbers for `count` objects, not used before. Raises StorageError when there are none."""
        first = self._highest + 1
        if first + count - 1 > LARGEST_NUMBER:
            raise StorageError(
                "All numbers for objects are used up.", value=first, limit=LARGEST_NUMBER
            )
        self._highest += count
        return range(first, first + count)

    def _process(self, receptions: Sequence[Arrival], changes: Sequence[Change]) -> None:
        if self.whole_sync.doubt is not None:
            _fail(receptions, changes, self.whole_sync.doubt)
            return
        times = [time.monotonic()]
        self._in_this_group = set()
        if len(receptions) > 1:
            for each in receptions:
                if not each.recovered_number:
                    arrivals.begin_to_write(each.descriptor)
        for each in receptions:
            self._guarded(each, "examine the object", self._examine)
        times.append(time.monotonic())
        at_once = self.whole_sync.suits(receptions)
        what, step = ("read the object", _check) if at_once else ("sync the object", _sync)
        for each in receptions:
            if each.is_new and not each.recovered_number:
                self._guarded(each, what, step)
        times.append(time.monotonic())
        self._name([each for each in receptions if each.is_new], is_synced=not at_once)
        times.append(time.monotonic())
        self._commit(receptions, changes, at_once=at_once)
        times.append(time.monotonic())
        for each in receptions:
            self._let_go(each)
        self.statistics["batches"] += 1
        self.statistics["objects"] += len(receptions)
        for phase, begin, end in zip(
            ("examine", "sync", "link", "commit"), times, times[1:], strict=False
        ):
            self.statistics[phase] += end - begin

    def _guarded(self, each: Arrival, step: str, function: Callable[[Arrival], None]) -> None:
        if each.is_open:
            try:
                function(each)
            except Exception as error:
                each.error = index_failure.of_any(error, step, self.settings.statuses)

    def _examine(self, each: Arrival) -> None:
        settings = self.settings
        head = arrivals.read_head(each, self.receiver, settings)
        if head is None:
            return
        arrivals.check_identity(each, settings)
        if each.is_open:
            arrivals.decide(each, head, self.receiver)
        if not each.is_open:
            return
        if each.decision.coercions:
            arrivals.coerce(each, self.folder, settings)
            if each.rewritten is not None:
                arrivals.read_head(each, self.receiver, settings)
        assert each.keys is not None
        uid = each.keys.sop_instance_uid
        if uid in self._in_this_group:
            each.is_twin = True
            return
        self._in_this_group.add(uid)
        arrivals.find_duplicate(each, self.rows.copies(uid), self.folder)
        if each.duplicate_of and each.recovered_number:
            self._leftovers.add(each.recovered_number)

    def _name(self, receptions: Sequence[Arrival], *, is_synced: bool) -> None:
        """Link the files that are new, and make the names durable unless that comes later."""
        for each in receptions:
            self._guarded(each, "name the object", self._link)
        if not is_synced:
            return
        try:
            self.spool.sync()
        except OSError as error:
            failed = failure.of_system(error, "sync the folder", self.settings.statuses)
            for each in receptions:
                if each.is_open:
                    each.error = failed

    def _link(self, each: Arrival) -> None:
        each.number = each.recovered_number
        while not each.number:
            (number,) = self.allocate(1)
            # A name that is taken is nobody's that we know: it stays, and so does what it names.
            with suppress(FileExistsError):
                self.spool.link(each.file, number)
                each.number = number
        self._leftovers.add(each.number)

    def _commit(
        self, receptions: Sequence[Arrival], changes: Sequence[Change], *, at_once: bool = False
    ) -> None:
        outcomes: list[tuple[Arrival, int]] = []
        try:
            with self.index.transaction(is_synced=not at_once):
                is_alone = len(receptions) == 1 and not changes
                for each in receptions:
                    if each.is_open:
                        self._insert(each, outcomes, is_alone)
                for change in changes:
                    self._apply(change)
                kept = {each.number for each, _ in outcomes}
                self._finish_transaction(kept)
                self.whole_sync.note([each for each, _ in outcomes] if at_once else ())
        except Exception as error:
            self._reload_quietly()
            if not self.index.fate_is_open:
                self._remove_at_once(receptions)
            failed = index_failure.of_any(error, "commit to the index", self.settings.statuses)
            for each in receptions:
                if each.is_open:
                    each.error = failed
            if changes and self._makes_room(error):
                self._commit((), changes)
                return
            _fail((), changes, failed)
            return
        self._leftovers.clear()
        doubt = self.whole_sync.sync() if at_once else None
        if doubt is not None:
            _fail(receptions, changes, doubt)
            return
        for each, jobs in outcomes:
            each.verdict = arrivals.answer(each, jobs)

    def _insert(self, each: Arrival, outcomes: list[tuple[Arrival, int]], is_alone: bool) -> None:
        if is_alone:
            # What fails takes back the whole transaction, and there is nobody else in it.
            outcomes.append((each, self._add(each)))
            return
        try:
            with self.index.savepoint():
                jobs = self._add(each)
        except Exception as error:
            self._forget()
            if not self.index.connection.in_transaction:
                raise
            each.error = index_failure.of_any(error, "index the object", self.settings.statuses)
        else:
            outcomes.append((each, jobs))

    def _apply(self, change: Change) -> None:
        try:
            with self.index.savepoint():
                change.result = change.function(*change.arguments)
        except Exception as error:
            self._forget()
            if not self.index.connection.in_transaction:
                raise
            change.error = index_failure.of_any(error, "make the change", self.settings.statuses)

    def _add(self, each: Arrival) -> int:
        keys, meta = each.keys, each.meta
        assert keys is not None and meta is not None
        study = 0
        if each.duplicate_of:
            instance = each.duplicate_of
            study = self.rows.study_of(instance)
        else:
            instance = each.number
            study = self.rows.add(
                NewInstance(
                    number=instance,
                    keys=keys,
                    transfer_syntax_uid=meta.transfer_syntax_uid,
                    data_set_offset=meta.data_set_offset,
                    size=each.size,
                    received=each.received,
                    source=each.origin.calling or each.origin.source,
                    flags=each.flags,
                    received_digest=each.received_digest,
                )
            )
        jobs = 0
        for plan in each.decision.jobs:
            if each.duplicate_of and self._needs_no_job(plan, instance):
                continue
            self.queue.add(plan, instance=instance, study=study)
            jobs += 1
        if not each.duplicate_of:
            self.bytes += each.size
        return jobs

    def _needs_no_job(self, plan: JobPlan, instance: int) -> bool:
        if self.settings.repeat_for_duplicates:
            return self.queue.is_open(plan, instance)
        return self.queue.is_known(plan, instance)

    def _finish_transaction(self, kept: Iterable[int]) -> None:
        doomed = self._leftovers.difference(kept)
        if doomed:
            self.rows.doom(doomed)
            self.sweeping.expect()
        state = {"last_number": self._highest, "bytes": self.bytes}
        if state != self._saved:
            self.index.set_state(**state)
            self._saved = state

    def _let_go(self, each: Arrival) -> None:
        try:
            each.let_go(self.folder)
            if each.verdict is not None:
                self.spool.forget_incoming(each.hidden_name)
        except OSError:
            # A hidden name in `incoming/` that stays is deleted at the next start.
            pass

    def _makes_room(self, error: Exception) -> bool:
        """Whether changes are worth another try, which objects are not: they need more room."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL:
            return False
        if not self._ballast.throw_off():
            return False
        observation.warning("disk full", archive=self.folder, ballast="thrown off")
        self.index.shorten_log()
        return True

    def _remove_at_once(self, receptions: Sequence[Arrival]) -> None:
        """No row will ever stand for these: free the space, which the next commit may need."""
        numbers = {each.number for each in receptions if each.number and not each.recovered_number}
        try:
            self.spool.remove(numbers)
        except OSError:
            return
        self._leftovers -= numbers

    def _forget(self) -> None:
        self.rows.forget()
        self.queue.forget()
        self.whole_sync.forget()

    def _reload(self) -> None:
        self._forget()
        self._saved = {name: self.index.state(name) for name in ("last_number", "bytes")}
        self.bytes = self._saved["bytes"]
        self._highest = max(self._highest, self._saved["last_number"])

    def _reload_quietly(self) -> None:
        try:
            self._reload()
        except Exception:
            # The index cannot even be read: every later commit says so to whom it concerns.
            self._forget()


def _fail(receptions: Sequence[Arrival], changes: Sequence[Change], error: GantryError) -> None:
    for each in receptions:
        if each.is_open:
            each.error = error
    for change in changes:
        change.error = change.error or error


def _sync(each: Arrival) -> None:
    os.fdatasync(each.file)


def _check(each: Arrival) -> None:
    each.checksum = arrivals.checksum(each.file)
