"""The node: reads the configuration, opens what there is, and puts services on the loop.

The only place that knows everybody. It starts in this order: archives (each puts right what a crash
left), delivery, control socket, listeners; and says READY=1 when the listeners listen.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent import __version__, observation
from agent.archive.archive import Archive
from agent.archive.decision import Origin
from agent.archive.reception import Reception
from agent.archive.settings import ArchiveSettings, RetryPolicy, StorageStatuses
from agent.configuration.archive import Archive as ArchiveTable
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.control import ControlSocket
from agent.errors import ConfigurationError, StatusReaction
from agent.loop import Signals, TaskGroup, current_loop, sleep
from agent.loop.workers import Template, WorkerPool
from agent.network.association import Association
from agent.network.connection import SocketAddress, look_up
from agent.network.limits import UpperLayerLimits
from agent.network.pdu import AssociateReject, AssociateRequest
from agent.network.tls import server_context
from agent.network.transport import Admission, Caller, Listener, ListenerLimits
from agent.questions import answers_of
from agent.security.access import Access
from agent.services.keeping import Keeper, Verdict
from agent.services.offer import implementation_of, offer_of, providers_of
from agent.workflow.delivery import Delivery
from agent.workflow.routing import Routing
from hal.watchdog import ServiceNotifier

Load = Callable[[], Configuration]


class _WakingKeeper:
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
        return verdict


@dataclass(frozen=True, slots=True)
class _Support:
    """What services need of the node."""

    keepers: Mapping[str, Keeper]
    implementation_class_uid: str
    implementation_version_name: str
    object_size: int

    def keeper_of(self, entity: Entity) -> Keeper:
        return self.keepers[entity.archive]


def archive_folder(configuration: Configuration, table: ArchiveTable) -> Path:
    """Where an archive lies."""
    return Path(table.folder or Path(configuration.node.state, "archive", table.name))


def archive_settings(configuration: Configuration, table: ArchiveTable) -> ArchiveSettings:
    """The settings of an archive, with the statuses of the entity that stores to it."""
    entity = next((each for each in configuration.entities if each.archive == table.name), None)
    statuses = StorageStatuses()
    if entity is not None:
        said = entity.status
        statuses = StorageStatuses(
            disk_full=said.disk_full,
            volume_away=said.volume_away,
            storage_failure=said.out_of_resources,
            does_not_match=said.mismatch,
            cannot_understand=said.unparsable,
        )
    retry = configuration.delivery.retry
    return ArchiveSettings(
        quota=table.quota,
        high_watermark=table.high_watermark,
        low_watermark=table.low_watermark,
        reserve=table.reserve,
        volume=table.volume,
        identity_record=str(Path(configuration.node.state, f"archive-{table.name}.identity")),
        statuses=statuses,
        retry=RetryPolicy(
            retry.first, retry.factor, retry.longest, retry.jitter, retry.attempts, retry.age
        ),
    )


class Node:
    """One node; `load` reads the configuration anew for a reload."""

    def __init__(self, configuration: Configuration, template: Template, load: Load) -> None:
        self.configuration = configuration
        self.archives: dict[str, Archive] = {}
        self.delivery: Delivery | None = None
        self.listener: Listener | None = None
        self.started = time.time()
        self.ports: dict[str, int] = {}
        self._template = template
        self._load = load
        self._access = Access(configuration)
        self._admissions: dict[str, Admission] = {}
        self._notifier = ServiceNotifier()
        workers = configuration.workers
        self.pool = WorkerPool(template, "general", workers.general, workers.idle)

    async def run(self) -> None:
        """Until SIGTERM or SIGINT; then drain. SIGHUP reloads."""
        async with Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            await self._open_archives()
            try:
                async with TaskGroup() as group:
                    self.delivery = Delivery(
                        self.configuration, self.archives, resolve=self._resolve
                    )
                    group.start(self.delivery.run(), "delivery")
                    self._make_admissions()
                    self._start_control(group)
                    self._listen()
                    group.start(self._beat(), "watchdog")
                    if self.configuration.metrics.file:
                        group.start(self._write_metrics(), "metrics")
                    self._notifier.ready("listening")
                    observation.notice("ready", version=__version__, **self._where())
                    while await signals.receive() == signal.SIGHUP:
                        self.reload()
                    await self._drain()
                    group.cancel()
            finally:
                for archive in self.archives.values():
                    await archive.close()

    async def _open_archives(self) -> None:
        receiver = Routing.of(self.configuration)
        for table in self.configuration.archives:
            folder = archive_folder(self.configuration, table)
            folder.mkdir(parents=True, exist_ok=True)
            self.archives[table.name] = await Archive.open(
                folder,
                self._template,
                receiver,
                settings=archive_settings(self.configuration, table),
                pool=self.pool,
                name=table.name,
            )

    def _make_admissions(self) -> None:
        class_uid, version_name = implementation_of(self.configuration)
        support = _Support(
            {name: _WakingKeeper(each, self._wake) for name, each in self.archives.items()},
            class_uid,
            version_name,
            self.configuration.limits.object_size,
        )
        self._admissions = {
            entity.name: Admission(
                offer_of(entity, self.configuration),
                providers_of(entity, support),
                entity.timers,
                entity=entity.name,
            )
            for entity in self.configuration.entities
        }

    def _wake(self) -> None:
        if self.delivery is not None:
            self.delivery.wake()

    def _start_control(self, group: TaskGroup) -> None:
        path = self.configuration.node.control
        if path:
            mode = self.configuration.node.control_mode
            control = ControlSocket(Path(path), mode, answers_of(self))
            group.start(control.run(), "control")

    def _listen(self) -> None:
        limits = self.configuration.limits
        self.listener = Listener(
            self._admit,
            limits=ListenerLimits(
                associations=limits.associations,
                waiting=limits.waiting_connections,
                waiting_per_host=limits.waiting_connections_per_host,
                command_set=limits.command_set,
                upper_layer=UpperLayerLimits(maximum_associate_length=limits.association_request),
            ),
        )
        bound: set[tuple[str, int]] = set()
        for entity in self.configuration.entities:
            for address in entity.bind_addresses:
                if entity.port and (address, entity.port) not in bound:
                    bound.add((address, entity.port))
                    self._bind(entity, address)

    def _bind(self, entity: Entity, address: str) -> None:
        assert self.listener is not None
        try:
            self.ports[entity.name] = self.listener.bind(
                address,
                entity.port,
                socket=entity.socket,
                ssl_context=server_context(entity.tls),
                timers=entity.timers,
            )
        except OSError as error:
            if address == "::" and "0.0.0.0" in entity.bind_addresses:
                return  # a kernel without IPv6
            raise ConfigurationError(
                f"{entity.name} cannot listen on {address} port {entity.port}: {error.strerror}",
                way_out="Give it another port, or stop what listens there.",
            ) from error

    def _admit(self, request: AssociateRequest, caller: Caller) -> Admission | AssociateReject:
        found = self._access.decide(request, caller.address, caller.local_port, self._counted)
        if isinstance(found, AssociateReject):
            return found
        entity, peer = found
        admission = self._admissions[entity.name]
        if peer is None:
            return admission
        return Admission(
            admission.offer,
            admission.providers,
            admission.timers,
            entity=entity.name,
            peer=peer.name,
        )

    def _counted(self, entity: str, calling: str, address: str) -> int:
        assert self.listener is not None
        return sum(
            each.entity == entity
            and (not calling or (each.calling_ae_title == calling and each.address == address))
            for each in self.listener.associations
        )

    @property
    def associations(self) -> set[Association]:
        """Those that others opened with us."""
        return self.listener.associations if self.listener is not None else set()

    def reload(self) -> None:
        """Read the configuration anew; what is wrong with it is said, and nothing changes.

        Associations go on; new ones follow the new rules. What needs a restart is named.
        """
        self._notifier.reloading()
        try:
            fresh = self._load()
        except Exception as error:
            observation.error("configuration refused", error=error)
            return
        finally:
            self._notifier.ready("listening")
        self.configuration = fresh
        self._access = Access(fresh)
        self._make_admissions()
        if self.delivery is not None:
            self.delivery.reload(fresh)
        current_loop().start_background(self._send_rules(), "rules")
        observation.notice("configuration reloaded", **self._where())

    async def _send_rules(self) -> None:
        for archive in self.archives.values():
            await archive.set_receiver(Routing.of(self.configuration))

    async def _drain(self) -> None:
        self._notifier.stopping()
        observation.notice("draining", associations=len(self.associations))
        if self.listener is not None:
            await self.listener.drain(self.configuration.node.drain)

    async def _beat(self) -> None:
        while True:
            self._notifier.beat()
            deadline = self._notifier.deadline()
            loop = current_loop()
            await sleep(max(0.05, deadline - loop.clock.now()) if deadline is not None else 60.0)

    async def _write_metrics(self) -> None:
        while True:
            table = self.configuration.metrics
            path = Path(table.file)
            fresh = path.with_suffix(path.suffix + ".new")
            try:
                fresh.write_text(observation.metrics.render())
                fresh.replace(path)
            except OSError as error:
                observation.warning("metrics not written", file=path, error=error.strerror)
            await sleep(table.interval)

    async def _resolve(self, host: str, port: int) -> list[SocketAddress]:
        found: list[SocketAddress] = await self.pool.call(look_up, host, port)
        return found

    def _where(self) -> dict[str, object]:
        return {
            "profile": self.configuration.profile or "none",
            **{f"port_{name}": port for name, port in self.ports.items()},
        }
