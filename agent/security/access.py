"""Who may open an association with which local application entity.

Nothing is trusted by default: an unknown called title, calling title or address is rejected with
the reason that PS3.8 Table 9-21 has for it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from agent.configuration.configuration import Configuration
from agent.configuration.entity import Accept, Entity, Service
from agent.configuration.peer import Peer
from agent.network.pdu import AssociateReject, AssociateRequest
from agent.network.rejection import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    LOCAL_LIMIT_EXCEEDED,
)

# (entity name, calling title or "", address or "") -> associations open now.
Counted = Callable[[str, str, str], int]


class Access:
    """The acceptance rules of a configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def decide(
        self, request: AssociateRequest, address: str, port: int, counted: Counted
    ) -> tuple[Entity, Peer | None] | AssociateReject:
        """The entity that is called and the configured peer that calls, or the rejection."""
        entity = self._called(request.called_ae_title.strip(), port)
        if entity is None:
            return CALLED_AE_TITLE_NOT_RECOGNIZED
        calling = request.calling_ae_title.strip()
        peer = self._configuration.peer_calling(calling)
        if not _may_call(entity.accept, calling, peer, address):
            return CALLING_AE_TITLE_NOT_RECOGNIZED
        limits = entity.limits
        if limits.associations and counted(entity.name, "", "") >= limits.associations:
            return LOCAL_LIMIT_EXCEEDED
        each = limits.associations_per_peer
        if each and counted(entity.name, calling, address) >= each:
            return LOCAL_LIMIT_EXCEEDED
        return entity, peer

    def services(
        self, request: AssociateRequest, address: str, entity: Entity
    ) -> tuple[Service, ...]:
        """The services of the entity that are open to this caller."""
        calling = request.calling_ae_title.strip()
        peer = self._configuration.peer_calling(calling)
        return tuple(
            each
            for each in entity.services
            if each.accept is None or _may_call(each.accept, calling, peer, address)
        )

    def _called(self, title: str, port: int) -> Entity | None:
        here = [each for each in self._configuration.entities if each.port == port]
        for entity in here:
            if entity.title == title:
                return entity
        return next((each for each in here if not each.accept.called_title), None)


def _may_call(accept: Accept, calling: str, peer: Peer | None, address: str) -> bool:
    if accept.calling != "any":
        known = calling in accept.calling_titles or (accept.calling == "peers" and peer is not None)
        if not known:
            return False
    if accept.networks and not any(_is_in(address, network) for network in accept.networks):
        return False
    if accept.peer_addresses and peer is not None:
        return address in {each.host for each in peer.addresses}
    return True


def _is_in(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return address == network
