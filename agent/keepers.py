"""Who keeps what an entity receives: its archive, behind what is done on the way there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent import observation
from agent.archive.archive import Archive
from agent.archive.decision import Origin
from agent.archive.reception import Reception
from agent.configuration.configuration import Configuration
from agent.errors import StatusReaction
from agent.loop.workers import WorkerPool
from agent.network.resolution import Resolve
from agent.services.keeping import Keeper, Verdict
from agent.services.offer import implementation_of
from agent.workflow.fetch_desk import FetchDesk
from agent.workflow.signatures_anew import signatures_anew
from agent.workflow.turns import Turns


class WakingKeeper:
    """An archive that wakes delivery when an object has made jobs."""

    def __init__(self, archive: Archive, wake: Callable[[], None]) -> None:
        self._archive = archive
        self._wake = wake

    def refusal(self) -> StatusReaction | None:
        return self._archive.refusal()

    def receive(self, file_meta: bytes) -> Reception:
        return self._archive.receive(file_meta)

    async def commit(self, reception: Reception, origin: Origin) -> Verdict:
        verdict = await self._archive.commit(reception, origin)
        if verdict.jobs:
            self._wake()
        if observation.log.is_audited:
            observation.occasion(
                "object stored", archive=self._archive.name, origin=origin, verdict=verdict
            )
        return verdict


def keepers_of(
    configuration: Configuration,
    archives: Mapping[str, Archive],
    wake: Callable[[], None],
    codecs: WorkerPool,
    resolve: Resolve,
    turns: Turns,
    fetching: FetchDesk,
) -> dict[str, Keeper]:
    """By the name of the entity; none for one without an archive. `wake` is told of jobs.

    What compresses, what sends onward, and what looks at signatures, is imported where it is
    configured.
    """
    found: dict[str, Keeper] = {}
    for entity in configuration.entities:
        archive = archives.get(entity.archive)
        if archive is None:
            continue
        keeper: Keeper = WakingKeeper(archive, wake)
        if configuration.compressions:
            from agent.workflow.compressing_keeper import CompressingKeeper

            implementation = implementation_of(configuration)
            keeper = CompressingKeeper(
                keeper,
                configuration.compressions,
                codecs,
                implementation,
                signatures_anew(configuration),
            )
        peer = configuration.peer(entity.storage.onward)
        if peer is not None:
            from agent.workflow.onward import OnwardKeeper

            keeper = OnwardKeeper(keeper, entity, peer, configuration, resolve, turns)
        if entity.storage.signatures != "ignore":
            from agent.workflow.signature_keeper import SignatureKeeper
            from agent.workflow.signature_rule import rule_of

            rule = rule_of(entity, configuration)
            keeper = keeper if rule is None else SignatureKeeper(keeper, rule, codecs)
        found[entity.name] = fetching.keeper(keeper, entity, configuration)
    return found
