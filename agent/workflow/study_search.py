"""One query put to several peers at once: their answers merged, each with where it can be had.

A peer that fails costs its own answers only, and is named. Answers that do not match are dropped
(`agent.services.post_filter`). What is said of series in a search for studies is asked at their own
level, of one study after the other: a hierarchical query has no keys below its level (PS3.4
C.4.1.2.1). Memory: the answers, bounded by `most` of each peer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.archive.information_model import STUDY_ROOT
from agent.archive.matching import is_universal
from agent.archive.query_keys import SERIES, table_of
from agent.configuration.configuration import Configuration
from agent.configuration.peer import Peer
from agent.dataset.attributes import Attributes
from agent.dataset.sop_classes import STUDY_ROOT_FIND
from agent.errors import GantryError, LocalError
from agent.loop import TaskGroup
from agent.network.association import Association, Response
from agent.network.negotiation import propose
from agent.network.resolution import Resolve
from agent.network.status import SUCCESS
from agent.quoting import Sentence, quoted
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

        What is usually wanted is asked for besides. Studies are those with a series that matches
        what is said of series. Raises LocalError for a peer that is not there
        or offers no queries, and for keys that the level does not allow.
        """
        peers = _asked(configuration, names)
        keys, series = _apart(keys) if level == "STUDY" else (keys, Attributes())
        identifier = identifier_of(level, keys)
        unique = STUDY_ROOT.levels[STUDY_ROOT.depth_of(level) or 0].unique
        results: dict[str, QueryResult] = {}
        found = Searched()

        async def ask(peer: Peer) -> None:
            try:
                asking = self._ask(configuration, peer, identifier, unique, series, most)
                results[peer.name] = await asking
            except GantryError as error:
                found.faults[peer.name] = Sentence(f"{quoted(error)}")

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
                found.faults[peer.name] = result.response.words
            for each in result.matches:
                uid = each.text(unique)
                if not uid or uid not in known:
                    known[uid or f"{peer.name} {len(known)}"] = Sourced(each, [peer.name])
                elif peer.name not in known[uid].sources:
                    known[uid].sources.append(peer.name)
        found.answers = list(known.values())
        return found

    async def _ask(
        self,
        configuration: Configuration,
        peer: Peer,
        identifier: Attributes,
        unique: str,
        series: Attributes,
        most: int,
    ) -> QueryResult:
        association = await Opening(peer, self._resolve, self._turns).open(
            configuration, propose([query_need(STUDY_ROOT_FIND)])[0]
        )
        try:
            result = await _find_all(association, peer, identifier, unique, most)
            if len(series) and result.matches:
                result = await _with_series(association, result, series)
            await association.release()
        except BaseException:
            association.abort()
            raise
        return result


async def _find_all(
    association: Association, peer: Peer, identifier: Attributes, unique: str, most: int
) -> QueryResult:
    """One query, or one for each UID where the peer takes no lists of them."""
    uids = identifier.texts(unique)
    if len(uids) < 2 or not peer.quirks.single_uids:
        return await find(association, STUDY_ROOT_FIND, identifier, most=most)
    whole = QueryResult(Response(SUCCESS))
    for uid in uids:
        one = identifier.copy()
        one.set(unique, uid)
        found = await find(association, STUDY_ROOT_FIND, one, most=most)
        whole.matches += found.matches
        if len(whole.matches) >= most or found.response.status != SUCCESS:
            whole.response, whole.truncated = found.response, len(whole.matches) >= most
            break
    return whole


async def _with_series(
    association: Association, studies: QueryResult, series: Attributes
) -> QueryResult:
    """The studies that have such a series: a query below each of them, ended at its first match."""
    kept = []
    for study in studies.matches:
        keys = series.copy()
        keys.set("StudyInstanceUID", study.text("StudyInstanceUID"))
        identifier = query_identifier(STUDY_ROOT_FIND, "SERIES", keys, character_set=CHARACTER_SET)
        found = await find(association, STUDY_ROOT_FIND, identifier, most=1)
        if found.matches:
            kept.append(study)
        elif found.response.status != SUCCESS:
            studies.response = found.response
            break
    studies.matches = kept
    return studies


def _apart(keys: Attributes) -> tuple[Attributes, Attributes]:
    """What is asked of studies, and what of their series."""
    series = Attributes()
    for tag in keys:
        key = keys[tag]
        if table_of(tag, key.vr, SERIES) == SERIES and not is_universal(key):
            series.put(tag, key)
    studies = keys.copy()
    for tag in series:
        studies.remove(tag)
    return studies, series


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
                f"there is no peer {quoted(name)} that offers queries",
                value=name,
                limit=", ".join(each.name for each in answering),
            )
        found.append(peer)
    return found
