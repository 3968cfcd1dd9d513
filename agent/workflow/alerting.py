"""The alerts of a node, as long as it has none to tell: what they take is imported when it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from agent.archive.archive import Archive
from agent.configuration.configuration import Configuration
from agent.loop import Event
from agent.loop.workers import WorkerPool
from agent.network.resolution import Resolve
from agent.workflow.calendar_watch import CalendarWatch
from agent.workflow.certificate_watch import CertificateWatch
from agent.workflow.health import Health
from hal.clock import CalendarState

if TYPE_CHECKING:
    from agent.workflow.alerts import Alerts


class Looked(Protocol):
    """What is needed of the node."""

    archives: dict[str, Archive]
    calendar: CalendarWatch
    certificates: CertificateWatch
    configuration: Configuration
    health: Health
    pool: WorkerPool


class Alerting:
    """Runs `Alerts` while the configuration has somebody to tell; is what they look at."""

    def __init__(self, node: Looked, resolve: Resolve) -> None:
        self._node = node
        self._resolve = resolve
        self._changed = Event()
        self._alerts: Alerts | None = None

    @property
    def configuration(self) -> Configuration:
        return self._node.configuration

    @property
    def archives(self) -> Mapping[str, Archive]:
        return self._node.archives

    @property
    def pool(self) -> WorkerPool:
        return self._node.pool

    def calendar_state(self) -> CalendarState:
        return self._node.calendar.state

    def certificates(self) -> Sequence[Mapping[str, Any]]:
        return self._node.certificates.listing()

    def doctor_faults(self) -> int | None:
        """How many `gantry doctor` found when it looked last; None: it never has."""
        return self._node.health.faults

    def listing(self) -> list[dict[str, Any]]:
        """What is wrong, as people see it: alert, text, since; nothing while nobody is told."""
        return self._alerts.listing() if self._alerts is not None else []

    def reload(self) -> None:
        """There is another configuration."""
        self._changed.set()
        if self._alerts is not None:
            self._alerts.reload()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            table = self.configuration.alerts
            if not table.are_wanted:
                await self._changed.wait()
                continue
            from agent.workflow.alerts import Alerts

            await self._node.health.look()
            self._alerts = Alerts(self, self._resolve)
            try:
                await self._alerts.run()
            finally:
                self._alerts = None
