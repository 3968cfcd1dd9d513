"""The audit trail of a node, as long as it has none: what it takes is imported when it has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from agent import observation
from agent.archive.archive import Archive
from agent.configuration.configuration import Configuration
from agent.errors import LocalError
from agent.loop import Event
from agent.loop.workers import WorkerPool
from agent.network.resolution import Resolve

if TYPE_CHECKING:
    from agent.workflow.audit_trail import AuditTrail


class AuditedNode(NamedTuple):
    """What an audit trail needs of the node that it is about."""

    configuration: Callable[[], Configuration]
    archives: Mapping[str, Archive]
    pool: WorkerPool
    resolve: Resolve


class Auditing:
    """Runs an `AuditTrail` while the configuration has a repository for it."""

    def __init__(self, node: AuditedNode) -> None:
        self._node = node
        self._changed = Event()
        self._trail: AuditTrail | None = None
        observation.log.watcher = self._heard

    async def run(self) -> None:
        """Until cancelled; what is under way then is told before. Raises StorageError."""
        starts = True
        while True:
            self._changed.clear()
            if self._node.configuration().audit.repositories:
                # The rest of the module graph of audit messages takes half a megabyte.
                from agent.workflow.audit_trail import AuditTrail

                trail = AuditTrail(self._node)
                self._trail = trail
                try:
                    await trail.run(starts=starts)
                finally:
                    self._trail = None
            else:
                await self._changed.wait()
            starts = False

    @property
    def is_full(self) -> bool:
        """Whether messages wait, there is no room for more, and work shall wait with them."""
        return self._trail is not None and self._trail.holds_up_work

    async def answer(self, request: dict[str, Any]) -> Any:
        """What `gantry audit` asks. Raises LocalError where there is no audit trail."""
        if self._trail is None:
            raise LocalError(
                "this node has no audit trail",
                way_out="Give it an [[audit.repository]].",
            )
        return await self._trail.answer(request)

    def _heard(self, event: str, fields: Mapping[str, object]) -> None:
        """As long as there is no trail, only that there may be one now."""
        if event == "configuration reloaded":
            self._changed.set()
