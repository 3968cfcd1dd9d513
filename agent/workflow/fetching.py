"""One try of a retrieval: ask a peer for what is not here, and see what came (PS3.4 C.4.2, C.4.3).

It is complete when the peer has said its last word and all that it has is in the archive: a final
response alone proves nothing. Which instances there are is asked for at IMAGE level, one series
after the other, and those that did not come are asked for again by name. Of a peer that answers no
such queries the numbers of the final response must be those of what came. Memory: the UIDs of one
series, and a thousand instances that are missing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from agent.archive.archive import Archive
from agent.archive.decision import Origin
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.configuration.peer import Peer
from agent.configuration.route import FETCHED
from agent.dataset.attributes import Attributes
from agent.dataset.sop_classes import STUDY_ROOT_GET, STUDY_ROOT_MOVE
from agent.errors import LocalError, PeerError, StatusReaction
from agent.loop import Event, TimedOut, sleep, timeout, turn
from agent.network.association import Association
from agent.network.negotiation import propose
from agent.quoting import Sentence, quoted
from agent.services.instance_listing import Listed, list_instances, list_series, listing_need
from agent.services.keeping import Keeper, Verdict
from agent.services.offer import implementation_of
from agent.services.retrieval_user import (
    COMPRESSED,
    Retrieved,
    common_storage_classes,
    get_needs,
    move_need,
    retrieval_identifier,
    retrieve,
)
from agent.services.retrieval_user import Verdict as Word
from agent.services.storage import StorageProvider
from agent.workflow.expected_objects import Expectation, ExpectedObjects
from agent.workflow.fetch_record import MOST_FAILED_UIDS, FetchRecord
from agent.workflow.fetched import NAMED_AT_ONCE
from agent.workflow.opening import Opening

_MOST_MISSING = 1000
_LOOK = 0.05


class NothingThere(PeerError):
    """The peer has none of what is wanted: to try again is of no use."""


def receiving_entity(configuration: Configuration, peer: Peer) -> Entity:
    """The entity that keeps what comes from a peer. Raises LocalError."""
    entity = configuration.entity(peer.fetch.entity or peer.entity)
    if entity is None:
        raise LocalError("there is no entity to retrieve objects for", value=peer.name)
    return entity


def way_to_fetch(peer: Peer, *, direct: bool = False) -> str:
    """ "get" or "move", as the peer offers it. Raises LocalError for one that offers neither."""
    offered = [each for each in ("get", "move") if each in peer.services]
    if direct:
        offered = [each for each in offered if each == "move"]
    if not peer.addresses or not offered:
        wanted = "move" if direct else "get or move"
        raise LocalError(
            f"{peer.name} does not offer {wanted}, or has no address",
            value=", ".join(peer.services),
            way_out=f"Write it into `services` of the peer {peer.name}.",
        )
    return peer.fetch.by if peer.fetch.by in offered else offered[0]


class Fetching:
    """One try of one retrieval."""

    def __init__(
        self,
        record: FetchRecord,
        configuration: Configuration,
        archive: Archive,
        opening: Opening,
        peer: Peer,
        expected: ExpectedObjects,
        keeper: Keeper,
        signs_of_life: Callable[[], int],
    ) -> None:
        """`keeper` keeps what a C-GET brings; `signs_of_life` grows while objects come."""
        self._record = record
        self._configuration = configuration
        self._archive = archive
        self._opening = opening
        self._peer = peer
        self._expected = expected
        self._keeper = keeper
        self._signs_of_life = signs_of_life
        self._lists = "query" in peer.services and peer.fetch.instance_query
        self._most_named = 1 if peer.quirks.single_uids else NAMED_AT_ONCE
        self._missing: dict[str, Listed] = {}
        self._missing_count = 0
        self._classes: set[str] = set()

    async def run(self, cancel: Event) -> str:
        """Until all is where it should be: "" then, else why it is not; `cancel` ends it early.

        Raises PeerError where the peer does not do as it should, NothingThere where it has nothing,
        LocalError where the configuration is against it.
        """
        way = way_to_fetch(self._peer, direct=self._record.direct)
        if not self._lists:
            return await self._unlisted(way, cancel)
        await self._compare()
        if self._record.direct:
            return await self._have_sent(cancel)
        said = ""
        while self._missing_count:
            before, said = self._missing_count, ""
            for level, keys in self._wanted():
                last, received = await self._ask_for(way, keys, level, cancel)
                said = _said(last)
                if cancel.is_set() or (last.verdict is Word.NONE and not received):
                    return said
            await self._compare()
            if self._missing_count >= before:
                return f"{before} of {self._record.expected} instances did not come: {said}"
        return ""

    async def _unlisted(self, way: str, cancel: Event) -> str:
        """Ask for all of it; what the peer says decides."""
        record, fault, done = self._record, "", 0
        single = self._most_named == 1 and len(record.instances) > 1
        if single:
            record.expected = len(record.instances)
        for uid in record.instances if single else ("",):
            keys = record.keys()
            if uid:
                keys.set("SOPInstanceUID", uid)
            fault = self._judged(*await self._ask_for(way, keys, record.level, cancel)) or fault
            done += record.done
        if single:
            record.done = done
        return fault

    async def _have_sent(self, cancel: Event) -> str:
        """Have the source send to the target; its final responses decide. What it names as failed
        is what the next try asks for."""
        record, fault, failed = self._record, "", list[str]()
        done = record.expected - self._missing_count
        for level, keys in self._wanted():
            last, _ = await self._ask_for("move", keys, level, cancel)
            fault = self._judged(last, 0) or fault
            done += (last.counts.completed or 0) + (last.counts.warning or 0)
            if last.failed:
                failed += last.failed
            elif last.verdict not in (Word.ALL, Word.SOME):
                failed += keys.texts("SOPInstanceUID")
        record.done = done if fault else record.expected
        record.failed_uids = tuple(failed) if len(failed) <= MOST_FAILED_UIDS else ()
        return fault

    # What there is.

    async def _compare(self) -> None:
        """What the peer has, and which of it is missing here."""
        record = self._record
        association = await self._opening.open(self._configuration, propose([listing_need()])[0])
        total, self._missing, self._missing_count = 0, {}, 0
        try:
            series = (
                (record.series,) if record.series else await list_series(association, record.study)
            )
            for each in filter(None, series):
                keys = record.keys()
                keys.set("SeriesInstanceUID", each)
                listed = await list_instances(association, keys)
                total += len(listed)
                self._classes |= {one.sop_class_uid for one in listed.values()} - {""}
                await self._sort_out(listed)
            await association.release()
        except BaseException:
            association.abort()
            raise
        if not total:
            raise NothingThere(f"{self._peer.name} has no such objects", value=record.uids[0])
        record.expected = total
        if not record.direct:
            record.done = total - self._missing_count

    async def _sort_out(self, listed: dict[str, Listed]) -> None:
        uids = list(listed)
        for start in range(0, len(uids), _MOST_MISSING):
            some = uids[start : start + _MOST_MISSING]
            if self._record.direct:
                failed = self._record.failed_uids
                missing = [each for each in some if not failed or each in failed]
            else:
                here = await self._archive.presence(some)
                missing = [each for each in some if each not in here]
            self._missing_count += len(missing)
            room = _MOST_MISSING - len(self._missing)
            self._missing |= {each: listed[each] for each in missing[:room]}
            await turn()

    def _wanted(self) -> list[tuple[str, Attributes]]:
        """Levels and keys: all at once where nothing came yet, else what is missing by name."""
        record = self._record
        most = self._most_named
        if self._missing_count == record.expected and len(record.instances) <= most:
            return [(record.level, record.keys())]
        places: dict[tuple[str, str], list[str]] = {}
        for uid, place in self._missing.items():
            places.setdefault((place.study, place.series), []).append(uid)
        return [
            (
                "IMAGE",
                Attributes(
                    StudyInstanceUID=study,
                    SeriesInstanceUID=series,
                    SOPInstanceUID=uids[start : start + most],
                ),
            )
            for (study, series), uids in places.items()
            for start in range(0, len(uids), most)
        ]

    # What is asked for.

    async def _ask_for(
        self, way: str, keys: Attributes, level: str, cancel: Event
    ) -> tuple[Retrieved, int]:
        """One request; what the peer said of it, and how many objects came."""
        if way == "get":
            return await self._get(retrieval_identifier(STUDY_ROOT_GET, level, keys), cancel)
        identifier = retrieval_identifier(STUDY_ROOT_MOVE, level, keys)
        association = await self._opening.open(
            self._configuration, propose([move_need(STUDY_ROOT_MOVE)])[0]
        )
        if self._record.direct:
            target = self._configuration.peer(self._record.target)
            if target is None:
                raise LocalError(f"there is no peer {quoted(self._record.target)}")
            return await self._retrieve(association, identifier, target.title, cancel), 0
        entity = receiving_entity(self._configuration, self._peer)
        expectation = Expectation(
            entity.name,
            self._peer.calling_title,
            self._record.study,
            keys.text("SeriesInstanceUID"),
            frozenset(keys.texts("SOPInstanceUID")),
        )
        with self._expected.expecting(expectation):
            retrieved = await self._retrieve(
                association, identifier, entity.title, cancel, lambda: expectation.received
            )
            # The last objects may come behind the final response.
            with suppress(TimedOut), timeout(self._peer.fetch.grace):
                while retrieved.lacks(expectation.received):
                    await sleep(_LOOK)
        return retrieved, expectation.received

    async def _get(self, identifier: Attributes, cancel: Event) -> tuple[Retrieved, int]:
        classes = tuple(sorted(self._classes)) or common_storage_classes()
        needs, roles = get_needs(STUDY_ROOT_GET, classes, COMPRESSED)
        association = await self._opening.open(self._configuration, propose(needs)[0], roles=roles)
        entity = receiving_entity(self._configuration, self._peer)
        keeper = _GettingKeeper(self._keeper, entity, self._peer)
        class_uid, version_name = implementation_of(self._configuration)
        provider = StorageProvider(
            entity,
            keeper,
            object_size=self._configuration.limits.object_size,
            implementation_class_uid=class_uid,
            implementation_version_name=version_name,
        )
        association.providers = {
            number: provider
            for number, context in association.contexts.items()
            if context.abstract_syntax in classes
        }
        retrieved = await self._retrieve(association, identifier, "", cancel)
        return retrieved, keeper.received

    async def _retrieve(
        self,
        association: Association,
        identifier: Attributes,
        destination: str,
        cancel: Event,
        received: Callable[[], int] = lambda: 0,
    ) -> Retrieved:
        retrieved = await retrieve(
            association,
            STUDY_ROOT_MOVE if destination else STUDY_ROOT_GET,
            identifier,
            destination,
            cancel=cancel,
            patience=self._peer.fetch.patience,
            signs_of_life=lambda: received() + self._signs_of_life(),
        )
        await association.release()
        return retrieved

    def _judged(self, retrieved: Retrieved, received: int) -> str:
        """Why it is not complete, by the words of the peer and the number of objects that came."""
        counts, record = retrieved.counts, self._record
        sent = (counts.completed or 0) + (counts.warning or 0)
        if not record.direct:
            record.done = received
        record.expected = record.expected or sent + (counts.failed or 0)
        if retrieved.verdict not in (Word.ALL, Word.SOME) or counts.failed or retrieved.failed:
            return _said(retrieved)
        if record.direct:
            return ""
        if retrieved.lacks(received):
            return f"{sent} objects were sent, and {received} came"
        if not received:
            raise NothingThere(f"{self._peer.name} has no such objects", value=record.uids[0])
        return ""


def _said(retrieved: Retrieved) -> Sentence:
    response, failed = retrieved.response, retrieved.counts.failed
    if not failed:
        return response.words
    return Sentence(f"{quoted(response.words)}, {failed} failed")


class _GettingKeeper:
    """Keeps what a C-GET brings: it came from the peer, though the association is ours."""

    def __init__(self, keeper: Keeper, entity: Entity, peer: Peer) -> None:
        self._keeper = keeper
        self._entity = entity
        self._peer = peer
        self.received = 0

    def refusal(self) -> StatusReaction | None:
        return self._keeper.refusal()

    def receive(self, file_meta: bytes) -> Any:
        return self._keeper.receive(file_meta)

    async def commit(self, reception: Any, origin: Origin) -> Verdict:
        from_peer = origin._replace(
            source=FETCHED,
            calling=origin.called,
            called=origin.calling,
            peer=self._peer.name,
            entity=self._entity.name,
        )
        verdict = await self._keeper.commit(reception, from_peer)
        if verdict.status == 0 or verdict.status & 0xF000 == 0xB000:
            self.received += 1
        return verdict
