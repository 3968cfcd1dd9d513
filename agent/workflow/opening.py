"""Opening an association to a peer for the objects that wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent.configuration.configuration import Configuration
from agent.configuration.connection import Socket
from agent.configuration.peer import Peer
from agent.errors import UnreachableError
from agent.loop import Limit, current_loop, now
from agent.network.association import Association
from agent.network.presentation_context import PresentationContextProposal
from agent.network.resolution import Resolve
from agent.network.tls import client_context
from agent.network.transport import open_association
from agent.network.user_information import (
    ExtendedNegotiation,
    RoleSelection,
    UserInformation,
)
from agent.services.offer import implementation_of
from agent.services.storage import capability_of
from agent.services.storage_negotiation import common_extended_items, extended_items
from agent.workflow.fail_over import FailOver
from agent.workflow.turns import Turns, until_closed


class Opening:
    """Calls one peer, and remembers which of its addresses answers."""

    def __init__(self, peer: Peer, resolve: Resolve | None, turns: Turns) -> None:
        self._peer = peer
        self._turns = turns
        self._resolve = resolve
        self._fail_over = FailOver(peer.addresses, peer.first_again)

    async def open(
        self,
        configuration: Configuration,
        proposals: Sequence[PresentationContextProposal],
        *,
        roles: tuple[RoleSelection, ...] = (),
        extended: tuple[ExtendedNegotiation, ...] = (),
    ) -> Association:
        """An association with the first address that answers.

        `roles` and `extended` are proposed as they are, besides what storage negotiates. Where the
        peer can hold one association only, or its entity opens only so many, it is opened when one
        before is closed.

        Raises UnreachableError when none does; AssociationRejected and PeerError as
        `open_association`: an address that answers and says no is not passed over.
        ConfigurationError where the user identity that it wants cannot be read.
        """
        information = _information(
            self._peer,
            configuration,
            list(dict.fromkeys(each.abstract_syntax for each in proposals)),
        )
        information = replace(information, roles=roles, extended=(*information.extended, *extended))
        if self._peer.identity:
            from agent.workflow.presented_identity import presented_identity

            information = replace(information, user_identity=presented_identity(self._peer))
        held: list[Limit] = []
        try:
            for turn in self._turns.of(self._peer, configuration.entity(self._peer.entity)):
                await turn.acquire()
                held.append(turn)
            association = await self._call(configuration, proposals, information)
        except BaseException:
            for turn in held:
                turn.release()
            raise
        if held:
            current_loop().start_background(until_closed(association, held), "turn")
        return association

    async def _call(
        self,
        configuration: Configuration,
        proposals: Sequence[PresentationContextProposal],
        information: UserInformation,
    ) -> Association:
        last: UnreachableError | None = None
        for address in self._fail_over.order(now()):
            try:
                association = await open_association(
                    [address],
                    called_ae_title=self._peer.title,
                    calling_ae_title=self._peer.calling_title,
                    proposals=proposals,
                    information=information,
                    timers=self._peer.timers,
                    socket=_socket_of(self._peer),
                    ssl_context=client_context(self._peer.tls),
                    server_name=self._peer.tls.server_name if self._peer.tls else "",
                    longest_sent_pdu=self._peer.longest_sent_pdu,
                    response_limit=configuration.limits.data_set_in_memory,
                    resolve=self._resolve,
                )
            except UnreachableError as error:
                last = error
                continue
            self._fail_over.answered(address, now())
            if self._peer.identity:
                from agent.workflow.presented_identity import check_confirmation

                check_confirmation(self._peer, association)
            return association
        raise last or UnreachableError("the peer has no address", way_out="Give it one.")


def _socket_of(peer: Peer) -> Socket:
    """A peer with Nagle's algorithm on waits for our acknowledgement before each small piece."""
    return replace(peer.socket, quick_acknowledge=True) if peer.quirks.nagles else peer.socket


def _information(peer: Peer, configuration: Configuration, classes: list[str]) -> UserInformation:
    class_uid, version_name = implementation_of(configuration)
    entity = configuration.entity(peer.entity)
    storing = entity is not None and bool(entity.services_of("storage", "scp"))
    capability = capability_of(entity) if entity is not None and storing else None
    extended = not peer.quirks.plain_negotiation and (entity is None or entity.extended_negotiation)
    operations = peer.window.operations
    return UserInformation(
        peer.maximum_pdu,
        class_uid,
        version_name,
        asynchronous_operations_window=None if operations == 1 else (operations, 1),
        extended=extended_items(classes, capability) if extended else (),
        common_extended=common_extended_items(classes) if extended else (),
    )
