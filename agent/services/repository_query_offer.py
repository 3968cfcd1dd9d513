"""What repository queries are to the rest of the house (PS3.4 C.6.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.configuration.entity import Entity
from agent.dataset.sop_classes import REPOSITORY_QUERY
from agent.network.negotiation import ExtendedAnswer
from agent.services.service import Service, Support

if TYPE_CHECKING:
    from agent.services.repository_query import RepositoryQueryProvider


def _provider(entity: Entity, support: Support) -> RepositoryQueryProvider:
    from agent.services.repository_query import RepositoryQueryProvider

    return RepositoryQueryProvider(entity, support)


def _extended(entity: Entity, sop_class: str) -> ExtendedAnswer:
    from agent.services.query import extended_answer

    return extended_answer(entity)


SERVICE = Service(
    name="repository-query",
    meaning="C-FIND: all that is in the archive, in pieces that go on from one another",
    clause="C",
    roles=("scu", "scp"),
    sop_classes=frozenset((REPOSITORY_QUERY,)),
    default_sop_classes=(REPOSITORY_QUERY,),
    provider=_provider,
    extended=_extended,
)
