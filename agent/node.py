"""The node: reads the configuration, opens what there is, and puts services on the loop.

The only place that knows everybody. It starts in this order: archives (each puts right what a crash
left), delivery, control socket, listeners; and says READY=1 when the listeners listen.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agent import __version__, figures, observation
from agent.archive.archive import Archive
from agent.configuration.archive import Archive as ArchiveTable
from agent.configuration.configuration import Configuration
from agent.configuration.difference import Differences, differences
from agent.configuration.entity import Entity
from agent.control import ControlSocket
from agent.errors import LocalError
from agent.front_door import FrontDoor
from agent.keepers import keepers_of
from agent.loop import Event, Limit, Signals, TaskGroup, current_loop
from agent.loop.memory import give_back
from agent.loop.workers import Template, WorkerPool
from agent.network.association import Association
from agent.network.resolution import SocketAddress, look_up
from agent.questions import answers_of
from agent.services.offer import implementation_of
from agent.support import NodeSupport
from agent.workflow.alerting import Alerting
from agent.workflow.archive_opening import look_for_disks, open_archive
from agent.workflow.archive_tables import archive_settings, check_restored
from agent.workflow.auditing import AuditedNode, Auditing
from agent.workflow.calendar_watch import CalendarWatch
from agent.workflow.certificate_watch import CertificateWatch
from agent.workflow.delivery import Delivery
from agent.workflow.fetch_desk import FetchDesk
from agent.workflow.health import Health
from agent.workflow.intake import Intake
from agent.workflow.inventory_desk import InventoryDesk
from agent.workflow.media_desk import MediaDesk
from agent.workflow.memory_watch import MemoryWatch
from agent.workflow.record_retention import RecordRetention
from agent.workflow.retention import Retention
from agent.workflow.routing import Routing
from agent.workflow.signs_of_life import beat, starting
from agent.workflow.supervision import supervised
from agent.workflow.turns import Turns
from agent.workflow.worklist_watch import WorklistWatch
from hal.watchdog import ServiceNotifier

if TYPE_CHECKING:
    from agent.services.retrieval import Retrievals
    from agent.workflow.examination import Examinations
    from agent.workflow.media_watch import MediaWatch
    from agent.workflow.operator import Operator
    from hal.panel.base import Pattern

Load = Callable[[], Awaitable[Configuration]]


class Node:
    """One node; `load` reads the configuration anew for a reload."""

    def __init__(
        self, configuration: Configuration, template: Template, pool: WorkerPool, load: Load
    ) -> None:
        self.configuration = configuration
        self.archives: dict[str, Archive] = {}
        self.log_turns: dict[str, Limit] = {}
        self.delivery: Delivery | None = None
        self.intake: Intake | None = None
        self.door: FrontDoor | None = None
        self.started = time.time()
        self.calendar = CalendarWatch(configuration.clock)
        self._turns = Turns()
        self.worklist = WorklistWatch(lambda: self.configuration, pool, self._resolve, self._turns)
        self._examinations: Examinations | None = None
        self._operator: Operator | None = None
        self.media: MediaWatch | None = None
        self._reloaded = Event()
        self._template = template
        self.certificates = CertificateWatch(lambda: self.configuration, template, pool)
        self._load = load
        self.health = Health(lambda: self.configuration, pool)
        self._memory = MemoryWatch(configuration.limits.memory)
        self.retentions: dict[str, Retention] = {}
        self.records = RecordRetention(
            lambda: self.configuration, self.archives, pool, lambda: self.calendar.earliest
        )
        self.desk = MediaDesk(
            lambda: self.configuration,
            self.archives,
            self.worklist,
            template,
            pool,
            self.wake_errands,
        )
        self.inventories = InventoryDesk(
            lambda: self.configuration, self.archives, pool, self.wake_errands
        )
        self.fetching = FetchDesk(
            lambda: self.configuration,
            self.archives,
            self._resolve,
            self._turns,
            lambda: self.associations,
            self.wake_errands,
            self.worklist,
            pool,
        )
        self.audit = Auditing(
            AuditedNode(lambda: self.configuration, self.archives, pool, self._resolve)
        )
        self._notifier = ServiceNotifier()
        self._reloading = Limit(1)
        self.pool = pool
        self.alerting = Alerting(self, self._resolve)
        # More than are meant to run: who has a slow peer shall not keep others waiting.
        self.codecs = WorkerPool(
            template, "codec", 64, configuration.workers.idle, kill_abandoned=True
        )

    async def run(self) -> None:
        """Until SIGTERM or SIGINT; then drain. SIGHUP reloads.

        Raises ConfigurationError and StorageError for what keeps the node from starting.
        """
        async with Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            self.certificates.prepare(self.configuration)
            check_restored(self.configuration)
            async with starting(self._notifier):
                for table in self.configuration.archives:
                    await self._open_archive(table)
            try:
                async with TaskGroup() as group:
                    self._start_work(group)
                    self._listen()
                    self._notifier.ready("listening")
                    observation.notice("ready", version=__version__, **self._where())
                    give_back()
                    current_loop().measure_anew()
                    while await signals.receive() == signal.SIGHUP:
                        await self.reload()
                    await self._drain()
                    group.cancel()
            finally:
                self.codecs.close()
                for archive in self.archives.values():
                    await archive.close()

    async def _open_archive(self, table: ArchiveTable) -> None:
        self.archives[table.name] = await open_archive(
            table, self.configuration, self._template, self.pool
        )

    def _start_work(self, group: TaskGroup) -> None:
        configuration = self.configuration
        self.delivery = Delivery(
            configuration,
            self.archives,
            resolve=self._resolve,
            pool=self.codecs,
            turns=self._turns,
        )
        self.intake = Intake(configuration, self.archives, self._template, self.codecs, self._wake)
        group.start(self._deliver(self.delivery), "delivery")
        group.start(self.intake.run(), "intake")
        group.start(self._operate(), "operator")
        for table in configuration.archives:
            self._start_retention(group, table)
        if configuration.node.control:
            control = ControlSocket(
                Path(configuration.node.control),
                configuration.node.control_mode,
                answers_of(self),
                owner_group=configuration.node.control_group,
            )
            group.start(control.run(), "control")
        for name, run in (
            ("archives", lambda: look_for_disks(self.archives, self._go_on)),
            ("clock", self.calendar.run),
            ("certificates", self.certificates.run),
            ("memory", self._memory.run),
            ("worklist", self.worklist.run),
            ("record retention", self.records.run),
            ("watchdog", self._beat),
            ("metrics", self._keep_metrics),
            ("imports", self.desk.run_imports),
            ("exports", self.desk.run_exports),
            ("media", self._watch_media),
            ("media creation", self.desk.run_creation),
            ("inventories", self.inventories.run),
            ("fetches", self.fetching.run),
            ("study rules", self.fetching.run_rules),
            ("audit", self.audit.run),
            ("alerts", self.alerting.run),
        ):
            group.start(supervised(run, name), name)

    async def _operate(self) -> None:
        """Hardware that operates the box is imported when there is some: at start, or later."""
        while not (self.configuration.serials or self.configuration.panel.kind):
            self._reloaded.clear()
            await self._reloaded.wait()
        from agent.workflow.operator import Operator

        self._operator = Operator(
            lambda: self.configuration,
            lambda: self.examinations,
            self._template,
            {"media": self._follow_media, "certificates": self.certificates.follow}
            | self.health.lamps,
        )
        await self._operator.run()

    async def _follow_media(self, show: Callable[[Pattern], None]) -> None:
        from agent.workflow.media_lamp import follow

        await follow(self.desk, lambda: self.media, show)

    @property
    def lamps(self) -> dict[str, str]:
        """What the lamps of the panel show, by name; none where there is no panel."""
        return self._operator.lamps if self._operator is not None else {}

    async def _watch_media(self) -> None:
        """What watches media is imported when there are some to be watched."""
        while not self.configuration.media:
            self._reloaded.clear()
            await self._reloaded.wait()
        from agent.workflow.media_watch import MediaWatch

        self.media = MediaWatch(lambda: self.configuration, self._template, self.desk)
        await self.media.run()

    async def _deliver(self, delivery: Delivery) -> None:
        await self.calendar.wait_until_set()
        await delivery.run()

    def _start_retention(self, group: TaskGroup, table: ArchiveTable) -> None:
        retention = Retention(table, self.archives[table.name], self.calendar.earliest)
        self.retentions[table.name] = retention
        group.start(supervised(retention.run, "retention", archive=table.name), "retention")

    def _listen(self) -> None:
        self.door = FrontDoor(
            self.configuration,
            self._support,
            lambda: self._memory.is_short or self.audit.is_full,
            self.pool.call,
        )
        self.door.open()

    def _support(self, configuration: Configuration) -> NodeSupport:
        keepers = keepers_of(
            configuration,
            self.archives,
            self._wake,
            self.codecs,
            self._resolve,
            self._turns,
            self.fetching,
        )
        implementation = implementation_of(configuration)
        size = configuration.limits.object_size
        return NodeSupport(self, configuration, keepers, *implementation, size)

    def retrievals_of(self, entity: Entity, configuration: Configuration) -> Retrievals:
        """Who performs what is retrieved from an entity; imported where there may be something."""
        from agent.workflow.retrieval import EntityRetrievals

        archive = self.archives[entity.archive]
        return EntityRetrievals(
            entity, configuration, archive, self._resolve, self._turns, self.codecs
        )

    def _go_on(self) -> None:
        """An archive can be used that could not: with what waited in it."""
        self.desk.reload()
        self.fetching.reload()
        self._wake()

    def _wake(self) -> None:
        self.wake_errands("")

    def wake_errands(self, peer: str) -> None:
        """There are messages for this peer, or, of "", objects for any."""
        if self.delivery is not None and peer:
            self.delivery.wake_errands(peer)
        elif self.delivery is not None:
            self.delivery.wake()

    @property
    def examinations(self) -> Examinations:
        """Examinations on the capture devices. Raises LocalError before the node is ready."""
        if self._examinations is None:
            # What makes objects is imported where it is needed: a gateway has no use for it.
            from agent.workflow.examination import Examinations

            if self.intake is None:
                raise LocalError("the node is not ready yet")
            self._examinations = Examinations(
                lambda: self.configuration,
                self.archives,
                self.intake.acquisition,
                self.worklist,
                self.wake_errands,
            )
        return self._examinations

    @property
    def associations(self) -> set[Association]:
        """Those that others opened with us."""
        return self.door.associations if self.door is not None else set()

    async def reload(self) -> None:
        """Read the configuration anew; what is wrong with it is said, and nothing changes.

        Associations go on; new ones follow the new rules. What needs a restart is named.
        """
        await self._reloading.acquire()
        self._notifier.reloading()
        try:
            fresh = await self._load()
            differ = differences(self.configuration, fresh)
            self._say_what_waits(differ)
            self.certificates.prepare(fresh)
            self.configuration = fresh
            for table in fresh.archives:
                if table.name in differ.archives.added and table.name not in self.archives:
                    await self._open_archive(table)
            await self._follow(fresh)
        except Exception as error:
            observation.error("configuration refused", error=error)
            return
        finally:
            self._reloading.release()
            self._notifier.ready("listening")
        observation.notice("configuration reloaded", **self._where())

    async def _follow(self, fresh: Configuration) -> None:
        """Everybody goes by the new configuration: rules first, so that nothing falls between."""
        for name, archive in self.archives.items():
            table = fresh.archive(name)
            if table is not None:
                archive.adopt(archive_settings(fresh, table))
            await archive.set_receiver(Routing.of(fresh))
        self.calendar.table = fresh.clock
        self._memory.limit = fresh.limits.memory
        for table in fresh.archives:
            if table.name in self.retentions:
                self.retentions[table.name].table = table
        assert self.delivery is not None and self.intake is not None
        self.delivery.reload(fresh)
        self.intake.reload(fresh)
        self.worklist.reload()
        self.desk.reload()
        self.fetching.reload()
        self.alerting.reload()
        self._reloaded.set()
        if self._operator is not None:
            self._operator.reload()
        if self.media is not None:
            self.media.reload()
        if self.door is not None:
            self.door.follow(fresh)

    def _say_what_waits(self, differ: Differences) -> None:
        keys = [*differ.restart, *(f"archive.{name}" for name in differ.archives.removed)]
        keys += [f"archive.{name}.retention" for name in differ.archives.added]
        if keys:
            observation.warning("needs a restart", keys=", ".join(keys))

    async def _drain(self) -> None:
        self._notifier.stopping()
        observation.notice("draining", associations=len(self.associations))
        if self.door is not None:
            await self.door.drain(self.configuration.node.drain)

    async def _beat(self) -> None:
        await beat(self._notifier, self._template.tidy, observation.log.flush)

    async def _keep_metrics(self) -> None:
        await figures.keep(lambda: self.configuration.metrics, self.archives, self.started)

    async def _resolve(self, host: str, port: int) -> list[SocketAddress]:
        found: list[SocketAddress] = await self.pool.call(look_up, host, port)
        return found

    def _where(self) -> dict[str, object]:
        ports = self.door.ports if self.door is not None else {}
        return {
            "profile": self.configuration.profile or "none",
            **{f"port_{name}": port for name, port in ports.items()},
        }
