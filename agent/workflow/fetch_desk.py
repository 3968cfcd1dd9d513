"""Where retrievals from peers are asked for; what carries them out is there when there are some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from agent.archive.archive import Archive
from agent.archive.examinations import FETCH
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.loop import Event
from agent.loop.workers import WorkerPool
from agent.network.association import Association
from agent.network.resolution import Resolve
from agent.services.keeping import Keeper
from agent.workflow.expected_objects import ExpectedObjects, ExpectingKeeper
from agent.workflow.made_late import MadeLate
from agent.workflow.turns import Turns
from agent.workflow.worklist_watch import WorklistWatch

if TYPE_CHECKING:
    from agent.workflow.fetches import Fetches
    from agent.workflow.study_rules import StudyRules
    from agent.workflow.study_search import StudySearch


class FetchDesk:
    """The retrievals of a node; one that has none does not pay for them."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        archives: Mapping[str, Archive],
        resolve: Resolve,
        turns: Turns,
        associations: Callable[[], set[Association]],
        wake: Callable[[str], None],
        worklist: WorklistWatch,
        pool: WorkerPool,
    ) -> None:
        """`associations` are those that others opened; `wake` as of `MediaDesk`."""
        self._configuration = configuration
        self._archives = archives
        self._resolve = resolve
        self._turns = turns
        self._associations = associations
        self._wake = wake
        self._worklist = worklist
        self._pool = pool
        self._reloaded = Event()
        self._rules: StudyRules | None = None
        self._expected = ExpectedObjects()
        self._keepers: dict[str, Keeper] = {}
        self._fetches = MadeLate(self._new_fetches)

    @property
    def fetches(self) -> Fetches:
        """They."""
        return self._fetches.get()

    def keeper(self, keeper: Keeper, entity: Entity, configuration: Configuration) -> Keeper:
        """The keeper for what others send to an entity; `keeper` is kept for what we get."""
        self._keepers[entity.name] = keeper
        moved_to = {
            peer.fetch.entity or peer.entity
            for peer in configuration.peers
            if "move" in peer.services
        }
        if entity.accept.solicited or entity.name in moved_to:
            return ExpectingKeeper(keeper, entity, self._expected)
        return keeper

    def work(self) -> list[dict[str, Any]]:
        """What goes on, as people see it."""
        made = self._fetches.made
        return made.work() if made is not None else []

    async def run(self) -> None:
        """Until cancelled: what was cut off by the end of a former node goes on."""
        is_going = any(FETCH in archive.unfinished for archive in self._archives.values())
        await (self.fetches if is_going else await self._fetches.needed()).run()

    async def run_rules(self) -> None:
        """Until cancelled: what is retrieved by rule, where there are rules."""
        while not (self._configuration().prefetches or self._configuration().precaches):
            self._reloaded.clear()
            await self._reloaded.wait()
        from agent.workflow.study_rules import StudyRules

        self._rules = StudyRules(
            self._configuration,
            self._archives,
            self.fetches,
            self.search,
            self._worklist,
            self._pool,
        )
        await self._rules.run()

    @property
    def search(self) -> StudySearch:
        """Who asks several peers at once."""
        from agent.workflow.study_search import StudySearch

        return StudySearch(self._resolve, self._turns)

    def reload(self) -> None:
        """There may be other peers, rules and archives."""
        self._reloaded.set()
        if self._rules is not None:
            self._rules.reload()
        made = self._fetches.made
        if made is not None:
            made.hurry()
        elif any(FETCH in archive.unfinished for archive in self._archives.values()):
            self.fetches.hurry()

    def _new_fetches(self) -> Fetches:
        from agent.workflow.fetches import Fetches

        return Fetches(
            self._configuration,
            self._archives,
            self._expected,
            lambda entity: self._keepers[entity.name],
            self._resolve,
            self._turns,
            self._associations,
            self._wake,
        )
