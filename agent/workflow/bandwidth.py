"""How fast a peer may be sent to: one account for all of its associations."""

from __future__ import annotations

from agent.loop import now, sleep_until


class Bandwidth:
    """Bytes sent a second, over objects; a rate of 0 is no limit.

    Each object pays for itself before it is sent, so an object may go out in a burst, and the next
    one waits for it.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._free_at = 0.0

    async def take(self, size: int) -> None:
        """Wait until `size` more bytes may be sent."""
        if not self._rate:
            return
        # Counted before waiting: several may ask at once.
        start = max(self._free_at, now())
        self._free_at = start + size / self._rate
        await sleep_until(start)
