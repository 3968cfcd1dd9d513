"""Tells by mail and syslog what is wrong with the box, once, and once more when it is over.

What was told is on the disk before anything else is: a restart tells nothing twice, but for a mail
whose acceptance nobody could note. Mails wait in quiet hours; what begins and ends meanwhile is not
told at all. A channel that fails is tried again, at first soon, then every half an hour.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import observation
from agent.configuration.alerts import Alerts as AlertsTable
from agent.configuration.alerts import AlertSyslog
from agent.errors import GantryError, StorageError
from agent.loop import Event, TimedOut, now, timeout
from agent.network.resolution import Resolve
from agent.workflow import kept_text
from agent.workflow.alert_conditions import Conditions, Watched
from agent.workflow.alert_record import AlertRecord, Told

LOOKS = observation.metrics.counter(
    "gantry_alert_looks_total", "Times that it was looked for what there is to tell"
)
OPEN = observation.metrics.gauge("gantry_alerts_open", "Alerts that are not over")

_MAIL = "mail"
_FIRST_WAIT, _LONGEST_WAIT = 30.0, 1800.0


@dataclass(slots=True)
class _Failing:
    """A channel that does not take anything; `due` by the steady clock."""

    count: int = 0
    due: float = 0.0


class Alerts:
    """The alerts of one node, while there is somebody to tell."""

    def __init__(self, watched: Watched, resolve: Resolve) -> None:
        self._watched = watched
        self._resolve = resolve
        self._record = AlertRecord()
        self._conditions = Conditions(watched)
        self._failing: dict[str, _Failing] = {}
        self._changed = Event()
        self._kept = ""

    def reload(self) -> None:
        """There is another configuration."""
        self._failing.clear()
        self._changed.set()

    def listing(self) -> list[dict[str, Any]]:
        """Those that are open, as people see them."""
        return self._record.listing(time.time())

    async def run(self) -> None:
        """Until there is nobody to tell any more."""
        await self._recall()
        while self._table.are_wanted:
            self._changed.clear()
            await self._look()
            try:
                with timeout(self._table.look):
                    await self._changed.wait()
            except TimedOut:
                continue

    @property
    def _table(self) -> AlertsTable:
        return self._watched.configuration.alerts

    async def _look(self) -> None:
        table = self._table
        wrong = await self._conditions.look()
        self._record.look(wrong, time.time(), self._conditions.unknown)
        channels: dict[str, Callable[[Sequence[Told]], Awaitable[None]]] = {}
        if table.mail.recipients:
            channels[_MAIL] = self._mail
        for each in table.syslog:
            channels[f"syslog {each.name}"] = _bound(self._syslog, each)
        self._record.keep_channels(channels)
        OPEN.of().set(len(self.listing()))
        await self._keep()
        for name, tell in channels.items():
            if name != _MAIL or not is_quiet(table.quiet, time.localtime()):
                await self._tell(name, tell)
        LOOKS.of().add()

    async def _tell(self, name: str, tell: Callable[[Sequence[Told]], Awaitable[None]]) -> None:
        failing = self._failing.setdefault(name, _Failing())
        due = self._record.due(name, time.time(), self._table.repeat)
        if not due or now() < failing.due:
            return
        try:
            await tell(due)
        except GantryError as error:
            failing.count += 1
            wait = _FIRST_WAIT * 2 ** min(failing.count - 1, 8)
            failing.due = now() + min(wait, _LONGEST_WAIT)
            say = observation.warning if failing.count == 1 else observation.debug
            say("alert not told", to=name, error=error)
            return
        self._failing[name] = _Failing()
        self._record.told(name, due, time.time())
        await self._keep()
        observation.notice("alerts told", to=name, count=len(due))

    async def _mail(self, tidings: Sequence[Told]) -> None:
        configuration = self._watched.configuration
        own = configuration.alerts.mail
        server = own if own.host else configuration.mail
        # What makes mails is for a worker only.
        from agent.workflow.alert_mail import send

        name = configuration.node.name
        refused = await self._watched.pool.call(send, server, own.recipients, name, list(tidings))
        if refused:
            observation.warning("alert refused", who=refused)

    async def _syslog(self, table: AlertSyslog, tidings: Sequence[Told]) -> None:
        from agent.workflow.alert_syslog import send

        first = self._record.number + 1
        self._record.number += len(tidings)
        await send(table, socket.gethostname(), tidings, first, time.time(), self._resolve)

    # What is kept.

    @property
    def _file(self) -> str:
        return str(Path(self._watched.configuration.node.state, "alerts.json"))

    async def _recall(self) -> None:
        try:
            self._kept = await self._watched.pool.call(kept_text.kept, self._file)
            self._record.recall(self._kept)
        except StorageError as error:
            observation.warning("alerts not remembered", error=error)

    async def _keep(self) -> None:
        text = self._record.as_text()
        if text == self._kept:
            return
        try:
            await self._watched.pool.call(kept_text.keep, self._file, text)
            self._kept = text
        except GantryError as error:
            observation.warning("alerts not kept", error=error)


def _bound(
    tell: Callable[[AlertSyslog, Sequence[Told]], Awaitable[None]], table: AlertSyslog
) -> Callable[[Sequence[Told]], Awaitable[None]]:
    return lambda tidings: tell(table, tidings)


def is_quiet(hours: str, moment: time.struct_time) -> bool:
    """Whether a moment is in hours of the day such as 22:00-06:00, the last minute excluded."""
    if not hours:
        return False
    begin, end = (_minutes(each) for each in hours.split("-"))
    minute = moment.tm_hour * 60 + moment.tm_min
    return begin <= minute < end if begin <= end else minute >= begin or minute < end


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)
