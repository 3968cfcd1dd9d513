"""Storing onward: an object is passed to another peer before its sender hears success.

For an entity that stands in front of a server and shall not promise more than that server does
(the statuses "not responding" and "not authorized" of the Sorna statement). What the server does
not take is not kept here either: the sender still has it, and tries again.
"""

from __future__ import annotations

from contextlib import suppress

from agent import observation
from agent.archive.decision import Origin
from agent.archive.decision import Verdict as Answer
from agent.archive.reception import Reception
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.configuration.peer import Peer
from agent.dataset.file_meta import read_file_meta
from agent.errors import GantryError, StatusReaction
from agent.loop import Limit, TimedOut, current_loop, sleep
from agent.network.association import Association, AssociationRejected
from agent.network.data_set import FileSource
from agent.network.negotiation import ContextNeed, propose
from agent.network.resolution import Resolve
from agent.network.status import SUCCESS, Category, category
from agent.quoting import Sentence, quoted
from agent.services.keeping import Keeper, Verdict
from agent.services.storage import c_store
from agent.services.storage_negotiation import Proposal, context_needs
from agent.workflow.opening import Opening
from agent.workflow.turns import Turns

__all__ = ["OnwardKeeper"]


class OnwardKeeper:
    """A keeper that asks the onward peer first, then keeps. One association, kept while used."""

    def __init__(
        self,
        keeper: Keeper,
        entity: Entity,
        peer: Peer,
        configuration: Configuration,
        resolve: Resolve | None,
        turns: Turns,
    ) -> None:
        self._keeper = keeper
        self._statuses = entity.status
        self._peer = peer
        self._configuration = configuration
        self._opening = Opening(peer, resolve, turns)
        self._turn = Limit(1)
        self._kept: Association | None = None
        self._used = 0

    def refusal(self) -> StatusReaction | None:
        return self._keeper.refusal()

    def receive(self, file_meta: bytes) -> Reception:
        reception: Reception = self._keeper.receive(file_meta)
        return reception

    async def commit(self, reception: Reception, origin: Origin) -> Verdict:
        """Success only when both have it; C003H or C004H (as configured) when the peer has not."""
        await self._turn.acquire()
        try:
            refused = await self._pass_on(reception, origin)
        finally:
            self._turn.release()
        if refused is not None:
            reception.discard()
            observation.warning(
                "object not taken onward",
                peer=self._peer.name,
                status=refused.comment,
            )
            return refused
        return await self._keeper.commit(reception, origin)

    async def _pass_on(self, reception: Reception, origin: Origin) -> Answer | None:
        meta = read_file_meta(reception.descriptor)
        syntax = meta.transfer_syntax_uid
        try:
            association = await self._association(origin.sop_class_uid, syntax)
            context = association.contexts.find(origin.sop_class_uid, syntax, scu=True)
            if context is None:
                return Answer(
                    self._statuses.onward_refused, Sentence("Server does not take this class")
                )
            response = await c_store(
                association,
                context,
                origin.sop_class_uid,
                origin.sop_instance_uid,
                FileSource(reception.descriptor, meta.data_set_offset),
            )
        except AssociationRejected as error:
            return Answer(
                self._statuses.onward_refused,
                Sentence(f"Server refuses us: {quoted(error.message)}"),
            )
        except GantryError as error:
            await self._let_go()
            return Answer(
                self._statuses.onward_silent,
                Sentence(f"Server not responding: {quoted(error.message)}"),
            )
        if category(response.status) in (Category.SUCCESS, Category.WARNING):
            return None
        if category(response.status) is Category.FAILURE and response.status != SUCCESS:
            said = Sentence(f"Server: {quoted(response.words)}")
            return Answer(response.status, said, response.offending_elements)
        return Answer(self._statuses.onward_silent, Sentence("Server gave no final answer"))

    async def _association(self, sop_class: str, syntax: str) -> Association:
        kept = self._kept
        self._used += 1
        if kept is not None and kept.is_open and kept.contexts.find(sop_class, syntax, scu=True):
            return kept
        await self._let_go()
        needs = context_needs(
            [(sop_class, syntax)], Proposal(conversion=False, fall_back=False)
        ) or [ContextNeed(sop_class, (syntax,))]
        self._kept = await self._opening.open(self._configuration, propose(needs)[0])
        current_loop().start_background(self._release_when_idle(self._kept), "onward")
        return self._kept

    async def _release_when_idle(self, association: Association) -> None:
        used = -1
        with suppress(TimedOut):
            while association.is_open and used != self._used:
                used = self._used
                await sleep(max(1.0, self._peer.window.idle))
        if self._kept is association:
            await self._let_go()

    async def _let_go(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.release()
