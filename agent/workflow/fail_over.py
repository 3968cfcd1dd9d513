"""Which of a peer's addresses to call: in order, and after a fail-over the one that answered."""

from __future__ import annotations

from collections.abc import Sequence

from agent.configuration.addresses import Address


class FailOver:
    """The addresses of one peer. `first_again` is in seconds, as are all times handed in."""

    def __init__(self, addresses: Sequence[Address], first_again: float) -> None:
        self._addresses = [(each.host, each.port) for each in addresses]
        self._first_again = first_again
        self._preferred = 0
        self._until = 0.0

    def order(self, now: float) -> list[tuple[str, int]]:
        """The addresses, the one to try first in front."""
        if now >= self._until:
            self._preferred = 0
        return self._addresses[self._preferred :] + self._addresses[: self._preferred]

    def answered(self, address: tuple[str, int], now: float) -> None:
        """This one did; another than the first keeps its place in front for a while."""
        index = self._addresses.index(address)
        if index != self._preferred or (index and now >= self._until):
            self._preferred = index
            self._until = now + self._first_again if index else 0.0
