"""The services of retrieval, as profiles name them: C-MOVE and C-GET of annexes C, Y and Z."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.configuration.entity import Entity
from agent.dataset.sop_classes import (
    COMPOSITE_INSTANCE_ROOT_GET,
    COMPOSITE_INSTANCE_ROOT_MOVE,
    PATIENT_ROOT_GET,
    PATIENT_ROOT_MOVE,
    PATIENT_STUDY_ONLY_GET,
    PATIENT_STUDY_ONLY_MOVE,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    WITHOUT_BULK_DATA_GET,
)
from agent.network.negotiation import ExtendedAnswer
from agent.services.service import Service, Support

if TYPE_CHECKING:
    from agent.network.association import ServiceProvider

_OF_INSTANCES = (COMPOSITE_INSTANCE_ROOT_MOVE, COMPOSITE_INSTANCE_ROOT_GET, WITHOUT_BULK_DATA_GET)


def provider(entity: Entity, support: Support) -> ServiceProvider:
    # Imported where something can be retrieved: most nodes only send what they hold.
    from agent.services.retrieval_provider import RetrievalProvider

    return RetrievalProvider(entity, support.retrievals_of(entity))


def _extended(entity: Entity, sop_class: str) -> ExtendedAnswer | None:
    from agent.services.retrieval_provider import relational_answer

    relational = entity.retrieval.relational and sop_class not in _OF_INSTANCES

    def answer(information: bytes) -> bytes | None:
        return relational_answer(information, relational=relational)

    return answer


def _service(
    name: str,
    meaning: str,
    clause: str,
    classes: tuple[str, ...],
    retired: tuple[str, ...] = (),
    *,
    get: bool = False,
) -> Service:
    return Service(
        name=name,
        meaning=meaning,
        clause=clause,
        roles=("scu", "scp"),
        sop_classes=frozenset((*classes, *retired)),
        default_sop_classes=classes,
        provider=provider,
        extended=_extended,
        stores_in_return=get,
    )


SERVICES = (
    _service(
        "move",
        "C-MOVE: have objects sent to somebody",
        "C",
        (PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE),
        (PATIENT_STUDY_ONLY_MOVE,),
    ),
    _service(
        "get",
        "C-GET: have objects sent back",
        "C",
        (PATIENT_ROOT_GET, STUDY_ROOT_GET),
        (PATIENT_STUDY_ONLY_GET,),
        get=True,
    ),
    _service(
        "instance-move",
        "C-MOVE of instances by UID, and of frames",
        "Y",
        (COMPOSITE_INSTANCE_ROOT_MOVE,),
    ),
    _service(
        "instance-get",
        "C-GET of instances by UID, and of frames",
        "Y",
        (COMPOSITE_INSTANCE_ROOT_GET,),
        get=True,
    ),
    _service(
        "get-without-bulk-data",
        "C-GET of instances without pixel data and other bulk data",
        "Z",
        (WITHOUT_BULK_DATA_GET,),
        get=True,
    ),
)
