"""What query and retrieval of non-patient objects are to the rest of the house (PS3.4 U, X, BB, HH,
II, JJ).

What they do is imported where an entity offers them: most nodes answer no queries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.configuration.entity import Entity
from agent.dataset.sop_classes import SOP_CLASSES, ServiceClass
from agent.network.negotiation import ExtendedAnswer
from agent.services import retrieval_services
from agent.services.service import Service, Support

if TYPE_CHECKING:
    from agent.services.object_query import ObjectQueryProvider

_ANNEXES = frozenset(
    (
        ServiceClass.HANGING_PROTOCOL_QUERY_RETRIEVE,
        ServiceClass.COLOR_PALETTE_QUERY_RETRIEVE,
        ServiceClass.IMPLANT_TEMPLATE_QUERY_RETRIEVE,
        ServiceClass.DEFINED_PROCEDURE_PROTOCOL_QUERY_RETRIEVE,
        ServiceClass.PROTOCOL_APPROVAL_QUERY_RETRIEVE,
        ServiceClass.INVENTORY_QUERY_RETRIEVE,
    )
)
_OBJECTS = "hanging protocols, palettes, templates, protocols, inventories"


def _classes(operation: str) -> tuple[str, ...]:
    return tuple(
        uid
        for uid, row in SOP_CLASSES.items()
        if row.service in _ANNEXES and row.name.endswith(f"- {operation}")
    )


def _provider(entity: Entity, support: Support) -> ObjectQueryProvider:
    from agent.services.object_query import ObjectQueryProvider

    return ObjectQueryProvider(entity, support)


def _extended(entity: Entity, sop_class: str) -> ExtendedAnswer:
    from agent.services.object_query import extended_answer

    return extended_answer


SERVICES = (
    Service(
        name="non-patient-query",
        meaning=f"C-FIND: {_OBJECTS}",
        clause="U",
        roles=("scu", "scp"),
        sop_classes=frozenset(_classes("FIND")),
        default_sop_classes=_classes("FIND"),
        provider=_provider,
        extended=_extended,
    ),
    Service(
        name="non-patient-move",
        meaning=f"C-MOVE: {_OBJECTS}",
        clause="U",
        roles=("scu", "scp"),
        sop_classes=frozenset(_classes("MOVE")),
        default_sop_classes=_classes("MOVE"),
        provider=retrieval_services.provider,
    ),
    Service(
        name="non-patient-get",
        meaning=f"C-GET: {_OBJECTS}",
        clause="U",
        roles=("scu", "scp"),
        sop_classes=frozenset(_classes("GET")),
        default_sop_classes=_classes("GET"),
        provider=retrieval_services.provider,
        stores_in_return=True,
    ),
)
