"""What services need of the node, and where it comes from."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.loop import Limit
from agent.services.event_logging import EventLogs
from agent.services.instance_availability import Availabilities
from agent.services.keeping import Keeper
from agent.services.media_creation import MediaRequests
from agent.services.modality_worklist import Worklist
from agent.services.performed_procedure_step import Steps
from agent.services.storage_commitment import Commitments
from agent.workflow.procedure_keeping import (
    AvailabilityKeeping,
    CommitmentKeeping,
    StepKeeping,
)
from agent.workflow.worklist_answers import FolderWorklist

if TYPE_CHECKING:
    from agent.node import Node
    from agent.services.inventory_creation import Inventories
    from agent.services.query import Queries
    from agent.services.retrieval import Retrievals


@dataclass(frozen=True, slots=True)
class NodeSupport:
    """What services need of the node."""

    node: Node
    configuration: Configuration
    keepers: Mapping[str, Keeper]
    implementation_class_uid: str
    implementation_version_name: str
    object_size: int

    @property
    def timezone(self) -> int:
        return time.localtime().tm_gmtoff // 60

    def keeper_of(self, entity: Entity) -> Keeper:
        return self.keepers[entity.name]

    def worklist_of(self, entity: Entity) -> Worklist:
        return FolderWorklist(entity.worklist.folder, self.node.pool)

    def queries_of(self, entity: Entity) -> Queries:
        from agent.workflow.query_answers import ArchiveQueries

        return ArchiveQueries(self.configuration, self.node.archives[entity.archive])

    def steps_of(self, entity: Entity) -> Steps:
        archive = self.node.archives[entity.archive]
        return StepKeeping(entity, archive, self.node.pool, self.node.wake_errands)

    def commitments_of(self, entity: Entity) -> Commitments:
        archive = self.node.archives[entity.archive]
        return CommitmentKeeping(entity, self.configuration, archive, self.node.wake_errands)

    def availabilities_of(self, entity: Entity) -> Availabilities:
        return AvailabilityKeeping()

    def events_of(self, entity: Entity) -> EventLogs:
        # Imported where events are logged: most nodes log none.
        from agent.workflow.event_keeping import EventKeeping

        return EventKeeping(
            entity,
            self.node.archives[entity.archive],
            self.keepers[entity.name],
            self.node.pool,
            (self.implementation_class_uid, self.implementation_version_name),
            self.node.log_turns.setdefault(entity.archive, Limit(1)),
        )

    def inventories_of(self, entity: Entity) -> Inventories:
        return self.node.inventories.of(entity)

    def retrievals_of(self, entity: Entity) -> Retrievals:
        return self.node.retrievals_of(entity, self.configuration)

    def media_requests_of(self, entity: Entity) -> MediaRequests:
        return self.node.desk.creation.of(entity)
