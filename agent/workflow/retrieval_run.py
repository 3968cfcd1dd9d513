"""One retrieval: its objects in pages from the index, each sent on a context that was accepted.

A `Get` has the association of the request, a `Move` opens its own to the destination. Memory: a
page of the index, and what is under way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from agent import observation
from agent.archive.archive import Archive
from agent.archive.records import Flag, Instance, StoredObject
from agent.archive.selection import Selected
from agent.codecs.codec import EncodeSettings
from agent.configuration.configuration import Configuration
from agent.configuration.peer import Peer
from agent.errors import GantryError, LocalError, PeerError, StorageError
from agent.loop import Limit, TaskGroup, current_loop, turn
from agent.loop.workers import WorkerPool
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
from agent.workflow.outgoing import open_as_it_is, open_stored
from agent.workflow.partial_copy import WITHOUT_BULK_DATA
from agent.workflow.retrieval_instances import Ahead, Instances, Opened, Pair
from agent.workflow.signatures_anew import signatures_anew
from agent.workflow.turns import Turns

RETRIEVED = observation.metrics.counter(
    "gantry_retrieved_objects_total", "Objects that were sent to who retrieved them", "outcome"
)

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
        self.converter = None
        if pool is not None:
            anew = signatures_anew(configuration)
            self.converter = Converter(pool, Limit(conversions), settings, anew)
        converts = self.converter is not None and (peer is None or peer.convert)
        self.changes = b""
        if configuration.secure_use.enabled:
            from agent.workflow.instance_status import status_changes, with_status

            self.changes = with_status(b"", status_changes(configuration, peer))
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
        self._orders: dict[Pair, Sequence[Pair]] = {}

    @abstractmethod
    async def run(self) -> None:
        """Until all is sent, failed or cancelled."""

    async def send_all(self, association: Association, instances: Instances) -> None:
        """Raises PeerError when the association ends before."""
        window = association.window.invoked or self.way.window or _MOST_AT_ONCE

        ahead = Ahead(instances, lambda instance: self._opened_as_it_is(association, instance))

        async def sender(group: TaskGroup) -> None:
            while not self.operations.ended:
                found = await ahead.next()
                if found is None:
                    return
                await self._send(association, *found, group)
                await self.operations.tell()
                await turn()

        try:
            async with TaskGroup() as whole:
                filling = whole.start(ahead.fill(), f"ahead of {association.identification}")
                async with TaskGroup() as group:
                    for _ in range(max(1, min(window, self.selected.total, _MOST_AT_ONCE))):
                        group.start(sender(group), f"retrieval {association.identification}")
                filling.cancel()
        finally:
            ahead.close()

    async def fail_all(self, instances: Instances) -> None:
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

    async def _send(
        self,
        association: Association,
        instance: Instance,
        opened: Opened | None,
        group: TaskGroup,
    ) -> None:
        with self.operations:
            try:
                await self.way.bandwidth.take(instance.size)
            except BaseException:
                if opened is not None:
                    opened[1].close()
                raise
            if opened is None:
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
                self._settled(category, instance)

    async def _opened(
        self, association: Association, instance: Instance, group: TaskGroup
    ) -> Opened | None:
        """The object as it can go out, and on which context; None when it cannot."""
        if instance.flags & Flag.UNCONFIRMED:
            # PS3.15 A.1.1 d 4: its sender does not know yet that the original is here.
            return None
        stored = self._stored(instance)
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

    def _opened_as_it_is(self, association: Association, instance: Instance) -> Opened | None:
        """The same where nothing needs to be made of it; None otherwise, and where it cannot be
        opened."""
        syntax = instance.transfer_syntax_uid
        for abstract_syntax, transfer_syntax in self._order(instance):
            context = association.contexts.find(abstract_syntax, transfer_syntax, scu=True)
            if context is None:
                continue
            if context.transfer_syntax != syntax or self.form or self.way.changes:
                return None
            try:
                return context, open_as_it_is(self._stored(instance), context)
            except GantryError:
                return None
        return None

    def _stored(self, instance: Instance) -> StoredObject:
        return StoredObject(
            instance.path,
            instance.sop_instance_uid,
            instance.sop_class_uid,
            instance.transfer_syntax_uid,
            instance.data_set_offset,
            self.way.changes,
            form=self.form,
        )

    def _order(self, instance: Instance) -> Sequence[Pair]:
        if self.form == WITHOUT_BULK_DATA:
            # No frame has to be decoded: every transfer syntax of data sets will do.
            syntaxes = dict.fromkeys((instance.transfer_syntax_uid, *NATIVE))
            return [(instance.sop_class_uid, syntax) for syntax in syntaxes]
        pair = instance.sop_class_uid, instance.transfer_syntax_uid
        found = self._orders.get(pair)
        if found is None:
            found = self._orders[pair] = sending_order(*pair, self.way.proposal)
        return found

    def _failed(self, instance: Instance) -> None:
        self._settled(Category.FAILURE, instance)

    def _settled(self, category: Category, instance: Instance) -> None:
        self.operations.settle(category, instance.sop_instance_uid)
        failed = category not in (Category.SUCCESS, Category.WARNING)
        if observation.log.is_audited:
            observation.occasion(
                "object retrieved",
                archive=self.archive.name,
                instance=instance,
                order=self.order,
                sent=not failed,
            )
        RETRIEVED.of("failed" if failed else "sent").add()
        if failed and self.stops_on_failure:
            self.operations.stopped = True


class Get(Run):
    """Over the association of the request, on the contexts that were accepted for it."""

    async def run(self) -> None:
        instances = Instances(self.archive, self.selected)
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
            instances = Instances(self.archive, self.selected, wanted)
            if proposals is not None:
                await self._send_batch(proposals, instances)
            await self.fail_all(instances)
        self.account_for_the_missing()

    def _assigned(
        self, batches: Sequence[Sequence[PresentationContextProposal]]
    ) -> list[frozenset[Pair]]:
        """Which objects each association carries: the first that proposes any way for them. Last
        come those for which none proposes any."""
        proposed = [
            {(each.abstract_syntax, syntax) for each in batch for syntax in each.transfer_syntaxes}
            for batch in batches
        ]
        found: list[set[Pair]] = [set() for _ in (*batches, None)]
        for kind in self.selected.kinds:
            pair = kind.sop_class_uid, kind.transfer_syntax_uid
            ways = sending_order(*pair, self.way.proposal)
            fitting = (n for n, each in enumerate(proposed) if not each.isdisjoint(ways))
            found[next(fitting, -1)].add(pair)
        return [frozenset(pairs) for pairs in found]

    async def _send_batch(
        self, proposals: Sequence[PresentationContextProposal], instances: Instances
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
