"""What a service class is to the rest of the house: a description, and a maker of providers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agent.configuration.entity import Entity
    from agent.network.association import ServiceProvider
    from agent.network.negotiation import ExtendedAnswer
    from agent.services.keeping import Keeper


class Support(Protocol):
    """What services need of higher floors; the node hands it in."""

    @property
    def implementation_class_uid(self) -> str: ...
    @property
    def implementation_version_name(self) -> str: ...
    @property
    def object_size(self) -> int:
        """The most bytes of one object; 0: what its keeper takes."""

    def keeper_of(self, entity: Entity) -> Keeper:
        """Who keeps what this entity receives."""


def no_extended_negotiation(entity: Entity, sop_class: str) -> ExtendedAnswer | None:
    """For services that use no SOP Class Extended Negotiation."""
    return None


@dataclass(frozen=True, slots=True)
class Service:
    """A service class of PS3.4, as a module of `agent.services` describes itself.

    `name` is what a profile writes. `roles` says what Gantry can play of "scu" and "scp".
    `sop_classes` are the classes that belong to it, `default_sop_classes` those that an entity
    offers when it names none, in order. `provider` makes the performer of its DIMSE operations,
    `extended` the answer to SOP Class Extended Negotiation for one of its classes. `any_class`
    says that classes which no registry knows can be served too (Storage: PS3.4 B.4.1.2).
    """

    name: str
    meaning: str
    clause: str
    roles: tuple[str, ...]
    sop_classes: frozenset[str]
    default_sop_classes: tuple[str, ...]
    provider: Callable[[Entity, Support], ServiceProvider]
    extended: Callable[[Entity, str], ExtendedAnswer | None] = no_extended_negotiation
    any_class: bool = False
