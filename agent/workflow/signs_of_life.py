"""What the service manager is told: that a long start goes on, and that the loop turns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agent.loop import TaskGroup, now, sleep
from hal.watchdog import ServiceNotifier

_EVERY, _LONGER = 10.0, 60.0
"""Seconds from one word to the next, and what each asks for."""


@asynccontextmanager
async def starting(service: ServiceNotifier, every: float = _EVERY) -> AsyncIterator[None]:
    """Meanwhile the start may take longer than the unit allows (TimeoutStartSec=).

    After a power cut an archive looks through what was stored last, and a new version may make its
    index anew: killed then, it would begin again for ever. A loop that hangs asks for nothing.
    """
    async with TaskGroup() as group:
        group.start(_ask_for_more(service, every), "start")
        yield
        group.cancel()


async def _ask_for_more(service: ServiceNotifier, every: float) -> None:
    while True:
        service.extend(_LONGER)
        await sleep(every)


async def beat(service: ServiceNotifier, *tidy: Callable[[], None]) -> None:
    """Say that the loop turns, as often as the service manager wants to hear it; `tidy` each time.
    Until cancelled."""
    while True:
        service.beat()
        for each in tidy:
            each()
        deadline = service.deadline()
        await sleep(max(0.05, deadline - now()) if deadline is not None else 60.0)
