"""The front door: where associations come in, and what each caller is offered.

It follows the configuration: after a reload, addresses that went are closed and new ones opened,
associations go on, and new ones are admitted by the new rules.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from agent import observation
from agent.configuration.configuration import Configuration
from agent.configuration.connection import Socket, Timers, Tls
from agent.configuration.entity import Entity
from agent.errors import ConfigurationError, GantryError
from agent.network.association import Association
from agent.network.exchange import ServiceProvider
from agent.network.limits import UpperLayerLimits
from agent.network.negotiation import AcceptorOffer
from agent.network.pdu import AssociateReject, AssociateRequest
from agent.network.rejection import LOCAL_LIMIT_EXCEEDED
from agent.network.tls import server_context
from agent.network.transport import Admission, Caller, Listener, ListenerLimits
from agent.security.access import Access
from agent.services.offer import abstract_syntaxes_of, offer_of, providers_of
from agent.services.service import Support

# What decides how an address listens: where two entities share one, these are the same.
_Listening = tuple[Socket, Tls | None, Timers]


class FrontDoor:
    """All listening addresses of a node, and the admission of who calls there."""

    def __init__(
        self,
        configuration: Configuration,
        support: Callable[[Configuration], Support],
        is_short_of_memory: Callable[[], bool] = lambda: False,
    ) -> None:
        self.ports: dict[str, int] = {}
        self._configuration = configuration
        self._support = support
        self._is_short_of_memory = is_short_of_memory
        self._access = Access(configuration)
        self._bound: dict[tuple[str, int], _Listening] = {}
        self._offers: dict[tuple[str, frozenset[str]], AcceptorOffer] = {}
        self._providers: dict[str, Mapping[str, ServiceProvider]] = {}
        self.listener = Listener(self._admit, limits=_limits_of(configuration))
        self._prepare()

    @property
    def associations(self) -> set[Association]:
        """Those that others opened with us."""
        return self.listener.associations

    def open(self) -> None:
        """Listen on every address. Raises ConfigurationError when one cannot be had."""
        for (address, port), entity in self._wanted().items():
            self._bind(entity, address, port)

    def follow(self, configuration: Configuration) -> None:
        """Go by another configuration; an address that cannot be had is logged, not raised."""
        self._configuration = configuration
        self._access = Access(configuration)
        self.listener.limits = _limits_of(configuration)
        self._prepare()
        wanted = self._wanted()
        for place, listening in list(self._bound.items()):
            entity = wanted.get(place)
            if entity is None or _listening_of(entity) != listening:
                self.listener.unbind(*place)
                del self._bound[place]
                observation.notice("no longer listening", address=place[0], port=place[1])
        self.ports = {e.name: e.port for e in configuration.entities if e.port}
        for (address, port), entity in wanted.items():
            if (address, port) not in self._bound:
                try:
                    self._bind(entity, address, port)
                except GantryError as error:
                    observation.error("cannot listen", entity=entity.name, error=error)

    async def drain(self, seconds: float) -> None:
        """No new associations; those that run may end within the time, then they are aborted."""
        await self.listener.drain(seconds)

    def _wanted(self) -> dict[tuple[str, int], Entity]:
        found: dict[tuple[str, int], Entity] = {}
        for entity in self._configuration.entities:
            for address in entity.bind_addresses if entity.port else ():
                found.setdefault((address, entity.port), entity)
        return found

    def _bind(self, entity: Entity, address: str, port: int) -> None:
        try:
            self.listener.bind(
                address,
                port,
                socket=entity.socket,
                ssl_context=server_context(entity.tls),
                timers=entity.timers,
            )
        except OSError as error:
            if address == "::" and "0.0.0.0" in entity.bind_addresses:
                return  # a kernel without IPv6
            raise ConfigurationError(
                f"{entity.name} cannot listen on {address} port {port}: {error.strerror}",
                way_out="Give it another port, or stop what listens there.",
            ) from error
        self._bound[address, port] = _listening_of(entity)
        self.ports[entity.name] = port

    def _prepare(self) -> None:
        support = self._support(self._configuration)
        self._offers.clear()
        self._providers = {
            entity.name: providers_of(entity, support) for entity in self._configuration.entities
        }

    # Admission.

    def _admit(self, request: AssociateRequest, caller: Caller) -> Admission | AssociateReject:
        if self._is_short_of_memory():
            return LOCAL_LIMIT_EXCEEDED
        found = self._access.decide(request, caller.address, caller.local_port, self._counted)
        if isinstance(found, AssociateReject):
            return found
        entity, peer = found
        wanted = {each.abstract_syntax for each in request.presentation_contexts}
        open_to_caller = self._access.services(request, caller.address, entity)
        window = entity.limits.operations_performed
        for table in open_to_caller:
            if not (table.associations or table.operations):
                continue
            if not wanted & abstract_syntaxes_of(entity, table):
                continue
            if table.associations and self._using(entity, table.name) >= table.associations:
                # Transient: another time there is room, and a sender tries again.
                return LOCAL_LIMIT_EXCEEDED
            if table.operations:
                window = min(window or table.operations, table.operations)
        names = frozenset(each.name for each in open_to_caller)
        offer = self._offer(entity, names)
        if window != entity.limits.operations_performed:
            invoked = offer.asynchronous_operations_window[1]
            offer = dataclasses.replace(offer, asynchronous_operations_window=(window, invoked))
        return Admission(
            offer,
            self._providers[entity.name],
            entity.timers,
            entity=entity.name,
            peer=peer.name if peer is not None else "",
            quick_acknowledge=True if peer is not None and peer.quirks.nagles else None,
        )

    def _offer(self, entity: Entity, services: frozenset[str]) -> AcceptorOffer:
        """What the entity offers with these of its services."""
        found = self._offers.get((entity.name, services))
        if found is None:
            open_services = tuple(each for each in entity.services if each.name in services)
            narrowed = dataclasses.replace(entity, services=open_services)
            found = self._offers[entity.name, services] = offer_of(narrowed, self._configuration)
        return found

    def _using(self, entity: Entity, service: str) -> int:
        """Associations with this entity on which a class of this service was accepted."""
        table = next(each for each in entity.services if each.name == service)
        classes = abstract_syntaxes_of(entity, table)
        return sum(
            each.entity == entity.name
            and any(context.abstract_syntax in classes for context in each.contexts.values())
            for each in self.associations
        )

    def _counted(self, entity: str, calling: str, address: str) -> int:
        return sum(
            each.entity == entity
            and (not calling or (each.calling_ae_title == calling and each.address == address))
            for each in self.associations
        )


def _listening_of(entity: Entity) -> _Listening:
    return entity.socket, entity.tls, entity.timers


def _limits_of(configuration: Configuration) -> ListenerLimits:
    limits = configuration.limits
    return ListenerLimits(
        associations=limits.associations,
        waiting=limits.waiting_connections,
        waiting_per_host=limits.waiting_connections_per_host,
        connections_per_second=limits.connections_per_second,
        command_set=limits.command_set,
        response=limits.data_set_in_memory,
        upper_layer=UpperLayerLimits(maximum_associate_length=limits.association_request),
    )
