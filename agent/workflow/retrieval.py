"""Retrieval from an entity: what C-MOVE and C-GET ask for is sent, object by object.

Objects go out as deliveries do: byte for byte, and converted where the peer cannot take them as
they are. A C-MOVE has associations of its own to the destination, one after the other where the
objects need more than 128 contexts; a C-GET sends over the association that it came on. Memory: a
page of the index for each retrieval, whatever it is about.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent import observation
from agent.archive.archive import Archive
from agent.archive.selection import Place, Selected
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.configuration.peer import Peer
from agent.errors import GantryError, PeerError, StatusReaction
from agent.loop import Limit, current_loop
from agent.loop.workers import WorkerPool
from agent.network.resolution import Resolve
from agent.quoting import quoted
from agent.services.retrieval import Order
from agent.services.sub_operations import SubOperations
from agent.workflow.partial_copy import WITHOUT_BULK_DATA, extracted_uid, form_of_frames
from agent.workflow.retrieval_run import Get, Move, Run, Way
from agent.workflow.turns import Turns

MOVE_DESTINATION_UNKNOWN = 0xA801
NONE_OF_THE_FRAMES_FOUND = 0xAA00


class EntityRetrievals:
    """Performs what is retrieved from one entity, some requests at once, the others in line."""

    def __init__(
        self,
        entity: Entity,
        configuration: Configuration,
        archive: Archive,
        resolve: Resolve | None,
        turns: Turns,
        pool: WorkerPool | None,
    ) -> None:
        """`pool` converts objects; without it they go out in their own transfer syntax only."""
        self._entity = entity
        self._configuration = configuration
        self._archive = archive
        self._resolve = resolve
        self._turns = turns
        self._pool = pool
        self._at_once = Limit(entity.retrieval.at_once)
        self._callers: dict[str, tuple[Limit, int]] = {}
        self._ways: dict[str, Way] = {}
        self.relational_peers = frozenset(
            each.name for each in configuration.peers if each.quirks.relational_unnegotiated
        )

    async def perform(self, order: Order, operations: SubOperations) -> None:
        """As `agent.services.retrieval.Retrievals` says."""
        peer = None if order.destination is None else self._destination(order.destination)
        async with self._turn(order.association.calling_ae_title):
            selected = await self._archive.select(order.selection)
            form = await self._form(order, selected)
            operations.begin(selected.total)
            await operations.tell()
            current_loop().start_background(self._note_use(selected), "use of studies")
            if peer is not None:
                kind: type[Run] = Move
            else:
                kind, peer = Get, self._configuration.peer(order.association.peer)
            run = kind(
                self._archive,
                order,
                operations,
                selected,
                self._way_to(peer),
                form,
                stops_on_failure=self._entity.retrieval.on_failure == "stop",
            )
            try:
                await run.run()
            finally:
                observation.info(
                    "retrieved",
                    association=order.association.identification,
                    to=order.destination or order.association.calling_ae_title,
                    completed=operations.completed,
                    failed=operations.failed,
                    warning=operations.warning,
                    remaining=operations.remaining,
                )

    async def _note_use(self, selected: Selected) -> None:
        """What is retrieved is used: where space is short, it goes later than others."""
        try:
            if selected.studies:
                await self._archive.touch(selected.studies)
        except GantryError as error:
            observation.warning("use of studies not noted", error=error)

    async def _form(self, order: Order, selected: Selected) -> bytes:
        """Which part of the objects goes out. Raises PeerError for frames that cannot be had."""
        if order.without_bulk_data:
            return WITHOUT_BULK_DATA
        if order.frames is None:
            return b""
        form = form_of_frames(order.frames)
        page = await self._archive.selected_page(selected, Place())
        if not page.instances or self._pool is None:
            comment = "There is no such instance"
            reaction = StatusReaction(NONE_OF_THE_FRAMES_FOUND, comment)
            raise PeerError(comment, clause="PS3.4 Y.4.1.1.4", reaction=reaction)
        image = page.instances[0]
        await self._pool.call(
            extracted_uid, image.path, image.data_set_offset, image.transfer_syntax_uid, form
        )
        return form

    def _destination(self, title: str) -> Peer:
        """The peer to which objects may be moved under this AE title."""
        allowed = self._entity.retrieval.destinations
        found = [
            each
            for each in self._configuration.peers
            if each.addresses
            and (each.name in allowed if allowed else "storage" in each.services)
            and title in each.titles
        ]
        # A title of its own goes before one under which another merely calls.
        found.sort(key=lambda each: each.title != title)
        if not found:
            comment = "Move Destination unknown"
            raise PeerError(
                f"there is no peer {quoted(repr(title))} to move objects to",
                clause="PS3.4 C.4.2.1.5",
                value=title,
                reaction=StatusReaction(MOVE_DESTINATION_UNKNOWN, comment),
            )
        return found[0]

    @asynccontextmanager
    async def _turn(self, caller: str) -> AsyncIterator[None]:
        """Wait until this caller, and then anybody, may have another retrieval performed."""
        limit, users = self._callers.get(caller) or (
            Limit(self._entity.retrieval.at_once_per_caller),
            0,
        )
        self._callers[caller] = limit, users + 1
        try:
            await limit.acquire()
            try:
                await self._at_once.acquire()
                try:
                    yield
                finally:
                    self._at_once.release()
            finally:
                limit.release()
        finally:
            limit, users = self._callers[caller]
            if users > 1:
                self._callers[caller] = limit, users - 1
            else:
                del self._callers[caller]

    def _way_to(self, peer: Peer | None) -> Way:
        name = "" if peer is None else peer.name
        found = self._ways.get(name)
        if found is None:
            found = self._ways[name] = Way(
                peer,
                self._configuration,
                self._resolve,
                self._turns,
                self._pool,
                self._conversions(),
            )
        return found

    def _conversions(self) -> int:
        return self._configuration.workers.codecs or max(1, len(os.sched_getaffinity(0)) - 1)
