"""One query put to several peers at once: their answers merged, each with where it can be had.

A peer that fails costs its own answers only, and is named. Answers that do not match are dropped
(`agent.services.post_filter`). Memory: the answers, bounded by `most` of each peer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.archive.information_model import STUDY_ROOT
from agent.configuration.configuration import Configuration
from agent.configuration.peer import Peer
from agent.dataset.attributes import Attributes
from agent.dataset.sop_classes import STUDY_ROOT_FIND
from agent.errors import GantryError, LocalError
from agent.loop import TaskGroup
from agent.network.negotiation import propose
from agent.network.resolution import Resolve
from agent.network.status import SUCCESS, status_text
from agent.services.filtered_find import QueryResult
from agent.services.query import query_need
from agent.services.query_request import RETURN_KEYS, find, query_identifier
from agent.workflow.opening import Opening
from agent.workflow.turns import Turns

CHARACTER_SET = "ISO_IR 192"


@dataclass(slots=True)
class Sourced:
    """An answer with the values of the first peer that has it; `sources` are all that have it."""

    values: Attributes
    sources: list[str]


@dataclass(slots=True)
class Searched:
    """What a search came to: `faults` are peers that failed, with the reason; of those in
    `truncated` there is more."""

    answers: list[Sourced] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    truncated: list[str] = field(default_factory=list)


class StudySearch:
    """Asks peers of the configuration, in the name that each knows us by."""

    def __init__(self, resolve: Resolve | None, turns: Turns) -> None:
        self._resolve = resolve
        self._turns = turns

    async def search(
        self,
        configuration: Configuration,
        names: Sequence[str],
        keys: Attributes,
        level: str = "STUDY",
        *,
        most: int = 500,
    ) -> Searched:
        """Put `keys` to these peers, or to all that offer `query`; by the Study Root.

        What is usually wanted is asked for besides. Raises LocalError for a peer that is not there
        or offers no queries, and for keys that the level does not allow.
        """
        peers = _asked(configuration, names)
        identifier = identifier_of(level, keys)
        unique = STUDY_ROOT.levels[STUDY_ROOT.depth_of(level) or 0].unique
        results: dict[str, QueryResult] = {}
        found = Searched()

        async def ask(peer: Peer) -> None:
            try:
                results[peer.name] = await self._ask(configuration, peer, identifier, most)
            except GantryError as error:
                found.faults[peer.name] = str(error)

        async with TaskGroup() as group:
            for peer in peers:
                group.start(ask(peer), f"search {peer.name}")
        known: dict[str, Sourced] = {}
        for peer in peers:
            result = results.get(peer.name)
            if result is None:
                continue
            if result.truncated:
                found.truncated.append(peer.name)
            elif result.response.status != SUCCESS:
                said = f"{status_text(result.response.status)} {result.response.comment}"
                found.faults[peer.name] = said.rstrip()
            for each in result.matches:
                uid = each.text(unique)
                if not uid or uid not in known:
                    known[uid or f"{peer.name} {len(known)}"] = Sourced(each, [peer.name])
                elif peer.name not in known[uid].sources:
                    known[uid].sources.append(peer.name)
        found.answers = list(known.values())
        return found

    async def _ask(
        self, configuration: Configuration, peer: Peer, identifier: Attributes, most: int
    ) -> QueryResult:
        association = await Opening(peer, self._resolve, self._turns).open(
            configuration, propose([query_need(STUDY_ROOT_FIND)])[0]
        )
        try:
            result = await find(association, STUDY_ROOT_FIND, identifier, most=most)
            await association.release()
        except BaseException:
            association.abort()
            raise
        return result


def identifier_of(level: str, keys: Attributes) -> Attributes:
    """The identifier of a query by the Study Root: these keys, and what is usually wanted."""
    made = keys.copy()
    for keyword in RETURN_KEYS.get(level, ()):
        if keyword not in made:
            made.set(keyword)
    return query_identifier(STUDY_ROOT_FIND, level, made, character_set=CHARACTER_SET)


def _asked(configuration: Configuration, names: Sequence[str]) -> list[Peer]:
    answering = [
        each for each in configuration.peers if each.addresses and "query" in each.services
    ]
    if not names:
        if not answering:
            raise LocalError(
                "no peer offers queries", way_out='Write "query" into the services of a peer.'
            )
        return answering
    found = []
    for name in dict.fromkeys(names):
        peer = next((each for each in answering if each.name == name), None)
        if peer is None:
            raise LocalError(
                f"there is no peer {name} that offers queries",
                value=name,
                limit=", ".join(each.name for each in answering),
            )
        found.append(peer)
    return found
