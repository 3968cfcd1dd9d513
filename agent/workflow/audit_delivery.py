"""Audit messages on their way to one repository: in order, at least once.

Over TLS nobody acknowledges a message (RFC 5425). What is counted as delivered was acknowledged by
the kernel of the receiver (SIOCOUTQ is 0), and the connection lived on for a while after that: a
receiver that is killed closes it, and a machine that is gone no longer answers the kernel's probes.
Everything later is sent again over the next connection, with the same number. UDP has no such
signs: what was sent is gone, but for a port that is told to be closed. Memory: 64 messages.
"""

from __future__ import annotations

import contextlib
import random
from collections import deque

from agent import observation
from agent.archive.retry import Again, after_failure
from agent.archive.settings import RetryPolicy
from agent.configuration.audit import AuditRepository
from agent.errors import GantryError
from agent.loop import Event, TaskGroup, TimedOut, now, sleep, timeout
from agent.network.resolution import Resolve
from agent.network.stream import ConnectionLost
from agent.quoting import quoted
from agent.security.audit_queue import AuditQueue
from agent.security.audit_syslog import Recorded, Sender
from agent.security.audit_transport import Connection, open_connection

SENT = observation.metrics.counter(
    "gantry_audit_sent_total", "Audit messages that were sent, repeats included", "repository"
)
WAITING = observation.metrics.gauge(
    "gantry_audit_waiting", "Audit messages that a repository may not have", "repository"
)
TOO_LONG = observation.metrics.counter(
    "gantry_audit_too_long_total", "Audit messages above the limit of a repository", "repository"
)
_LARGEST_DATAGRAM = 65507


class AuditDelivery:
    """Sends what waits for one repository, for ever."""

    def __init__(
        self, table: AuditRepository, queue: AuditQueue, host: str, resolve: Resolve | None
    ) -> None:
        self.table = table
        self.failures = 0
        self.last_reason = ""
        self._queue = queue
        self._resolve = resolve
        self._sender = Sender(host, table.facility, bom=table.byte_order_mark)
        self._work = Event()
        retry = table.retry
        self._policy = RetryPolicy(retry.first, retry.factor, retry.longest, retry.jitter)
        self._told_too_long = False
        self._connected = False
        self._sent = 0

    def wake(self) -> None:
        """There is another message."""
        self._work.set()

    @property
    def waiting(self) -> int:
        """Messages that the repository may not have."""
        return self._queue.waiting(self.table.name)

    @property
    def is_sending(self) -> bool:
        """Whether it is connected, and something is there that was not sent."""
        return self._connected and self._sent < self._queue.next

    async def run(self) -> None:
        """Until cancelled. A repository that is away is told of once, and waited for."""
        while True:
            try:
                await self._serve()
            except GantryError as error:
                self._failed(error)
            wait = after_failure(
                self._policy, attempts=max(1, self.failures), age=0.0, chance=random.random()
            )
            await sleep(wait.delay if isinstance(wait, Again) else self.table.retry.longest)

    def _failed(self, error: GantryError) -> None:
        if not self.waiting:
            return  # It may close what is not used.
        self.failures += 1
        self.last_reason = str(error)
        WAITING.of(self.table.name).set(self.waiting)
        say = observation.warning if self.failures == 1 else observation.debug
        say(
            "audit repository away",
            repository=self.table.name,
            waiting=self.waiting,
            error=error,
        )

    async def _serve(self) -> None:
        """Over one connection, until it ends. Raises GantryError."""
        while not self.waiting:
            self._work.clear()
            await self._work.wait()
        connection = await open_connection(
            self.table, self._sender, self._resolve, self.table.confirm
        )
        self._connected = True
        try:
            async with TaskGroup() as group:
                group.start(self._watch(connection), "audit repository")
                await self._send_over(connection)
        finally:
            self._connected = False
            connection.close()

    async def _watch(self, connection: Connection) -> None:
        raise ConnectionLost(f"{quoted(await connection.ended())}")

    async def _send_over(self, connection: Connection) -> None:
        queue, name = self._queue, self.table.name
        sent = self._sent = queue.place(name)
        confirmed: deque[tuple[float, int]] = deque()
        hold = self.table.confirm if self.table.transport == "tls" else 0.0
        while True:
            self._work.clear()
            batch = queue.read(sent)
            if batch:
                fitting = [each for each in batch if self._fits(each)]
                await connection.send(fitting)
                SENT.of(name).add(len(fitting))
                await connection.acknowledged()
                sent = self._sent = batch[-1].number + 1
                confirmed.append((now() + hold, sent))
            else:
                sent = self._sent = max(sent, queue.next)
            while confirmed and confirmed[0][0] <= now():
                queue.advance(name, confirmed.popleft()[1])
                self._arrived()
            WAITING.of(name).set(self.waiting)
            if not batch:
                with (
                    contextlib.suppress(TimedOut),
                    timeout(max(0.001, confirmed[0][0] - now()) if confirmed else 3600.0),
                ):
                    await self._work.wait()

    def _arrived(self) -> None:
        if self.failures:
            self.failures, self.last_reason = 0, ""
            observation.notice("audit repository there", repository=self.table.name)

    def _fits(self, recorded: Recorded) -> bool:
        table = self.table
        largest = table.largest or (_LARGEST_DATAGRAM if table.transport == "udp" else 0)
        if not largest or len(recorded.xml) + 512 <= largest:
            return True
        TOO_LONG.of(table.name).add()
        if not self._told_too_long:
            self._told_too_long = True
            observation.error(
                "audit message too long",
                repository=table.name,
                number=recorded.number,
                bytes=len(recorded.xml),
                limit=largest,
            )
        return False
