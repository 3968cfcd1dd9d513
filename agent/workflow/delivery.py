"""Delivery: every peer that objects and messages are sent to, side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agent import observation
from agent.archive.archive import Archive
from agent.archive.decision import DELIVER
from agent.archive.records import JobState
from agent.codecs.codec import EncodeSettings
from agent.configuration.configuration import Configuration
from agent.configuration.peer import Peer
from agent.configuration.references import named_peers
from agent.errors import GantryError
from agent.loop import Event, Limit, Task, TaskGroup
from agent.loop.workers import WorkerPool
from agent.network.resolution import Resolve
from agent.network.status import SOP_CLASS_NOT_SUPPORTED
from agent.workflow.bandwidth import Bandwidth
from agent.workflow.converted_copy import Converter
from agent.workflow.destination import Destination
from agent.workflow.signatures_anew import signatures_anew
from agent.workflow.supervision import supervised
from agent.workflow.turns import Turns

if TYPE_CHECKING:
    from agent.workflow.errands import Errands

MESSAGES = frozenset(("performed-step", "commitment", "availability", "inventory-creation"))
"""Services of a peer to which messages are sent as errands."""


class Delivery:
    """Runs a `Destination` for each association that a peer with an address may hold, and its
    `Errands` where messages are sent to it."""

    def __init__(
        self,
        configuration: Configuration,
        archives: Mapping[str, Archive],
        *,
        resolve: Resolve | None = None,
        pool: WorkerPool | None = None,
        turns: Turns | None = None,
    ) -> None:
        """`pool` converts objects; without it they go out in their own transfer syntax only.

        `turns` are those of all associations of the node.
        """
        self._configuration = configuration
        self._archives = archives
        self._resolve = resolve
        self._pool = pool
        self._turns = turns or Turns()
        self._limit = Limit(configuration.delivery.associations)
        self._running: dict[str, list[tuple[Destination, Task[None]]]] = {}
        self._errands: dict[str, tuple[Errands, Task[None]]] = {}
        self._changed = Event()
        self._reloaded = False

    async def run(self) -> None:
        """Until cancelled. A reload starts and ends destinations here."""
        async with TaskGroup() as group:
            while True:
                self._changed.clear()
                reloaded, self._reloaded = self._reloaded, False
                await self._follow(group)
                self._follow_errands(group)
                if reloaded and self._configuration.delivery.retry_after_reload:
                    await self._try_refused_again()
                await self._changed.wait()

    async def _follow(self, group: TaskGroup) -> None:
        wanted = {
            peer.name: peer
            for peer in self._configuration.peers
            if peer.addresses and "storage" in peer.services
        }
        for name, running in list(self._running.items()):
            if wanted.get(name) != running[0][0].peer:
                del self._running[name]
                for _, task in running:
                    task.cancel()
            for destination, _ in running:
                destination.configuration = self._configuration
        for name, peer in wanted.items():
            if name not in self._running:
                self._start(group, peer)

    def _follow_errands(self, group: TaskGroup) -> None:
        wanted = {each.name: each for each in messaged_peers(self._configuration)}
        if wanted:
            # A node that only relays takes no memory for it.
            from agent.workflow.errands import Errands
        for name, (errands, task) in list(self._errands.items()):
            errands.configuration = self._configuration
            if wanted.get(name) != errands.peer:
                del self._errands[name]
                task.cancel()
        for name, peer in wanted.items():
            if name not in self._errands:
                errands = Errands(
                    peer,
                    self._configuration,
                    self._archives,
                    self._resolve,
                    self.wake_errands,
                    self._turns,
                )
                run = supervised(errands.run, "errands", told=errands.note_fault, peer=name)
                self._errands[name] = (errands, group.start(run, f"errands to {name}"))

    def wake_errands(self, peer: str) -> None:
        """There are new messages for this peer, or objects to be sent to it; "": to anybody."""
        if peer in self._errands:
            self._errands[peer][0].wake()
        self.wake(peer or None)

    def _start(self, group: TaskGroup, peer: Peer) -> None:
        bandwidth = Bandwidth(peer.window.bandwidth)
        idle = Limit(peer.window.cached)
        number = 1 if peer.quirks.single_association else peer.window.associations
        converter = None
        if self._pool is not None:
            settings = EncodeSettings(quality=peer.lossy.quality, near=peer.lossy.near)
            converter = Converter(
                self._pool,
                Limit(self._conversions()),
                settings,
                signatures_anew(self._configuration),
            )
        running = self._running[peer.name] = []
        for _ in range(number):
            destination = Destination(
                peer,
                self._configuration,
                self._archives,
                self._limit,
                self._resolve,
                self._turns,
                bandwidth,
                idle,
                converter,
                self.wake_errands,
            )
            task = group.start(
                supervised(
                    destination.run, "delivery", told=destination.note_fault, peer=peer.name
                ),
                f"delivery to {peer.name}",
            )
            running.append((destination, task))

    def _conversions(self) -> int:
        """How many objects at once are converted for a peer."""
        return self._configuration.workers.codecs or max(1, len(os.sched_getaffinity(0)) - 1)

    async def _try_refused_again(self) -> None:
        """What is held because a peer did not take its class or syntax: it may take it now."""
        for name, archive in list(self._archives.items()):
            after: int | None = 0
            try:
                while after is not None:
                    page = await archive.jobs(
                        state=JobState.HELD, kind=DELIVER, after=after, limit=1000
                    )
                    refused = [
                        job.id for job in page.items if job.status == SOP_CLASS_NOT_SUPPORTED
                    ]
                    if refused:
                        await archive.again(refused)
                    after = page.next
            except GantryError as error:
                observation.warning("held jobs not tried again", archive=name, error=error)
        self.wake()

    def wake(self, destination: str | None = None) -> None:
        """There are new jobs for this peer, or for any."""
        for name, running in self._running.items():
            if destination in (None, name):
                for each, _ in running:
                    each.wake()

    def hurry(self) -> None:
        """Try everything now that waits for a back-off."""
        for running in self._running.values():
            for each, _ in running:
                each.hurry()
        for errands, _ in self._errands.values():
            errands.hurry()

    def reload(self, configuration: Configuration) -> None:
        """Follow another configuration; destinations that did not change go on undisturbed."""
        self._configuration = configuration
        self._reloaded = True
        self._changed.set()
        self.hurry()

    def status(self) -> list[dict[str, Any]]:
        """Each destination: what was delivered, and what the last failure said."""
        errands = [
            {
                "peer": name,
                "delivered": 0,
                "failures": each.failures,
                "last_reason": each.last_reason,
            }
            for name, (each, _) in self._errands.items()
            if name not in self._running or each.last_reason
        ]
        return errands + [
            {
                "peer": name,
                "delivered": sum(each.settlement.delivered for each, _ in running),
                "failures": max(each.failures for each, _ in running),
                "last_reason": next(
                    (
                        each.settlement.last_reason
                        for each, _ in running
                        if each.settlement.last_reason
                    ),
                    "",
                ),
            }
            for name, running in self._running.items()
        ]


def messaged_peers(configuration: Configuration) -> list[Peer]:
    """Peers with an address to which messages may have to be sent."""
    named = {name for _, name in named_peers(configuration)}
    commits = any(entity.services_of("commitment", "scp") for entity in configuration.entities)
    return [
        peer
        for peer in configuration.peers
        if peer.addresses
        and (
            commits
            or peer.name in named
            or peer.commitment.each != "never"
            or not MESSAGES.isdisjoint(peer.services)
        )
    ]
