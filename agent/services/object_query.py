"""Query and retrieval of non-patient objects, both roles (PS3.4 U, X, BB, HH, II, JJ).

Hanging protocols, colour palettes, implant templates, defined procedure protocols, protocol
approvals and inventories: one level, asked as a worklist is (K.4.1, K.5), retrieved by SOP Instance
UID alone.
"""

from __future__ import annotations

from agent.archive.matching_rules import MatchingRules
from agent.archive.object_models import OBJECT_MODEL_NAMES
from agent.archive.query_records import Question
from agent.configuration.entity import Entity
from agent.network.association import Association, IncomingRequest
from agent.network.data_set import MemorySink
from agent.network.negotiation import ExtendedAnswer
from agent.network.user_information import ExtendedNegotiation
from agent.services import retrieval_services
from agent.services.data_sets import extended_information
from agent.services.query import QueryProvider
from agent.services.service import Service, Support

FUZZY, TIMEZONE = 2, 3
"""Bytes of the extended negotiation item; the first two are reserved and always 1 (K.5.1.1)."""

_MODELS = tuple(OBJECT_MODEL_NAMES.values())


def object_extended(
    sop_class_uid: str, *, fuzzy: bool = False, timezone: bool = False
) -> ExtendedNegotiation | None:
    """The item of the request: three bytes, or four where the timezone matters; None: none."""
    if not (fuzzy or timezone):
        return None
    information = bytes((1, 1, int(fuzzy))) + (b"\1" if timezone else b"")
    return ExtendedNegotiation(sop_class_uid, information)


def agreed_on(association: Association, sop_class_uid: str) -> tuple[bool, bool]:
    """Whether fuzzy matching of names, and timezone adjustment, were agreed on (K.5.1.1)."""
    said = extended_information(association, sop_class_uid)
    return said[FUZZY : FUZZY + 1] == b"\1", said[TIMEZONE : TIMEZONE + 1] == b"\1"


class ObjectQueryProvider(QueryProvider):
    """Answers C-FIND of one level, as a worklist matches."""

    def _question(self, request: IncomingRequest) -> Question:
        # Imported where such a query is asked: the tables are long.
        from agent.archive.object_keys import combined
        from agent.archive.object_models import OBJECT_MODELS

        sop_class_uid = request.context.abstract_syntax
        fuzzy, timezone = agreed_on(request.association, sop_class_uid)
        rules = MatchingRules(
            # K.2.2.1.1.1: an unknown value fails to match any key but the universal one.
            unknown_matches=False,
            date_times=combined(OBJECT_MODELS[sop_class_uid]),
            fuzzy_names=fuzzy,
            timezone=self._support.timezone if timezone else None,
        )
        sink = request.sink
        return Question(
            sop_class_uid,
            sink.value if isinstance(sink, MemorySink) else b"",
            request.context.transfer_syntax,
            self._title,
            rules,
        )


def _provider(entity: Entity, support: Support) -> ObjectQueryProvider:
    return ObjectQueryProvider(entity, support)


def _extended(entity: Entity, sop_class: str) -> ExtendedAnswer:
    def answer(asked: bytes) -> bytes | None:
        # Three bytes are answered by three, and a fourth only where one was sent (K.5.1).
        if len(asked) < 3:
            return None
        said = bytes((1, 1, int(asked[FUZZY] == 1)))
        return said + bytes((int(asked[TIMEZONE] == 1),)) if len(asked) > 3 else said

    return answer


def _classes(operation: str) -> tuple[str, ...]:
    return tuple(getattr(each, operation) for each in _MODELS)


SERVICES = (
    Service(
        name="non-patient-query",
        meaning="C-FIND: hanging protocols, palettes, templates, protocols, inventories",
        clause="U",
        roles=("scu", "scp"),
        sop_classes=frozenset(_classes("find")),
        default_sop_classes=_classes("find"),
        provider=_provider,
        extended=_extended,
    ),
    Service(
        name="non-patient-move",
        meaning="C-MOVE of hanging protocols, palettes, templates, protocols, inventories",
        clause="U",
        roles=("scu", "scp"),
        sop_classes=frozenset(_classes("move")),
        default_sop_classes=_classes("move"),
        provider=retrieval_services.provider,
    ),
    Service(
        name="non-patient-get",
        meaning="C-GET of hanging protocols, palettes, templates, protocols, inventories",
        clause="U",
        roles=("scu", "scp"),
        sop_classes=frozenset(_classes("get")),
        default_sop_classes=_classes("get"),
        provider=retrieval_services.provider,
        stores_in_return=True,
    ),
)
