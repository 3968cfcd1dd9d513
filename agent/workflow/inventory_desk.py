"""The inventories that peers ask for; what makes them is imported where an entity offers that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from agent.archive.archive import Archive
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.loop.workers import WorkerPool
from agent.workflow.made_late import MadeLate

if TYPE_CHECKING:
    from agent.services.inventory_creation import Inventories
    from agent.workflow.inventory_production import InventoryProduction


class InventoryDesk:
    """Those of a node."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        archives: Mapping[str, Archive],
        pool: WorkerPool,
        wake: Callable[[str], None],
    ) -> None:
        """`wake` is told of a peer that there are events for it; of "", objects to deliver."""
        self._configuration = configuration
        self._archives = archives
        self._pool = pool
        self._wake = wake
        self._production = MadeLate(self._new_production)

    def of(self, entity: Entity) -> Inventories:
        """What is asked of this entity."""
        return self._production.get().of(entity)

    async def run(self) -> None:
        """Until cancelled: it begins when an entity offers it."""
        await (await self._production.needed()).run()

    def _new_production(self) -> InventoryProduction:
        from agent.workflow.inventory_production import InventoryProduction

        return InventoryProduction(self._configuration, self._archives, self._pool, self._wake)
