"""The audit trail: it hears of occasions, makes messages of them, keeps them, and has them sent.

What is heard is done with at once where all is known; what only the archive knows is asked of it in
the background, one question at a time. A message is in the queue on disk as soon as it is made.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from agent import observation
from agent.archive.worker_entries import sync
from agent.configuration.audit import AUDIT_EVENTS, Audit, AuditRepository
from agent.configuration.configuration import Configuration
from agent.errors import GantryError
from agent.loop import Event, Task, TaskGroup, TimedOut, now, shielded, sleep, timeout
from agent.quoting import Sentence
from agent.security import audit_terms as terms
from agent.security.audit_events import EVENT_ROWS, faults
from agent.security.audit_message import SUCCESS, AuditMessage, AuditSource
from agent.security.audit_queue import AuditQueue
from agent.security.audit_syslog import NOTICE, WARNING
from agent.security.audit_terms import AuditTerm
from agent.security.audit_told import forget, take, told_folder, waiting_in
from agent.security.operators import asked_by
from agent.workflow.audit_alerts import Alerts
from agent.workflow.audit_delivery import AuditDelivery
from agent.workflow.audit_objects import ObjectsHeard
from agent.workflow.audit_occasions import (
    OCCASIONS,
    application,
    audit_log_used,
    network_entry,
    refused,
    security_alert,
)
from agent.workflow.audit_participants import Us
from agent.workflow.audit_persons import all_by, by_person
from agent.workflow.audit_questions import BEGUN_BY_QUESTIONS, QuestionsHeard
from agent.workflow.audit_refused import RefusedObjects
from agent.workflow.auditing import AuditedNode

LOST = observation.metrics.counter(
    "gantry_audit_lost_total", "Audit messages that were lost for want of room or a faulty disk"
)
RECORDED = observation.metrics.counter(
    "gantry_audit_recorded_total", "Audit messages that were made", "event"
)
EVENT_NAMES = dict(zip(AUDIT_EVENTS, EVENT_ROWS, strict=True))
"""The messages by the names that the configuration has for them."""
_BY_RULES = ("access.", "tls.", "user.")
_REFUSALS = ("association rejected", "connection failed")
_SYNCED_EACH, _TIDIED_EACH = 1.0, 60.0
_LAST_WORDS = 2.0


def queue_folder(configuration: Configuration) -> Path:
    """Where the messages of a node wait."""
    return Path(configuration.node.state, "audit")


class AuditTrail:
    """One audit trail. Raises StorageError when its queue cannot be opened."""

    def __init__(self, node: AuditedNode) -> None:
        self._configuration = node.configuration
        self._archives = node.archives
        self._pool = node.pool
        self._resolve = node.resolve
        table = node.configuration().audit
        self.queue = AuditQueue(
            queue_folder(node.configuration()),
            size=table.size,
            keep=table.keep,
            newest=table.when_full != "oldest",
        )
        self._told = told_folder(Path(node.configuration().node.state))
        self._told.mkdir(exist_ok=True, mode=0o700)
        self._adopt(table)
        self._objects = ObjectsHeard(
            self._configuration, lambda: self.us, self._archives, self.queue.folder, self.record
        )
        self._alerts = Alerts(self.record)
        self._refusals = RefusedObjects(
            lambda: self.us, lambda: self._configuration().audit.longest, self.record
        )
        self._questions = QuestionsHeard(lambda: self.us, self._archives, self.record)
        self._running: dict[str, tuple[AuditDelivery, Task[None]]] = {}
        self._reloaded = Event()
        self._process = os.getpid()
        self._is_telling = False
        self._told_full = False
        self._refused = ""

    def _adopt(self, table: Audit) -> None:
        titles = dict.fromkeys(each.title for each in self._configuration().entities)
        self.us = Us(table.address or socket.gethostname(), tuple(titles))
        self._source = AuditSource(
            table.source or self._configuration().node.name, table.site, table.source_type
        )
        self._wanted = frozenset(
            term for name, term in EVENT_NAMES.items() if name not in table.left_out
        )
        self.queue.size, self.queue.keep = table.size, table.keep
        self.queue.newest = table.when_full != "oldest"

    async def run(self, *, starts: bool) -> None:
        """Until cancelled, or the configuration has no repository any more. `starts`: so does the
        node now."""
        log = observation.log
        before = log.watcher, log.is_audited
        log.watcher, log.is_audited = self.heard, True
        try:
            self._places()
            if starts:
                self.record(application(self.us, terms.APPLICATION_START))
                self.record(network_entry(self.us, terms.ATTACH))
            self._tell_recording(terms.AUDIT_RECORDING_STARTED, "The audit trail begins")
            async with TaskGroup() as group:
                group.start(self._objects.run(), "audited objects")
                group.start(self._questions.run(), "audited questions")
                group.start(self._alerts.run(), "audited alerts")
                group.start(self._refusals.run(), "audited refusals")
                group.start(self._keep(), "audit queue")
                try:
                    while self._configuration().audit.repositories:
                        self._reloaded.clear()
                        self._follow(group)
                        await self._reloaded.wait()
                finally:
                    with shielded():
                        await self._say_the_rest()
                group.cancel()
        finally:
            log.watcher, log.is_audited = before
            for archive in self._archives.values():
                archive.before_deletion = None
            self.queue.close()
            if not self._configuration().audit.repositories:
                # Commands tell the journal from now on.
                with suppress(OSError):
                    self._told.rmdir()

    async def _say_the_rest(self) -> None:
        """What is under way is told; those who listen get it now, the others when we are back."""
        with suppress(GantryError, TimedOut), timeout(_LAST_WORDS):
            self._objects.end()
            await self._objects.settle()
            await self._questions.settle()
        self._alerts.end()
        self._refusals.end()
        self._tell_recording(terms.AUDIT_RECORDING_STOPPED, "The audit trail ends")
        if self._configuration().audit.repositories:
            self.record(application(self.us, terms.APPLICATION_STOP))
        with suppress(TimedOut), timeout(_LAST_WORDS):
            while any(each.is_sending for each, _ in self._running.values()):
                await sleep(0.02)

    # What is heard.

    def heard(self, event: str, fields: Mapping[str, object]) -> None:
        """An event of the log, or an occasion. Never raises: what is audited must go on."""
        if self._is_telling or os.getpid() != self._process:
            return
        self._is_telling = True
        try:
            if event == "configuration reloaded":
                table = self._configuration().audit
                if table.repositories:
                    self._adopt(table)
                self._reloaded.set()
            self._hear(event, fields)
        except Exception as error:
            observation.error("occasion not audited", event=event, **observation.unforeseen(error))
        finally:
            self._is_telling = False

    def _hear(self, event: str, fields: Mapping[str, object]) -> None:
        handler, person = OCCASIONS.get(event), asked_by()
        if event == "user.authenticated":
            for message in refused(self.us, event, fields):
                self.record(message)
        elif event.startswith(_BY_RULES):
            if event == "access.refused":
                self._refused = str(fields.get("address"))
            self._alerts.note(all_by(refused(self.us, event, fields), person))
        elif event in _REFUSALS:
            # What a rule refused is told of by its own event, which says more.
            told, self._refused = self._refused == str(fields.get("address")), ""
            if handler is not None and not told:
                self._alerts.note(handler(self.us, fields))
        elif handler is not None:
            if event in BEGUN_BY_QUESTIONS:
                person = self._questions.who_began(event, fields)
            for message in all_by(handler(self.us, fields), person):
                self.record(message)
        elif event == "question":
            self._questions.heard(fields)
        elif event == "delivery":
            self._questions.delivery(person, fields)
        elif event == "request refused":
            self._refusals.heard(fields)
        else:
            if event == "association ended":
                self._refusals.end_association(str(fields.get("association")))
            self._objects.heard(event, fields)

    def record(self, message: AuditMessage) -> None:
        """Keep a message, if it is one that is wanted."""
        if message.event not in self._wanted:
            return
        for fault in faults(message):
            observation.error("audit message is wrong", fault=Sentence(fault))
        severity = NOTICE if message.outcome == SUCCESS else WARNING
        lost = self.queue.lost
        try:
            self.queue.append(message.xml(self._source), severity, message.when)
        except GantryError as error:
            observation.error("audit message lost", event=message.event.meaning, error=error)
        RECORDED.of(message.event.meaning).add()
        if self.queue.lost > lost:
            LOST.of().add(self.queue.lost - lost)
            self._tell_full()
        for each, _ in self._running.values():
            each.wake()

    def _tell_recording(self, kind: AuditTerm, text: str) -> None:
        self.record(security_alert(self.us, kind, SUCCESS, text))

    def _tell_full(self) -> None:
        if not self._told_full:
            self._told_full = True
            observation.error(
                "audit messages lost",
                lost=self.queue.lost,
                size=self.queue.size,
                which=self._configuration().audit.when_full,
            )

    @property
    def holds_up_work(self) -> bool:
        """Whether new associations are refused for want of room (`when_full = "refuse"`)."""
        return self._configuration().audit.when_full == "refuse" and self.queue.is_full

    # What goes on.

    def _places(self) -> None:
        """Who begins to listen gets what comes from now on."""
        repositories = self._configuration().audit.repositories
        self.queue.keep_places_of({each.name for each in repositories})
        for each in repositories:
            self.queue.place(each.name)
        for name, archive in self._archives.items():
            archive.before_deletion = partial(self._objects.before_deletion, name)

    def _follow(self, group: TaskGroup) -> None:
        wanted = {each.name: each for each in self._configuration().audit.repositories}
        for name, (delivery, task) in list(self._running.items()):
            if wanted.get(name) != delivery.table:
                del self._running[name]
                task.cancel()
        self._places()
        for name, table in wanted.items():
            if name not in self._running:
                self._running[name] = self._started(group, table)

    def _started(
        self, group: TaskGroup, table: AuditRepository
    ) -> tuple[AuditDelivery, Task[None]]:
        delivery = AuditDelivery(table, self.queue, self.us.address, self._resolve)
        return delivery, group.start(delivery.run(), f"audit to {table.name}")

    async def _keep(self) -> None:
        """The queue is synced in a worker, each second at most, and tidied now and then."""
        due = 0.0
        while True:
            await sleep(_SYNCED_EACH)
            descriptor = self.queue.descriptor_to_sync()
            if descriptor is not None:
                with suppress(GantryError):
                    await self._pool.call(sync, descriptors=(descriptor,))
            await self._take_told()
            if now() >= due:
                due = now() + _TIDIED_EACH
                self.queue.tidy(time.time())
            if self._told_full and not self.queue.is_full:
                self._told_full = False
                text = f"Audit messages were lost for want of room: {self.queue.lost}"
                self._tell_recording(terms.AUDIT_RECORDING_STOPPED, text)

    async def _take_told(self) -> None:
        """What commands told of that worked beside the node."""
        names = waiting_in(self._told)
        if not names:
            return
        with suppress(GantryError):
            for each in await self._pool.call(take, self._told, names):
                if isinstance(each, str):
                    observation.warning("a command told nothing that can be audited", error=each)
                else:
                    self.record(each)
            await self._pool.call(forget, self._told, names)

    # What people ask.

    async def answer(self, request: dict[str, Any]) -> Any:
        """`what`: "status", or "messages" from `number` on (negative: so many of the last)."""
        if request.get("what") != "messages":
            return {
                "folder": str(self.queue.folder),
                "bytes": self.queue.held,
                "size": self.queue.size,
                "first": self.queue.oldest,
                "next": self.queue.next,
                "lost": self.queue.lost,
                "repositories": [
                    {
                        "name": name,
                        "transport": each.table.transport,
                        "address": str(each.table.address or each.table.socket),
                        "waiting": each.waiting,
                        "failures": each.failures,
                        "reason": each.last_reason,
                    }
                    for name, (each, _) in self._running.items()
                ],
            }
        if not request.get("again"):
            # Who goes on reading has been told of.
            used = audit_log_used(self.us, self.queue.folder.as_uri())
            self.record(by_person(used, asked_by()))
        number = int(request.get("number", 1))
        if number < 0:
            number = max(1, self.queue.next + number)
        limit = max(1, min(int(request.get("limit", 100)), 1000))
        return [
            {"number": each.number, "when": each.when, "severity": each.severity, "xml": each.xml}
            for each in self.queue.read(number, limit, 1 << 20)
        ]
