"""What Inventory Creation is to the rest of the house (PS3.4 KK.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.configuration.entity import Entity
from agent.dataset.sop_classes import INVENTORY_CREATION
from agent.services.service import Service, Support

if TYPE_CHECKING:
    from agent.services.inventory_creation import InventoryCreationProvider


def _provider(entity: Entity, support: Support) -> InventoryCreationProvider:
    from agent.services.inventory_creation import InventoryCreationProvider

    return InventoryCreationProvider(support.inventories_of(entity))


SERVICE = Service(
    name="inventory-creation",
    meaning="N-ACTION, N-EVENT-REPORT: an inventory of the archive",
    clause="KK",
    roles=("scu", "scp"),
    sop_classes=frozenset((INVENTORY_CREATION,)),
    default_sop_classes=(INVENTORY_CREATION,),
    provider=_provider,
)
