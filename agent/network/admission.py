"""Whom a listener admits: what it asks, and what it is told."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.configuration.connection import Timers
from agent.network.association import Association
from agent.network.exchange import ServiceProvider
from agent.network.limits import UpperLayerLimits
from agent.network.negotiation import AcceptorOffer
from agent.network.pdu import AssociateAccept, AssociateReject, AssociateRequest
from agent.network.presentation_context import ACCEPTANCE
from agent.network.user_information import CommonExtendedNegotiation

if TYPE_CHECKING:
    from agent.network.peer_certificate import PeerCertificate


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as far as the transport connection tells."""

    address: str
    port: int
    certificate: PeerCertificate | None
    local_address: str
    local_port: int


@dataclass(frozen=True, slots=True)
class Admission:
    """What an association is admitted to.

    `providers` are found by what a context is served as: its abstract syntax, the service class
    UID that announced it, or "" (`AcceptorOffer.find`). `opened` and `closed` are told of it.
    `quick_acknowledge` overrides what the socket's options say of TCP_QUICKACK. `user` is who was
    verified to call (PS3.7 D.3.3.7), or "".
    """

    offer: AcceptorOffer
    providers: Mapping[str, ServiceProvider]
    timers: Timers = field(default_factory=Timers)
    entity: str = ""
    peer: str = ""
    user: str = ""
    quick_acknowledge: bool | None = None
    opened: Callable[[Association], None] | None = None
    closed: Callable[[Association], None] | None = None

    def providers_for(
        self, request: AssociateRequest, accept: AssociateAccept
    ) -> dict[int, ServiceProvider]:
        """Who performs what comes on each accepted context."""
        announced: dict[str, CommonExtendedNegotiation] = {}
        for item in request.user_information.common_extended:
            announced.setdefault(item.sop_class_uid, item)
        accepted = {
            each.identifier for each in accept.presentation_contexts if each.result == ACCEPTANCE
        }
        providers: dict[int, ServiceProvider] = {}
        for proposal in request.presentation_contexts:
            syntax = proposal.abstract_syntax
            if proposal.identifier not in accepted:
                continue
            found = self.offer.find(syntax, announced.get(syntax))
            provider = self.providers.get(found[0]) if found is not None else None
            if provider is not None:
                providers[proposal.identifier] = provider
        return providers


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """What peers can take of a listener. 0 in `waiting_per_host`: only `waiting` counts; 0 in
    `connections_per_second`: any number. Lengths in bytes; `response` bounds a data set in memory.
    """

    associations: int = 400
    waiting: int = 1024
    waiting_per_host: int = 0
    connections_per_second: int = 0
    command_set: int = 65536
    response: int = 1 << 20
    upper_layer: UpperLayerLimits = field(default_factory=UpperLayerLimits)


Decision = Admission | AssociateReject
# A coroutine where the decision must be waited for.
Admit = Callable[[AssociateRequest, Caller], Decision | Coroutine[Any, Any, Decision]]
