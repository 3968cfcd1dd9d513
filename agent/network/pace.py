"""How many connections a second a listener accepts."""

from __future__ import annotations

from agent.loop import now, sleep_until


class Pace:
    """Counts what was accepted in this second."""

    def __init__(self) -> None:
        self._accepted_in_second: tuple[int, int] = (0, 0)

    async def keep(self, most: int) -> None:
        """Let the next second begin when this one has had its connections, of which there are at
        most so many (0: any number): they wait in the kernel's backlog."""
        if not most:
            return
        second, count = self._accepted_in_second
        if int(now()) != second:
            second, count = int(now()), 0
        if count >= most:
            await sleep_until(second + 1)
            second, count = int(now()), 0
        self._accepted_in_second = (second, count + 1)
