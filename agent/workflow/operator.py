"""The operator: pedals, readers, buttons and devices that speak, and what they lead to.

A code that names an order begins its examination, a pedal captures, a word of an injector starts
or stops; lamps show how it went. An act that fails costs nobody else anything: it is logged, and
the lamp for attention blinks until the next one succeeds.

Serial devices live in workers (`agent.workflow.operator_worker`). The panel does not: its lines are
those of the board, and to request or set them is a system call that waits for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from agent import observation
from agent.configuration.configuration import Configuration
from agent.configuration.intake import Amounts, Serial
from agent.configuration.intake import Panel as PanelTable
from agent.errors import DeviceError, GantryError, LocalError
from agent.loop import (
    Channel,
    Event,
    Task,
    TaskGroup,
    TimedOut,
    shielded,
    timeout,
)
from agent.loop.workers import Service, Template
from agent.quoting import Sentence
from agent.workflow.device_waiting import let_go, until_due
from agent.workflow.examination_entry import KEYS
from agent.workflow.operator_worker import serve_serial
from agent.workflow.supervision import supervised
from hal.panel.base import ButtonPressed, Panel, PanelError, Pattern
from hal.panel.base import open_driver as open_panel
from hal.serial.base import (
    CodeRead,
    Garbage,
    LineReceived,
    PedalPressed,
    PortReturned,
    PortVanished,
    SerialEvent,
    Silence,
)

if TYPE_CHECKING:
    from agent.workflow.examination import Examinations
    from agent.workflow.wanted_captures import WantedCaptures

ACTS = observation.metrics.counter("gantry_operator_acts_total", "Acts of operators", "act")

_WAITING = 8
"""Acts of one device that may wait while one is being done; a foot is quicker than a disk."""

_OPENING, _CLOSING = 30.0, 2.0
"""Seconds in which a port opens, or closes; an adapter that takes longer is broken."""

_WORDS = {
    "start": "start",
    "patient": "start",
    "stop": "finish",
    "freeze": "still",
    "capture": "still",
    "still": "still",
    "burst": "burst",
    "clip": "clip",
    "last": "last",
    "series": "series",
    "finish": "finish",
    "discontinue": "discontinue",
}
"""What a word that a device says leads to, where nothing else is configured."""


Follow = Callable[[Callable[[Pattern], None]], Coroutine[Any, Any, None]]
"""Shows how something is on a lamp, until it is cancelled."""


class Operator:
    """All devices of a node by which it is operated, and its panel."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        examinations: Callable[[], Examinations],
        template: Template,
        followers: Mapping[str, Follow] | None = None,
    ) -> None:
        """`followers`, by their lamps, show how things are by what they are given, until they are
        cancelled."""
        self._configuration = configuration
        self._examinations = examinations
        self._template = template
        self._changed = Event()
        self._running: dict[str, tuple[Serial | PanelTable, Task[None]]] = {}
        self._followers = followers or {}
        self._panel: Panel | None = None
        self._panel_waits: Task[None] | None = None
        self.lamps: dict[str, str] = {}
        """What each lamp shows, by the name of its pattern."""
        self._names: dict[str, str] = {}
        self._in_progress = False

    def reload(self) -> None:
        """Follow another configuration."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled. A reload starts and ends devices and the panel here."""
        async with TaskGroup() as group:
            while True:
                self._changed.clear()
                await self._follow(group)
                await self._changed.wait()

    async def _follow(self, group: TaskGroup) -> None:
        configuration = self._configuration()
        wanted: dict[str, Serial | PanelTable] = {
            f"serial {each.name}": each for each in configuration.serials
        }
        if configuration.panel.kind:
            wanted["panel"] = configuration.panel
        over = [name for name, (table, _) in self._running.items() if wanted.get(name) != table]
        for name in over:
            self._running[name][1].cancel()
        for name in over:
            # The port or the lines must be free before somebody else takes them.
            with suppress(LocalError):
                await self._running[name][1].join()
            del self._running[name]
        for name, table in wanted.items():
            if name not in self._running:
                task = group.start(self._operate(table), name)
                self._running[name] = (table, task)

    async def _operate(self, table: Serial | PanelTable) -> None:
        async def serve() -> None:
            if isinstance(table, Serial):
                await self._serve(table)
            else:
                await self._run_panel(table)

        if isinstance(table, Serial):
            await supervised(serve, "serial", device=table.name)
        else:
            await supervised(serve, "panel")

    # One device.

    async def _serve(self, table: Serial) -> None:
        service = await Service.start(
            self._template,
            serve_serial,
            table.kind,
            dict(table.settings),
            name=f"serial {table.name}",
        )
        acts: Channel[SerialEvent] = Channel(_WAITING)
        try:
            await _open(service)
            async with TaskGroup() as group:
                # Doing takes as long as a capture; listening goes on meanwhile.
                group.start(self._do_all(table, acts), f"acts of {table.name}")
                while True:
                    for event in await service.call("events"):
                        if not acts.put_nowait(event):
                            observation.warning("operator too quick", device=table.name)
        finally:
            await _end(service)

    async def _do_all(self, table: Serial, acts: Channel[SerialEvent]) -> None:
        async for event in acts:
            act, values = _act_of(table, event)
            if act:
                await self._do(table.name, table.capture, act, values, table)

    async def _do(
        self, source: str, capture: str, act: str, values: Mapping[str, str], amounts: Amounts
    ) -> None:
        ACTS.of(act).add()
        observation.info("operator", device=source, act=act)
        self._show(busy=Pattern.FAST)
        try:
            await self._act(capture, act, values, amounts)
        except GantryError as error:
            observation.warning("operator's act failed", device=source, act=act, error=error)
            self._show(attention=Pattern.FAST)
        else:
            self._show(attention=Pattern.OFF)
        self._show(busy=Pattern.SLOW if self._in_progress else Pattern.OFF)

    async def _act(
        self, capture: str, act: str, values: Mapping[str, str], amounts: Amounts
    ) -> None:
        examinations = self._examinations()
        if act == "start":
            name = values.get("OperatorsName", "")
            if name:
                self._names[capture] = name
            keys = {key: value for key, value in values.items() if key in KEYS}
            if keys:
                await examinations.start(
                    keys, device=capture, operator=self._names.get(capture, "")
                )
                self._in_progress = True
        elif act in ("still", "burst", "clip", "last"):
            await examinations.capture(_wanted(act, amounts), device=capture)
        elif act == "series":
            await examinations.new_series(device=capture)
        elif act in ("finish", "discontinue"):
            reason = "110513" if act == "discontinue" else ""
            await examinations.finish(device=capture, discontinue=reason)
            self._in_progress = False
        else:
            raise DeviceError(f"there is no act {act}", way_out="Correct `actions`.")

    # The panel.

    async def _run_panel(self, table: PanelTable) -> None:
        try:
            panel = open_panel(table.kind, **table.settings)
            panel.open()
        except PanelError as error:
            raise DeviceError(f"the panel cannot be used: {error}") from error
        self._panel = panel
        self._show(ready=Pattern.ON)
        try:
            async with TaskGroup() as group:
                for lamp, follow in self._followers.items():
                    group.start(follow(partial(self._show_one, lamp)), f"{lamp} lamp")
                while True:
                    self._panel_waits = group.start(until_due(panel), "panel")
                    with suppress(LocalError):
                        await self._panel_waits.join()
                    self._panel_waits = None
                    await self._press(panel, table)
        finally:
            self._panel = self._panel_waits = None
            self.lamps.clear()
            let_go(panel)

    async def _press(self, panel: Panel, table: PanelTable) -> None:
        for event in panel.events():
            if isinstance(event, ButtonPressed):
                act = str(table.actions.get(event.button, ""))
                if act and act != "nothing":
                    await self._do("panel", "", act, {}, table)

    def _show_one(self, lamp: str, pattern: Pattern) -> None:
        self._show(**{lamp: pattern})

    def _show(self, **lamps: Pattern) -> None:
        if self._panel is not None:
            for lamp, pattern in lamps.items():
                self._panel.show(lamp, pattern)
                if self.lamps.get(lamp) != pattern.name:
                    self.lamps[lamp] = pattern.name
                    if self._panel_waits is not None:
                        # It waits by what the lamps did before.
                        self._panel_waits.cancel()


def _wanted(act: str, amounts: Amounts) -> WantedCaptures:
    from agent.workflow.wanted_captures import WantedCaptures

    if act == "clip":
        return WantedCaptures(stills=0, clips=1, frames=amounts.clip, seconds=amounts.clip_time)
    if act == "last":
        return WantedCaptures(stills=0, last=amounts.last or math.inf)
    if act == "burst":
        return WantedCaptures(stills=amounts.burst, interval=amounts.every)
    return WantedCaptures()


def _act_of(table: Serial, event: SerialEvent) -> tuple[str, Mapping[str, str]]:
    """What an event leads to, and what it said."""
    name = table.name
    if isinstance(event, CodeRead):
        if not event.values:
            observation.warning("code not understood", device=name, length=len(event.text))
            return "", {}
        return str(table.actions.get("code", "start")), event.values
    if isinstance(event, PedalPressed):
        act = str(table.actions.get(event.pedal, "" if table.actions else "still"))
        return ("" if act == "nothing" else act), {}
    if isinstance(event, LineReceived):
        if not event.action:
            observation.info("line not understood", device=name, length=len(event.text))
            return "", {}
        act = str(table.actions.get(event.action, _WORDS.get(event.action, "")))
        return ("" if act == "nothing" else act), event.values
    if isinstance(event, PortVanished):
        observation.warning("port away", device=name, why=Sentence(event.why))
    elif isinstance(event, PortReturned):
        observation.info("port there", device=name)
    elif isinstance(event, Garbage):
        observation.warning("garbage on the line", device=name, why=Sentence(event.why))
    elif isinstance(event, Silence):
        observation.warning("device silent", device=name)
    return "", {}


async def _open(service: Service) -> None:
    try:
        with timeout(_OPENING):
            await service.call("open")
    except TimedOut as error:
        raise DeviceError(
            "the port does not open",
            limit=_OPENING,
            way_out="Pull its adapter and plug it in again.",
        ) from error


async def _end(service: Service) -> None:
    service.close()
    with shielded(), suppress(TimedOut), timeout(_CLOSING):
        await service.closed()
    if not service.ended:
        service.kill()
