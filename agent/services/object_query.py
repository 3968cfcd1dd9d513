"""Queries of non-patient objects, both roles (PS3.4 U, X, BB, HH, II, JJ).

Hanging protocols, colour palettes, implant templates, defined procedure protocols, protocol
approvals and inventories: one level, negotiated and asked as a worklist is (K.4.1, K.5).
"""

from __future__ import annotations

from agent.archive.matching_rules import MatchingRules
from agent.archive.object_keys import combined
from agent.archive.object_models import OBJECT_MODELS
from agent.archive.query_records import Question
from agent.network.association import Association, IncomingRequest
from agent.network.data_set import MemorySink
from agent.network.user_information import ExtendedNegotiation
from agent.services.data_sets import extended_information
from agent.services.query import QueryProvider

FUZZY, TIMEZONE = 2, 3
"""Bytes of the extended negotiation item; the first two are reserved and always 1 (K.5.1.1)."""


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


def extended_answer(asked: bytes) -> bytes | None:
    """How the SCP answers an item of extended negotiation: three bytes by three, and a fourth only
    where one was sent (K.5.1)."""
    if len(asked) < 3:
        return None
    said = bytes((1, 1, int(asked[FUZZY] == 1)))
    return said + bytes((int(asked[TIMEZONE] == 1),)) if len(asked) > 3 else said
