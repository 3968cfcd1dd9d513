"""The calendar clock of the box: noticed, shown and waited for when it is not set.

A Raspberry Pi has no battery for it. Timers never use it (they follow the steady clock); dates in
objects do, and so does the age of stored objects.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from agent import observation
from agent.configuration.node import Clock
from agent.loop import now, sleep
from agent.quoting import Sentence
from hal.clock import CalendarState
from hal.clock import calendar as look

CLOCK_SYNCHRONISED = observation.metrics.gauge(
    "gantry_clock_synchronised", "Whether a time server disciplines the calendar clock"
)
CLOCK_SET = observation.metrics.gauge("gantry_clock_set", "Whether the calendar clock is set")

_LOOKS = 10.0
_WAITING_LOOKS = 0.5


def seconds_of(date: str) -> float:
    """The beginning of a date such as 2025-01-31, UTC, in seconds since 1970."""
    return datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()


class CalendarWatch:
    """Looks at the clock now and then, and says when it was set or is lost."""

    def __init__(self, table: Clock, state_of: Callable[..., CalendarState] = look) -> None:
        self.table = table
        self._state_of = state_of
        self._told: tuple[bool, bool, bool] | None = None
        self.state = self._now()

    @property
    def earliest(self) -> float:
        """Before this the clock is held to be unset."""
        return seconds_of(self.table.earliest)

    def _now(self) -> CalendarState:
        return self._state_of(earliest=self.earliest, needs_server=self.table.server)

    def look(self) -> CalendarState:
        """The state now; a change is logged."""
        state = self.state = self._now()
        synchronised = state.synchronised is True
        CLOCK_SET.of().set(int(state.set))
        CLOCK_SYNCHRONISED.of().set(int(synchronised))
        found = state.plausible, state.set, synchronised
        if found != self._told:
            if not state.plausible:
                observation.warning("clock not set", why=Sentence(state.reason))
            elif not state.set:
                observation.notice("clock not certain", why=Sentence(state.reason))
            elif self._told is not None:
                observation.notice("clock set", how=state.words)
            self._told = found
        return state

    async def wait_until_set(self) -> None:
        """As long as the configuration says, at most; for the start of the node."""
        end = now() + self.table.wait
        while not self.look().set and now() < end:
            await sleep(min(_WAITING_LOOKS, max(0.0, end - now())))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await sleep(_LOOKS)
