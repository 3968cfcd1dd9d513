"""One retrieval: its objects in pages from the index, each sent on a context that was accepted.

A `Get` has the association of the request, a `Move` opens its own to the destination. Memory: a
page of the index, and what is under way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from agent import observation
from agent.archive.archive import Archive
from agent.archive.records import Instance, StoredObject
from agent.archive.selection import Place, Selected
from agent.codecs.codec import EncodeSettings
from agent.configuration.configuration import Configuration
from agent.configuration.peer import Peer
from agent.errors import GantryError, LocalError, PeerError, StorageError
from agent.loop import Limit, TaskGroup, current_loop, turn
from agent.loop.workers import WorkerPool
from agent.network.accepted_contexts import PresentationContext
from agent.network.association import Association
from agent.network.negotiation import propose
from agent.network.presentation_context import PresentationContextProposal
from agent.network.resolution import Resolve
from agent.network.status import Category
from agent.services.retrieval import Order
from agent.services.storage import c_store
from agent.services.storage_negotiation import (
    NATIVE,
    Proposal,
    context_needs,
    sending_order,
)
from agent.services.sub_operations import SubOperations
from agent.workflow.bandwidth import Bandwidth
from agent.workflow.converted_copy import Converter
from agent.workflow.opening import Opening
from agent.workflow.outgoing import Outgoing, open_stored
from agent.workflow.partial_copy import WITHOUT_BULK_DATA
from agent.workflow.turns import Turns

RETRIEVED = observation.metrics.counter(
    "gantry_retrieved_objects_total", "Objects that were sent to who retrieved them", "outcome"
)

_Pair = tuple[str, str]
"""SOP Class UID and transfer syntax UID of an object."""

_MOST_AT_ONCE = 64
"""With an unlimited window: each operation has a file open."""


class Way:
    """What is the same for all that goes to one peer; None: to somebody who is not configured."""

    def __init__(
        self,
        peer: Peer | None,
        configuration: Configuration,
        resolve: Resolve | None,
        turns: Turns,
        pool: WorkerPool | None,
        conversions: int,
    ) -> None:
        self.configuration = configuration
        self.bandwidth = Bandwidth(peer.window.bandwidth if peer is not None else 0)
        self.opening = None if peer is None else Opening(peer, resolve, turns)
        self.window = peer.window.operations if peer is not None else 1
        lossy = peer is not None and peer.lossy.allowed
        settings = EncodeSettings()
        if peer is not None:
            settings = EncodeSettings(quality=peer.lossy.quality, near=peer.lossy.near)
        self.converter = None if pool is None else Converter(pool, Limit(conversions), settings)
        converts = self.converter is not None and (peer is None or peer.convert)
        self.proposal = (
            Proposal(conversion=converts)
            if peer is None
            else Proposal(
                tuple(peer.transfer_syntaxes),
                tuple(peer.never_propose),
                conversion=converts,
                lossy=lossy,
            )
        )


class _Instances:
    """The instances of a selection, page by page; only those of `wanted` pairs where it is given.

    Several senders may take of it at once.
    """

    def __init__(
        self, archive: Archive, selected: Selected, wanted: frozenset[_Pair] | None = None
    ) -> None:
        self._archive = archive
        self._selected = selected
        self._wanted = wanted
        self._place: Place | None = Place()
        self._waiting: list[Instance] = []
        self._line = Limit(1)

    async def next(self) -> Instance | None:
        """The next one; None at the end."""
        while not self._waiting:
            await self._line.acquire()
            try:
                if not self._waiting and self._place is None:
                    return None
                if not self._waiting and self._place is not None:
                    page = await self._archive.selected_page(self._selected, self._place)
                    self._place = page.next
                    self._waiting = [each for each in page.instances if self._wants(each)]
                    self._waiting.reverse()
            finally:
                self._line.release()
        return self._waiting.pop()

    def _wants(self, instance: Instance) -> bool:
        pair = instance.sop_class_uid, instance.transfer_syntax_uid
        return self._wanted is None or pair in self._wanted


class Run(ABC):
    """One retrieval."""

    def __init__(
        self,
        archive: Archive,
        order: Order,
        operations: SubOperations,
        selected: Selected,
        way: Way,
        form: bytes,
        *,
        stops_on_failure: bool,
    ) -> None:
        """`form` is that of a `StoredObject`."""
        self.archive = archive
        self.form = form
        self.stops_on_failure = stops_on_failure
        self.order = order
        self.operations = operations
        self.selected = selected
        self.way = way

    @abstractmethod
    async def run(self) -> None:
        """Until all is sent, failed or cancelled."""

    async def send_all(self, association: Association, instances: _Instances) -> None:
        """Raises PeerError when the association ends before."""
        window = association.window.invoked or self.way.window or _MOST_AT_ONCE

        async def sender() -> None:
            while not self.operations.ended:
                instance = await instances.next()
                if instance is None:
                    return
                await self._send(association, instance, group)
                await self.operations.tell()
                await turn()

        async with TaskGroup() as group:
            for _ in range(max(1, min(window, self.selected.total, _MOST_AT_ONCE))):
                group.start(sender(), f"retrieval {association.identification}")

    async def fail_all(self, instances: _Instances) -> None:
        """What is left of this cannot be sent."""
        while not self.operations.cancelled.is_set():
            instance = await instances.next()
            if instance is None:
                return
            self._failed(instance)

    def account_for_the_missing(self) -> None:
        """What was deleted since it was counted cannot be sent."""
        if not self.operations.cancelled.is_set():
            self.operations.fail_rest()

    async def _send(self, association: Association, instance: Instance, group: TaskGroup) -> None:
        uid = instance.sop_instance_uid
        with self.operations.one():
            await self.way.bandwidth.take(instance.size)
            try:
                opened = await self._opened(association, instance, group)
            except BaseException:
                self._failed(instance)
                raise
            if opened is None:
                self._failed(instance)
                return
            context, outgoing = opened
            category = Category.FAILURE
            try:
                moves = self.order.destination is not None
                response = await c_store(
                    association,
                    context,
                    outgoing.sop_class_uid,
                    outgoing.sop_instance_uid,
                    outgoing.source,
                    priority=self.order.priority,
                    move_originator=self.order.association.calling_ae_title if moves else "",
                    move_originator_message_id=self.operations.message_id if moves else 0,
                )
                category = response.category
            except StorageError as error:
                # The rest of its data set will never come: this association is of no use any more.
                association.abort()
                raise PeerError("an object could not be read to its end") from error
            finally:
                outgoing.close()
                self._settled(category, uid)

    async def _opened(
        self, association: Association, instance: Instance, group: TaskGroup
    ) -> tuple[PresentationContext, Outgoing] | None:
        """The object as it can go out, and on which context; None when it cannot."""
        stored = StoredObject(
            instance.path,
            instance.sop_instance_uid,
            instance.sop_class_uid,
            instance.transfer_syntax_uid,
            instance.data_set_offset,
            form=self.form,
        )
        for abstract_syntax, transfer_syntax in self._order(instance):
            context = association.contexts.find(abstract_syntax, transfer_syntax, scu=True)
            if context is None:
                continue
            try:
                return context, await open_stored(stored, context, self.way.converter, group)
            except GantryError as error:
                observation.warning(
                    "object not retrieved", association=association.identification, error=error
                )
                if not isinstance(error, LocalError):
                    return None
        return None

    def _order(self, instance: Instance) -> Sequence[_Pair]:
        if self.form == WITHOUT_BULK_DATA:
            # No frame has to be decoded: every transfer syntax of data sets will do.
            syntaxes = dict.fromkeys((instance.transfer_syntax_uid, *NATIVE))
            return [(instance.sop_class_uid, syntax) for syntax in syntaxes]
        return sending_order(
            instance.sop_class_uid, instance.transfer_syntax_uid, self.way.proposal
        )

    def _failed(self, instance: Instance) -> None:
        self._settled(Category.FAILURE, instance.sop_instance_uid)

    def _settled(self, category: Category, uid: str) -> None:
        self.operations.settle(category, uid)
        failed = category not in (Category.SUCCESS, Category.WARNING)
        RETRIEVED.of("failed" if failed else "sent").add()
        if failed and self.stops_on_failure:
            self.operations.stopped = True


class Get(Run):
    """Over the association of the request, on the contexts that were accepted for it."""

    async def run(self) -> None:
        instances = _Instances(self.archive, self.selected)
        await self.send_all(self.order.association, instances)
        await self.fail_all(instances)
        self.account_for_the_missing()


class Move(Run):
    """Over associations to the destination."""

    async def run(self) -> None:
        batches = propose(
            context_needs(
                ((each.sop_class_uid, each.transfer_syntax_uid) for each in self.selected.kinds),
                self.way.proposal,
            )
        )
        for proposals, pairs in zip([*batches, None], self._assigned(batches), strict=True):
            if not pairs:
                continue
            # One association for all is the rule: then nothing is looked for.
            wanted = None if len(pairs) == len(self.selected.kinds) else pairs
            instances = _Instances(self.archive, self.selected, wanted)
            if proposals is not None:
                await self._send_batch(proposals, instances)
            await self.fail_all(instances)
        self.account_for_the_missing()

    def _assigned(
        self, batches: Sequence[Sequence[PresentationContextProposal]]
    ) -> list[frozenset[_Pair]]:
        """Which objects each association carries: the first that proposes any way for them. Last
        come those for which none proposes any."""
        proposed = [
            {(each.abstract_syntax, syntax) for each in batch for syntax in each.transfer_syntaxes}
            for batch in batches
        ]
        found: list[set[_Pair]] = [set() for _ in (*batches, None)]
        for kind in self.selected.kinds:
            pair = kind.sop_class_uid, kind.transfer_syntax_uid
            ways = sending_order(*pair, self.way.proposal)
            fitting = (n for n, each in enumerate(proposed) if not each.isdisjoint(ways))
            found[next(fitting, -1)].add(pair)
        return [frozenset(pairs) for pairs in found]

    async def _send_batch(
        self, proposals: Sequence[PresentationContextProposal], instances: _Instances
    ) -> None:
        """Over one association; over another when it was lost after some had been sent."""
        operations, opening = self.operations, self.way.opening
        assert opening is not None
        while not operations.ended:
            sent = operations.completed + operations.warning
            association: Association | None = None
            try:
                association = await opening.open(self.way.configuration, proposals)
                await self.send_all(association, instances)
                if not operations.cancelled.is_set():
                    await association.release()
                    return
            except GantryError as error:
                observation.warning(
                    "retrieval failed", destination=self.order.destination, error=error
                )
                if association is not None:
                    association.abort()
                if operations.completed + operations.warning == sent:
                    return
            except BaseException:
                if association is not None:
                    association.abort()
                raise
            else:
                # Who cancelled is not kept waiting for the destination.
                current_loop().start_background(association.release(), "release")
