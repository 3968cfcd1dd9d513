"""The front door: where associations come in; `agent.admittance` says what each caller is offered.

It follows the configuration: after a reload, addresses that went are closed and new ones opened,
associations go on, and new ones are admitted by the new rules.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from agent import observation
from agent.admittance import Admittance
from agent.configuration.configuration import Configuration
from agent.configuration.connection import Socket, Timers, Tls
from agent.configuration.entity import Entity
from agent.errors import ConfigurationError, GantryError, LocalError
from agent.network.association import Association
from agent.network.limits import UpperLayerLimits
from agent.network.tls import ServerContexts
from agent.network.transport import Listener, ListenerLimits
from agent.services.service import Support

if TYPE_CHECKING:
    from agent.network.handed_sockets import HandedSockets
    from agent.security.identity_verification import Call

# What decides how an address listens: where two entities share one, these are the same.
_Listening = tuple[Socket, Tls | None, Timers]


class FrontDoor:
    """All listening addresses of a node, and the admission of who calls there."""

    def __init__(
        self,
        configuration: Configuration,
        support: Callable[[Configuration], Support],
        is_short_of_memory: Callable[[], bool],
        call: Call,
    ) -> None:
        self.ports: dict[str, int] = {}
        self._configuration = configuration
        self._bound: dict[tuple[str, int], _Listening] = {}
        self.admittance = Admittance(
            configuration, support, lambda: self.associations, is_short_of_memory, call
        )
        self.listener = Listener(self.admittance.admit, limits=_limits_of(configuration))
        self.listener.lets_in = self.admittance.lets_in
        self.listener.failed = self.admittance.failed

    @property
    def associations(self) -> set[Association]:
        """Those that others opened with us."""
        return self.listener.associations

    def open(self) -> None:
        """Listen on every address. Raises ConfigurationError where that is not allowed, LocalError
        where an address cannot be had now."""
        handed = self._take_what_is_handed_over()
        for (address, port), entity in self._wanted().items():
            self._bind(entity, address, port)
        if handed is not None:
            handed.refuse_the_rest()

    def _take_what_is_handed_over(self) -> HandedSockets | None:
        if "LISTEN_FDS" not in os.environ:
            return None
        from agent.network.handed_sockets import HandedSockets
        from hal.activation import handed_over

        handed = HandedSockets(handed_over())
        self.listener.sockets = handed
        return handed

    def follow(self, configuration: Configuration) -> None:
        """Go by another configuration; an address that cannot be had is logged, not raised."""
        self._configuration = configuration
        self.admittance.follow(configuration)
        self.listener.limits = _limits_of(configuration)
        wanted = self._wanted()
        for place, listening in list(self._bound.items()):
            entity = wanted.get(place)
            if entity is None or _listening_of(entity, place[1]) != listening:
                self.listener.unbind(*place)
                del self._bound[place]
                observation.notice("no longer listening", address=place[0], port=place[1])
        self.ports = {_place(e, port): port for e in configuration.entities for port in e.ports}
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
            for port in entity.ports:
                addresses = entity.bind_addresses
                # One socket that systemd has bound may be for all addresses of both versions.
                both = "::" in addresses and self.listener.sockets.serves_both(port)
                for address in addresses:
                    if address != "0.0.0.0" or not both:
                        found.setdefault((address, port), entity)
        return found

    def _bind(self, entity: Entity, address: str, port: int) -> None:
        tls = entity.ports[port]
        try:
            self.listener.bind(
                address,
                port,
                socket=entity.socket,
                secured=ServerContexts(tls) if tls is not None else None,
                timers=entity.timers,
            )
        except OSError as error:
            if address == "::" and "0.0.0.0" in entity.bind_addresses:
                return  # a kernel without IPv6
            told = f"{entity.name} cannot listen on {address} port {port}: {error.strerror}"
            if error.errno == errno.EACCES:
                way_out = "Have systemd open ports below 1024: add it to gantry.socket."
                raise ConfigurationError(told, way_out=way_out) from error
            way_out = "Give it another port, or stop what listens there."
            raise LocalError(told, way_out=way_out) from error
        self._bound[address, port] = _listening_of(entity, port)
        self.ports[_place(entity, port)] = port


def _listening_of(entity: Entity, port: int) -> _Listening:
    return entity.socket, entity.ports[port], entity.timers


def _place(entity: Entity, port: int) -> str:
    """By which name `ports` tells of it."""
    return entity.name if port == entity.port else f"{entity.name}_tls"


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
