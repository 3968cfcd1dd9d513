"""Who may open an association with which local application entity.

Nothing is trusted by default: an unknown called title, calling title or address is rejected with
the reason that PS3.8 Table 9-21 has for it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import NamedTuple

from agent.configuration.configuration import Configuration
from agent.configuration.entity import Accept, Entity, Service
from agent.configuration.identity import AcceptedIdentity
from agent.configuration.peer import Peer
from agent.network.pdu import AssociateReject
from agent.network.rejection import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    LOCAL_LIMIT_EXCEEDED,
)
from agent.security.applicant import Applicant

# (entity name, calling title or "", address or "") -> associations open now.
Counted = Callable[[str, str, str], int]


class Refusal(NamedTuple):
    """Why an association is refused, in a word, what the caller is told, and who was called."""

    reason: str
    reject: AssociateReject
    entity: str = ""


class Access:
    """The acceptance rules of a configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def decide(
        self, applicant: Applicant, port: int, counted: Counted
    ) -> tuple[Entity, Peer | None] | Refusal:
        """The entity that is called and the configured peer that calls, or the refusal."""
        entity = self.called(applicant.called, port)
        if entity is None:
            return Refusal("called", CALLED_AE_TITLE_NOT_RECOGNIZED)
        peer = self._configuration.peer_calling(applicant.calling)
        wrong = _wrong_of(entity.accept, applicant, peer)
        if wrong:
            return Refusal(wrong, CALLING_AE_TITLE_NOT_RECOGNIZED, entity.name)
        limits = entity.limits
        if limits.associations and counted(entity.name, "", "") >= limits.associations:
            return Refusal("limit", LOCAL_LIMIT_EXCEEDED, entity.name)
        each = limits.associations_per_peer
        if each and counted(entity.name, applicant.calling, applicant.address) >= each:
            return Refusal("limit", LOCAL_LIMIT_EXCEEDED, entity.name)
        return entity, peer

    def services(self, applicant: Applicant, entity: Entity) -> tuple[Service, ...]:
        """The services of the entity that are open to this caller."""
        peer = self._configuration.peer_calling(applicant.calling)
        by_title = applicant.called == entity.title
        return tuple(
            each
            for each in entity.services
            if each.accept is None
            or not (
                (each.accept.called_title and not by_title)
                or _wrong_of(each.accept, applicant, peer)
                or _lacks_identity(each.accept.identity, applicant)
            )
        )

    def called(self, title: str, port: int) -> Entity | None:
        """The entity that is called at this port by this title."""
        here = [each for each in self._configuration.entities if port in each.ports]
        for entity in here:
            if entity.title == title:
                return entity
        return next((each for each in here if not each.accept.called_title), None)


def _wrong_of(accept: Accept, applicant: Applicant, peer: Peer | None) -> str:
    """What about the caller keeps it from calling, in a word; "" when nothing does."""
    if accept.calling != "any":
        listed = applicant.calling in accept.calling_titles
        if not (listed or (accept.calling == "peers" and peer is not None)):
            return "calling"
    address = applicant.address
    if accept.networks and not any(_is_in(address, network) for network in accept.networks):
        return "network"
    if accept.peer_addresses and peer is not None:
        return "" if address in {each.host for each in peer.addresses} else "network"
    return ""


def _lacks_identity(wanted: AcceptedIdentity, applicant: Applicant) -> bool:
    return wanted.wanted == "required" and applicant.identity not in wanted.kinds


def _is_in(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]) in ipaddress.ip_network(network)
    except ValueError:
        return False
