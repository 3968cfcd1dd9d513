"""Queries as SCU whose answers are looked at again (PS3.4 C.2.2.1.3, C.4.1.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.dataset.attributes import Attributes
from agent.network.association import Association, Response
from agent.network.status import SUCCESS
from agent.services.finding import c_find
from agent.services.post_filter import PostFilter, Verdict


@dataclass(slots=True)
class QueryResult:
    """What a query came to.

    `truncated`: it was stopped at the most that was asked for. `dropped` counts responses that did
    not match what was asked, and `uncertain` those kept although their character set cannot hold
    what was asked. `optional_keys_ignored`: the peer said that it does not support all keys (FF01).
    """

    response: Response
    matches: list[Attributes] = field(default_factory=list)
    truncated: bool = False
    dropped: int = 0
    uncertain: int = 0
    optional_keys_ignored: bool = False


async def filtered_find(
    association: Association,
    sop_class_uid: str,
    identifier: Attributes,
    check: PostFilter | None,
    name: str,
    *,
    most: int = 0,
    on_match: Callable[[Attributes], None] | None = None,
) -> QueryResult:
    """Ask, and gather what matches; at `most` matches (0: no bound) the query is cancelled.

    Peers pass over keys that they do not support, and not all say so: what they answer passes
    `check` first. With `on_match` matches go there and are not kept. `name` is what is asked, for
    people. Raises PeerError as `c_find` does.
    """
    result = QueryResult(Response(SUCCESS))

    def take(match: Attributes) -> bool:
        verdict = check.verdict(match) if check is not None else Verdict.MATCHES
        if verdict is Verdict.DIFFERS:
            result.dropped += 1
            return False
        result.uncertain += verdict is Verdict.UNCERTAIN
        if on_match is None:
            result.matches.append(match)
        else:
            on_match(match)
        return True

    found = await c_find(association, sop_class_uid, identifier, most=most, accept=take, name=name)
    result.response = found.response
    result.truncated = found.truncated
    result.optional_keys_ignored = found.optional_keys_ignored
    return result
