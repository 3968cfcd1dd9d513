"""Inventories that peers ask for: made one after the other, a little at a time (PS3.4 KK.2).

Each step of a production is a call of a worker, a third of a second long; between two of them it
can be paused or cancelled, and its state is on disk. What a crash cut off goes on from there. An
inventory that would be larger than `_LARGEST` is several instances, of which the last is the root.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from agent import __version__, observation
from agent.archive.archive import Archive
from agent.archive.decision import JobPlan, Origin
from agent.archive.inventory_requests import InventoryState, Part
from agent.archive.object_models import INVENTORY
from agent.archive.procedure_steps import pack
from agent.archive.worker_entries import (
    append_inventory_records,
    change_inventories,
    write_inventory,
)
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.dataset.file_meta import encode_file_meta
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from agent.dataset.uid import new_uid
from agent.errors import GantryError, StorageError
from agent.loop import Event, TimedOut, timeout
from agent.loop.workers import WorkerPool
from agent.network.association import Association
from agent.network.status import PROCESSING_FAILURE, RESOURCE_LIMITATION, SUCCESS
from agent.quoting import quoted
from agent.services.inventory_creation import (
    CANCEL,
    CANCELED,
    COMPLETE,
    FAILURE,
    KEYS_NOT_SUPPORTED,
    PAUSE,
    PAUSED,
    PROCESSING,
    REQUEST_STATUS,
    TERMINAL,
    Outcome,
)
from agent.services.inventory_scope import scope_of
from agent.services.offer import implementation_of
from agent.workflow.inventory_events import end_event, status_event

NOT_AUTHORIZED = 0x0124
_LARGEST = 128 << 20
"""Bytes of study records in one instance."""
_MOST = 16
"""Inventories that wait or are made at once."""
_REMEMBERED = 90 * 86400.0
"""Seconds for which a transaction is known after its end: its UID shall not be used again."""
_PARTIAL = "PARTIAL"
_MINUTE = 60.0


class InventoryProduction:
    """All inventories of a node that are asked for, and who makes them."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        archives: Mapping[str, Archive],
        pool: WorkerPool,
        wake: Callable[[str], None],
        *,
        largest: int = _LARGEST,
    ) -> None:
        """`wake` is told of a peer that there are events for it; of "", objects to deliver."""
        self.configuration = configuration
        self.archives = archives
        self.pool = pool
        self.wake = wake
        self.largest = largest
        self.going: dict[str, Production] = {}
        self._changed = Event()
        self._loaded = Event()

    def of(self, entity: Entity) -> EntityInventories:
        """The inventories that are asked of this entity."""
        return EntityInventories(entity, self)

    def hurry(self) -> None:
        """Something has changed."""
        self._changed.set()

    async def loaded(self) -> None:
        """Until what a former life left is known."""
        await self._loaded.wait()

    async def run(self) -> None:
        """Until cancelled: go on with what was begun, and make what is asked for."""
        for archive in tuple(self.archives.values()):
            for state in await self.change(archive, "inventories", time.time() - _REMEMBERED):
                self.going.setdefault(state.transaction, Production(self, archive, state))
        self._loaded.set()
        while True:
            self._changed.clear()
            busy = False
            for production in tuple(self.going.values()):
                busy |= await production.step()
            if not busy:
                with suppress(TimedOut), timeout(_MINUTE):
                    await self._changed.wait()

    async def change(
        self, archive: Archive, change: str, *arguments: object
    ) -> list[InventoryState]:
        """One of the functions of `agent.archive.inventory_requests`."""
        found = await self.pool.call(change_inventories, str(archive.folder), change, *arguments)
        return found if isinstance(found, list) else []


class Production:
    """One inventory; `asked` is what its peer wants to become of it."""

    def __init__(self, desk: InventoryProduction, archive: Archive, state: InventoryState) -> None:
        self.state = state
        self.asked = ""
        self.retain = True
        self._desk = desk
        self._archive = archive
        self._told = time.monotonic()

    @property
    def is_over(self) -> bool:
        return self.state.status in TERMINAL

    async def step(self) -> bool:
        """A little of it; False where there is nothing to do now."""
        if self.is_over and self.state.announced:
            return False
        try:
            if self.is_over:
                await self._announce()
            elif self.asked:
                await self._follow()
            elif self.state.status == PAUSED:
                return False
            else:
                await self._advance()
        except GantryError as error:
            observation.error("inventory failed", uid=self.state.transaction, error=error)
            await self._fail(error)
        return True

    async def tell(self) -> None:
        """Event 12."""
        self._told = time.monotonic()
        await self._add_job(status_event(self.state))

    async def _follow(self) -> None:
        asked, self.asked = self.asked, ""
        if asked == CANCELED:
            await self._end(CANCELED, CANCELED if self.retain else "")
        elif asked != self.state.status:
            await self._keep(self.state._replace(status=asked))
            await self.tell()

    async def _advance(self) -> None:
        state = await self._desk.pool.call(
            append_inventory_records,
            str(self._archive.folder),
            self.state,
            self._title,
            self._desk.largest,
        )
        await self._keep(state._replace(interval=self.state.interval))
        if state.place is None:
            await self._end(COMPLETE, COMPLETE)
        elif state.written >= self._desk.largest:
            await self._keep(await self._store(_PARTIAL))
        elif state.interval and time.monotonic() - self._told >= state.interval:
            await self.tell()

    async def _fail(self, error: GantryError) -> None:
        try:
            await self._end(FAILURE, "", str(error)[:1000])
        except GantryError as again:
            # The disk is gone: it goes on when the node starts the next time.
            self.state = self.state._replace(status=FAILURE, announced=True)
            observation.error("inventory not ended", uid=self.state.transaction, error=again)

    async def _end(self, status: str, completion: str, comment: str = "") -> None:
        """Reach a terminal state; with a completion, there is a root instance."""
        root = self.state.next_uid if completion else ""
        state = await self._store(completion) if completion else self.state
        await self._keep(state._replace(status=status, comment=comment, root=root))
        await self._announce()
        await self._desk.change(self._archive, "drop_records", self.state.transaction)
        observation.info(
            "inventory ended",
            uid=self.state.transaction,
            status=status,
            studies=self.state.records,
            instances=len(self.state.parts),
        )

    async def _announce(self) -> None:
        """The peer is told of the end: twice rather than not at all."""
        await self.tell()
        await self._add_job(end_event(self.state, self.state.root, self._title))
        await self._keep(self.state._replace(announced=True))

    async def _store(self, completion: str) -> InventoryState:
        """Make an instance of what was gathered; the state behind that, which is yet to be kept.
        Done again after a crash, it makes the same bytes under the same UID."""
        state = self.state
        uid = state.next_uid
        class_uid, version_name = implementation_of(self._desk.configuration())
        (sop_class_uid,) = INVENTORY.stored
        reception = self._archive.receive(
            encode_file_meta(
                sop_class_uid=sop_class_uid,
                sop_instance_uid=uid,
                transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
                implementation_class_uid=class_uid,
                implementation_version_name=version_name,
                source_ae_title=self._title,
                receiving_ae_title=self._title,
            )
        )
        try:
            await self._desk.pool.call(
                write_inventory,
                str(self._archive.folder),
                state,
                completion,
                self._title,
                __version__,
                descriptors=(reception.descriptor,),
            )
            origin = Origin(
                "local",
                self._title,
                self._title,
                entity=state.entity,
                sop_class_uid=sop_class_uid,
                sop_instance_uid=uid,
            )
            verdict = await self._archive.commit(reception, origin)
        finally:
            reception.discard()
        if not verdict.is_stored:
            raise StorageError(
                f"The inventory cannot be stored: {quoted(verdict.comment)}.", value=verdict.status
            )
        if verdict.jobs:
            self._desk.wake("")
        parts = (*state.parts, Part(uid, state.waiting))
        return state._replace(parts=parts, waiting=0, written=0, next_uid=new_uid())

    async def _keep(self, state: InventoryState) -> None:
        await self._desk.change(self._archive, "keep_inventory", state)
        self.state = state

    async def _add_job(self, planned: tuple[JobPlan, int]) -> None:
        plan, order = planned
        await self._archive.add_job(plan, order=order)
        self._desk.wake(self.state.peer)

    @property
    def _title(self) -> str:
        entity = self._desk.configuration().entity(self.state.entity)
        return self.state.entity if entity is None else _retrieve_title(entity)


def _retrieve_title(entity: Entity) -> str:
    return entity.queries.retrieve_title or entity.title


class EntityInventories:
    """The inventories that are asked of one entity; an `Inventories` of the service."""

    def __init__(self, entity: Entity, desk: InventoryProduction) -> None:
        self._entity = entity
        self._desk = desk

    async def initiate(
        self, transaction: str, information: Attributes, association: Association
    ) -> Outcome:
        scope, outcome = scope_of(information, self._entity.queries.options)
        if outcome.status not in (SUCCESS, KEYS_NOT_SUPPORTED):
            return outcome
        peer = self._desk.configuration().peer_calling(association.calling_ae_title)
        if peer is None or not peer.addresses or "inventory-creation" not in peer.services:
            # Nobody could be told of it (KK.1.3.1).
            return Outcome(NOT_AUTHORIZED, "The caller is no peer that takes events")
        await self._desk.loaded()
        if transaction in self._desk.going:
            return Outcome(PROCESSING_FAILURE, "Transaction UID was used before")
        if sum(not each.is_over for each in self._desk.going.values()) >= _MOST:
            return Outcome(RESOURCE_LIMITATION, "Too many inventories are being made")
        archive = self._desk.archives[self._entity.archive]
        state = InventoryState(
            transaction,
            self._entity.name,
            peer.name,
            information.text("InventoryLevel"),
            information.text("InventoryPurpose"),
            pack(with_character_set(scope.item)).hex(),
            pack(with_character_set(scope.identifier)).hex(),
            time.time(),
            new_uid(),
            interval=information.number("RequestedStatusInterval") * _MINUTE,
            below=pack(with_character_set(scope.below)).hex(),
            mechanisms=scope.mechanisms,
            timezone=time.localtime().tm_gmtoff // 60,
        )
        production = self._desk.going[transaction] = Production(self._desk, archive, state)
        try:
            await self._desk.change(archive, "keep_inventory", state)
            await production.tell()
        except BaseException:
            del self._desk.going[transaction]
            raise
        observation.info(
            "inventory asked of us", peer=peer.name, uid=transaction, level=state.level
        )
        self._desk.hurry()
        return outcome

    async def change(self, transaction: str, action: int, information: Attributes) -> Outcome:
        await self._desk.loaded()
        production = self._desk.going.get(transaction)
        if production is None or production.state.entity != self._entity.name:
            return Outcome(PROCESSING_FAILURE, "There is no such transaction")
        if action == REQUEST_STATUS:
            if information.has("RequestedStatusInterval"):
                interval = information.number("RequestedStatusInterval") * _MINUTE
                production.state = production.state._replace(interval=interval)
            await production.tell()
            return Outcome()
        if production.is_over:
            return Outcome(PROCESSING_FAILURE, f"It is over: {production.state.status}")
        if action == CANCEL:
            production.retain = information.text("RetainInstances") != "N"
            production.asked = CANCELED
        elif production.asked != CANCELED:
            production.asked = PAUSED if action == PAUSE else PROCESSING
        self._desk.hurry()
        return Outcome()
