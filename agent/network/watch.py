"""The deadlines of one association: one lazy timer for all of them.

On the hot path only moments are noted; the timer looks at them when it rings, and sets itself to
the earliest deadline that they leave.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.configuration.connection import Timers
from agent.loop.loop import current_loop
from agent.loop.timers import Timer


class Watch:
    """Calls `expired(what, limit)` once for the first deadline that passes.

    The owner sets, by the loop's clock: `negotiating` (a moment by which the association is to be
    there), `received` and `sent` (when bytes last moved), `receiving` and `sending` (whether a
    message is under way in that direction), `idle_since` (None while an operation runs), and
    `responses` (message id → the moment by which its next response is due).
    """

    def __init__(self, timers: Timers, expired: Callable[[str, float], None]) -> None:
        self._loop = current_loop()
        self._expired = expired
        self._timer: Timer | None = None
        self._window_start = 0.0
        self._window_bytes = 0
        self.timers = timers
        now = self._loop.clock.now()
        self.negotiating: float | None = None
        self.artim: float | None = None
        self.received = now
        self.sent = now
        self.receiving = False
        self.receiving_since = now
        self.sending = False
        self.bytes_received = 0
        self.idle_since: float | None = None
        self.responses: dict[int, float] = {}

    def now(self) -> float:
        return self._loop.clock.now()

    def _deadlines(self) -> list[tuple[float, str, float]]:
        timers = self.timers
        found: list[tuple[float, str, float]] = []
        if self.negotiating is not None:
            found.append(
                (self.negotiating, "the association to be established", timers.association)
            )
        if self.artim is not None:
            found.append((self.artim, "artim", timers.association))
        if self.receiving:
            begun = max(self.received, self.receiving_since)
            found.append((begun + timers.progress, "the rest of a message", timers.progress))
        if self.sending:
            found.append((self.sent + timers.progress, "the peer to read", timers.progress))
        found += [(at, "a response", timers.dimse) for at in self.responses.values()]
        if self.idle_since is not None and timers.idle:
            found.append((self.idle_since + timers.idle, "any operation", timers.idle))
        return found

    def look(self) -> None:
        """Something earlier than before may be due: set the timer anew."""
        found = self._deadlines()
        if not found:
            return
        at = min(found)[0]
        if self.receiving and self.timers.slowest:
            at = min(at, self.now() + self.timers.progress)
        if self._timer is None or self._timer.call is None or self._timer.at > at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.at(at, self._ring)

    def begin(self, at: float) -> None:
        """A deadline was noted: cheap while the timer rings before it."""
        if self._timer is None or at < self._timer.at:
            self.look()

    def _ring(self) -> None:
        self._timer = None
        now = self.now()
        for at, what, limit in sorted(self._deadlines()):
            if at <= now:
                self._expired(what, limit)
                return
        if self._dripping(now):
            self._expired("a message that comes too slowly", self.timers.progress)
            return
        self.look()

    def _dripping(self, now: float) -> bool:
        # Taken over whole progress times, so that a pause inside one is allowed for.
        timers = self.timers
        if not self.receiving or not timers.slowest:
            self._window_start = now
            self._window_bytes = self.bytes_received
            return False
        start = max(self._window_start, self.receiving_since)
        if now - start < timers.progress:
            return False
        moved = self.bytes_received - self._window_bytes
        self._window_start = now
        self._window_bytes = self.bytes_received
        return moved < timers.slowest * (now - start)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
