"""What a service class is to the rest of the house: a description, and a maker of providers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agent.errors import LocalError

if TYPE_CHECKING:
    from agent.configuration.entity import Entity
    from agent.network.association import ServiceProvider
    from agent.network.negotiation import ExtendedAnswer
    from agent.services.event_logging import EventLogs
    from agent.services.instance_availability import Availabilities
    from agent.services.inventory_creation import Inventories
    from agent.services.keeping import Keeper
    from agent.services.media_creation import MediaRequests
    from agent.services.modality_worklist import Worklist
    from agent.services.performed_procedure_step import Steps
    from agent.services.query import Queries
    from agent.services.retrieval import Retrievals
    from agent.services.storage_commitment import Commitments


class Support(Protocol):
    """What services need of higher floors; the node hands it in."""

    @property
    def implementation_class_uid(self) -> str: ...
    @property
    def implementation_version_name(self) -> str: ...
    @property
    def object_size(self) -> int:
        """The most bytes of one object; 0: what its keeper takes."""

    @property
    def timezone(self) -> int:
        """Our own offset from UTC, in minutes."""

    def keeper_of(self, entity: Entity) -> Keeper:
        """Who keeps what this entity receives."""

    def worklist_of(self, entity: Entity) -> Worklist:
        """The worklist that this entity answers from."""

    def queries_of(self, entity: Entity) -> Queries:
        """Who answers the queries that are asked of this entity."""

    def steps_of(self, entity: Entity) -> Steps:
        """Who keeps the performed procedure steps that are reported to this entity."""

    def commitments_of(self, entity: Entity) -> Commitments:
        """Who answers for storage commitment in the name of this entity."""

    def availabilities_of(self, entity: Entity) -> Availabilities:
        """Who is told what has become available elsewhere."""

    def events_of(self, entity: Entity) -> EventLogs:
        """Who keeps the events that are reported to this entity."""

    def media_requests_of(self, entity: Entity) -> MediaRequests:
        """Who keeps the media creation requests that are made of this entity."""

    def inventories_of(self, entity: Entity) -> Inventories:
        """Who makes the inventories that are asked of this entity."""

    def retrievals_of(self, entity: Entity) -> Retrievals:
        """Who performs what is retrieved from this entity."""


class StorageSupport:
    """For programs that offer Verification and Storage only, and keep objects in one place."""

    implementation_class_uid = ""
    implementation_version_name = ""
    object_size = 0
    timezone = 0

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def keeper_of(self, entity: Entity) -> Keeper:
        return self._keeper

    def worklist_of(self, entity: Entity) -> Worklist:
        raise LocalError("There is no worklist here.")

    def queries_of(self, entity: Entity) -> Queries:
        raise LocalError("There is nothing to be queried here.")

    def steps_of(self, entity: Entity) -> Steps:
        raise LocalError("Nobody keeps performed procedure steps here.")

    def commitments_of(self, entity: Entity) -> Commitments:
        raise LocalError("Nobody commits to storage here.")

    def availabilities_of(self, entity: Entity) -> Availabilities:
        raise LocalError("Nobody is told of availability here.")

    def events_of(self, entity: Entity) -> EventLogs:
        raise LocalError("Nobody logs events here.")

    def media_requests_of(self, entity: Entity) -> MediaRequests:
        raise LocalError("Nobody makes media here.")

    def inventories_of(self, entity: Entity) -> Inventories:
        raise LocalError("Nobody makes inventories here.")

    def retrievals_of(self, entity: Entity) -> Retrievals:
        raise LocalError("Nothing can be retrieved here.")


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
    `called_as_scu` says that the SCP may open an association to us, its SCU (J.3.3.1.2).
    `stores_in_return` says that as SCP we are SCU of Storage on the same association (C.4.3).
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
    called_as_scu: bool = False
    stores_in_return: bool = False
