"""The retrievals of a node: kept until they are done, and tried again; one at a time of each peer.

A peer that is away holds up its own only. What is wanted already is not asked for twice.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from agent import observation
from agent.archive.archive import Archive
from agent.archive.examinations import FETCH, IN_PROGRESS
from agent.archive.retry import Again, after_failure
from agent.archive.settings import RetryPolicy
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.configuration.peer import Peer
from agent.errors import GantryError, LocalError, UnreachableError
from agent.loop import Event, Limit, TaskGroup, TimedOut, timeout, turn
from agent.network.association import Association
from agent.network.resolution import Resolve
from agent.quoting import quoted
from agent.services.keeping import Keeper
from agent.workflow.expected_objects import ExpectedObjects
from agent.workflow.fetch_record import COMPLETED, DISCONTINUED, FetchRecord
from agent.workflow.fetched import are_delivered, hand_on, referred
from agent.workflow.fetching import Fetching, NothingThere, receiving_entity, way_to_fetch
from agent.workflow.opening import Opening
from agent.workflow.turns import Turns

_MOST = 10_000
_MOST_KNOWN = 2000
_LOOK_AT_QUEUE = 1.0
_STOPPED = "stopped by a person"

OVER = observation.metrics.counter("gantry_fetches_total", "Retrievals that are over", "state")


class _Open:
    """A retrieval that is not over, and what stops it."""

    def __init__(self, archive: Archive, record: FetchRecord) -> None:
        self.archive = archive
        self.record = record
        self.cancel = Event()
        self.is_running = False


class Fetches:
    """All retrievals of a node."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        archives: Mapping[str, Archive],
        expected: ExpectedObjects,
        keeper_of: Callable[[Entity], Keeper],
        resolve: Resolve | None,
        turns: Turns,
        associations: Callable[[], set[Association]],
        wake: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`associations` are those that others opened; `wake` is told that there is something to
        deliver. `clock` gives the time of day in seconds."""
        self._configuration = configuration
        self._archives = archives
        self._expected = expected
        self._keeper_of = keeper_of
        self._resolve = resolve
        self._turns = turns
        self._associations = associations
        self._wake = wake
        self._clock = clock
        self._changed = Event()
        self._beginning = Limit(1)
        self._open: list[_Open] = []
        self._known: set[str] = set()
        self._busy: set[str] = set()
        self._resting: dict[str, float] = {}
        self._openings: dict[str, tuple[Peer, Opening]] = {}

    # What is asked for.

    async def begin(
        self,
        source: str,
        study: str,
        *,
        series: str = "",
        instances: tuple[str, ...] = (),
        target: str = "",
        direct: bool = False,
        reason: str = "a person",
    ) -> dict[str, Any]:
        """Have a study, or of it a series or instances, retrieved from a peer; as people see it.

        With a `target` they go there: from the source itself (`direct`), else when all are here.
        One that goes on for the same already is given instead. Raises LocalError for what
        cannot be.
        """
        configuration = self._configuration()
        peer = _peer(configuration, source)
        way_to_fetch(peer, direct=direct)
        if target and not _peer(configuration, target).addresses:
            raise LocalError(f"{quoted(target)} has no address", way_out="Give it one.")
        if instances and not series:
            raise LocalError(
                "instances are named with their series", clause="PS3.4 C.4.2.1.4", value=study
            )
        archive = self._archives[receiving_entity(configuration, peer).archive]
        await self._beginning.acquire()
        try:
            await self._load()
            wanted = FetchRecord(
                0,
                IN_PROGRESS,
                self._clock(),
                source,
                study,
                series,
                instances,
                target,
                direct,
                reason,
            )
            for each in self._open:
                if each.record.wants() == wanted.wants():
                    return each.record.summary()
            record = FetchRecord.of(await archive.save_examination(wanted.row()))
            self._open.append(_Open(archive, record))
        finally:
            self._beginning.release()
        observation.notice("fetch begun", fetch=record.id, peer=source, study=study, by=reason)
        self._changed.set()
        return record.summary()

    async def stop(self, number: int) -> None:
        """Give it up; what came stays. Raises LocalError where it is not in progress."""
        each = await self._find(number)
        each.cancel.set()
        if not each.is_running:
            await self._end(each, DISCONTINUED, _STOPPED)
        self._changed.set()

    async def hold(self, number: int) -> None:
        """Leave it until a person says again. Raises LocalError as `stop`."""
        each = await self._find(number)
        each.record.is_held, each.record.waits = True, "held by a person"
        await self._save(each)

    async def retry(self, number: int) -> None:
        """Try it now. Raises LocalError as `stop`."""
        each = await self._find(number)
        each.record.is_held, each.record.due, each.record.attempts = False, 0.0, 0
        self._resting.pop(each.record.source, None)
        await self._save(each)
        self._changed.set()

    async def listing(self, limit: int = 50) -> list[dict[str, Any]]:
        """The last of every archive, as people see them."""
        now = {(id(each.archive), each.record.id): each.record for each in self._open}
        return [
            now.get((id(archive), row.id), FetchRecord.of(row)).summary()
            for archive in self._archives.values()
            for row in await archive.examinations("", limit, kind=FETCH)
        ]

    async def known(self, limit: int = _MOST_KNOWN) -> dict[str, FetchRecord]:
        """The last retrieval of each study, whatever became of it; of the last `limit`."""
        found: dict[str, FetchRecord] = {}
        for archive in self._archives.values():
            for row in await archive.examinations("", limit, kind=FETCH):
                found.setdefault(row.study_instance_uid, FetchRecord.of(row))
                await turn()
        return found

    def work(self) -> list[dict[str, Any]]:
        """What goes on or waits, as `gantry status` shows work."""
        return [each.record.work(each.is_running) for each in self._open]

    def hurry(self) -> None:
        """The configuration has changed."""
        self._resting.clear()
        self._known.clear()
        self._changed.set()

    # What goes on.

    async def run(self) -> None:
        """Until cancelled: what a former life left is gone on with."""
        for each in self._open:
            each.is_running = False
        self._busy.clear()
        async with TaskGroup() as group:
            while True:
                self._changed.clear()
                await self._beginning.acquire()
                try:
                    await self._load()
                finally:
                    self._beginning.release()
                wait = self._start_due(group)
                with suppress(TimedOut), timeout(wait):
                    await self._changed.wait()

    def _start_due(self, group: TaskGroup) -> float:
        """Start what is due; seconds until something else is."""
        now, wait = self._clock(), 3600.0
        for each in self._open:
            record = each.record
            if each.is_running or each.cancel.is_set() or record.is_held:
                continue
            if record.source in self._busy and not record.is_here:
                continue
            due = max(record.due, self._resting.get(record.source, 0.0))
            # A clock that was set back keeps nothing waiting for longer than its policy.
            due = min(due, now + self._policy(record.source).longest * 2)
            if due > now:
                wait = min(wait, due - now)
                continue
            each.is_running = True
            if not record.is_here:
                self._busy.add(record.source)
            group.start(self._work(each), f"fetch {record.id}")
        return wait

    async def _work(self, each: _Open) -> None:
        record = each.record
        fetches = not record.is_here
        try:
            if fetches:
                await self._try(each)
            else:
                await self._deliver(each)
            if each.cancel.is_set() and each in self._open:
                await self._end(each, DISCONTINUED, _STOPPED)
        except Exception as error:
            # A defect in one of them, or with one peer, holds up no others.
            await self._failed(each, error)
        finally:
            each.is_running = False
            if fetches:
                self._busy.discard(record.source)
            self._changed.set()

    async def _try(self, each: _Open) -> None:
        record, configuration = each.record, self._configuration()
        peer = _peer(configuration, record.source)
        entity = receiving_entity(configuration, peer)
        done = record.done
        fetching = Fetching(
            record,
            configuration,
            each.archive,
            self._opening_to(peer),
            peer,
            self._expected,
            self._keeper_of(entity),
            lambda: sum(a.bytes_received for a in self._associations() if a.entity == entity.name),
        )
        why = await fetching.run(each.cancel)
        if record.done > done:
            record.attempts = 0
        if why:
            raise LocalError(f"{quoted(why)}")
        self._resting.pop(record.source, None)
        if each.cancel.is_set():
            return
        if record.target and not record.direct:
            record.is_here, record.waits, record.due = True, "", 0.0
            await self._save(each)
            await self._hand_on(each)
        else:
            if peer.fetch.references and not record.target:
                await self._follow(each)
            await self._end(each, COMPLETED)

    async def _follow(self, each: _Open) -> None:
        """Retrieve what the presentation states and key objects of the study refer to."""
        for study, series, instances in await referred(each.archive, each.record.study):
            await self.begin(
                each.record.source,
                study,
                series=series,
                instances=instances,
                reason=f"what fetch {each.record.id} refers to",
            )

    async def _hand_on(self, each: _Open) -> None:
        """Have what came delivered to the target."""
        await hand_on(each.archive, each.record)
        await self._save(each)
        self._wake("")

    async def _deliver(self, each: _Open) -> None:
        record = each.record
        if not record.is_handed_on:
            await self._hand_on(each)  # The node ended between the two.
        if await are_delivered(each.archive, record):
            await self._end(each, COMPLETED)
            return
        record.due = self._clock() + _LOOK_AT_QUEUE

    async def _failed(self, each: _Open, error: Exception) -> None:
        record = each.record
        if each.cancel.is_set():
            await self._end(each, DISCONTINUED, _STOPPED)
            return
        if isinstance(error, NothingThere):
            await self._end(each, DISCONTINUED, str(error))
            return
        text = str(error) if isinstance(error, GantryError) else repr(error)
        record.attempts += 1
        policy, now = self._policy(record.source), self._clock()
        again = after_failure(
            policy, attempts=record.attempts, age=now - record.begun, chance=random.random()
        )
        if isinstance(again, Again):
            record.due = now + again.delay
            if isinstance(error, UnreachableError):
                self._resting[record.source] = record.due
        else:
            record.is_held = True
            text = f"{again.why}: {text}"
        if text != record.waits:
            observation.warning("fetch waits", fetch=record.id, peer=record.source, error=error)
        record.waits = text
        await self._save(each)

    async def _end(self, each: _Open, state: str, failed: str = "") -> None:
        record = each.record
        record.state, record.failed, record.waits = state, failed, ""
        record.failed_uids = ()
        await self._save(each)
        if each in self._open:
            self._open.remove(each)
        OVER.of(state.lower()).add()
        observation.notice(
            "fetch over",
            fetch=record.id,
            peer=record.source,
            state=state,
            objects=record.done,
            failed=failed or None,
        )

    # What they need.

    async def _load(self) -> None:
        """What is in progress in archives that were not looked at yet."""
        for name, archive in self._archives.items():
            if name in self._known:
                continue
            here = {each.record.id for each in self._open if each.archive is archive}
            for row in reversed(await archive.examinations(IN_PROGRESS, _MOST, kind=FETCH)):
                if row.id not in here:
                    self._open.append(_Open(archive, FetchRecord.of(row)))
            self._known.add(name)

    async def _find(self, number: int) -> _Open:
        await self._beginning.acquire()
        try:
            await self._load()
        finally:
            self._beginning.release()
        for each in self._open:
            if each.record.id == number:
                return each
        raise LocalError(f"fetch {number} is not in progress", value=number)

    async def _save(self, each: _Open) -> None:
        await each.archive.save_examination(each.record.row())

    def _policy(self, source: str) -> RetryPolicy:
        configuration = self._configuration()
        peer = configuration.peer(source)
        retry = (peer.retry if peer is not None else None) or configuration.delivery.retry
        return RetryPolicy(
            retry.first, retry.factor, retry.longest, retry.jitter, retry.attempts, retry.age
        )

    def _opening_to(self, peer: Peer) -> Opening:
        found = self._openings.get(peer.name)
        if found is None or found[0] != peer:
            found = self._openings[peer.name] = (peer, Opening(peer, self._resolve, self._turns))
        return found[1]


def _peer(configuration: Configuration, name: str) -> Peer:
    peer = configuration.peer(name)
    if peer is None:
        known = ", ".join(each.name for each in configuration.peers)
        raise LocalError(f"there is no peer {quoted(name)}", value=name, limit=known)
    return peer
