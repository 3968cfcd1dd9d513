"""What Query/Retrieve's C-FIND is to the rest of the house (PS3.4 C.4.1, C.6).

What it does is imported where an entity offers it: most nodes answer no queries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.configuration.entity import Entity
from agent.dataset.sop_classes import PATIENT_ROOT_FIND, PATIENT_STUDY_ONLY_FIND, STUDY_ROOT_FIND
from agent.network.negotiation import ExtendedAnswer
from agent.services.service import Service, Support

if TYPE_CHECKING:
    from agent.services.query import QueryProvider


def _provider(entity: Entity, support: Support) -> QueryProvider:
    from agent.services.query import QueryProvider

    return QueryProvider(entity, support)


def _extended(entity: Entity, sop_class: str) -> ExtendedAnswer:
    from agent.services.query import extended_answer

    return extended_answer(entity)


SERVICE = Service(
    name="query",
    meaning="C-FIND: patients, studies, series and instances of the archive",
    clause="C",
    roles=("scu", "scp"),
    sop_classes=frozenset((PATIENT_ROOT_FIND, STUDY_ROOT_FIND, PATIENT_STUDY_ONLY_FIND)),
    default_sop_classes=(PATIENT_ROOT_FIND, STUDY_ROOT_FIND),
    provider=_provider,
    extended=_extended,
)
