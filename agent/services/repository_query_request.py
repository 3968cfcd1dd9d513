"""Repository queries as SCU: piece by piece, until there is nothing more (PS3.4 C.6.4.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.sop_classes import REPOSITORY_QUERY
from agent.errors import PeerError
from agent.network.association import Association, Response
from agent.network.status import SUCCESS
from agent.services.filtered_find import QueryResult
from agent.services.query_request import find
from agent.services.repository_query import RESPONSE_LIMIT_REACHED

_RECORD_KEY = "RecordKey"
_PRIOR_RECORD_KEY = 0x0008041C


async def find_in_pieces(
    association: Association,
    identifier: Attributes,
    piece: int,
    *,
    most: int = 0,
    post_filter: bool = True,
    on_match: Callable[[Attributes], None] | None = None,
) -> QueryResult:
    """Ask for at most `piece` records at a time, and go on from the last one (0: as many as the
    peer gives).

    What has come is kept by the result, or given to `on_match`, without its Record Key. Raises
    PeerError as `find` does, and when the peer says that there is more and gives nothing to go on
    from.
    """
    asked = identifier.copy()
    asked.set(_RECORD_KEY)
    if piece:
        asked.set("MaximumNumberOfRecords", piece)
    total = QueryResult(Response(SUCCESS))
    last: Attribute | None = None
    count = 0

    def take(match: Attributes) -> None:
        nonlocal last, count
        last = match.get(_RECORD_KEY)
        match.remove(_RECORD_KEY)
        count += 1
        if on_match is None:
            total.matches.append(match)
        else:
            on_match(match)

    while True:
        prior, last = last, None
        left = most - count if most else 0
        found = await find(
            association,
            REPOSITORY_QUERY,
            asked,
            most=left,
            post_filter=post_filter,
            on_match=take,
        )
        total = replace(
            found,
            matches=total.matches,
            dropped=total.dropped + found.dropped,
            uncertain=total.uncertain + found.uncertain,
            optional_keys_ignored=total.optional_keys_ignored or found.optional_keys_ignored,
        )
        if found.truncated or found.response.status != RESPONSE_LIMIT_REACHED:
            return total
        if last is None or last.is_empty or last == prior:
            raise PeerError(
                "the peer says that there are more records, and gives no Record Key to go on from",
                clause="PS3.4 C.6.4.1.1",
                way_out="Ask for less, such as the studies of one day.",
            )
        asked.put(_PRIOR_RECORD_KEY, last)
