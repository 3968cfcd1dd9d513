"""Timers: a heap with lazy cancellation."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timer:
    """One call at one moment, unless it is cancelled before."""

    __slots__ = ("at", "call", "sequence")

    def __init__(self, at: float, sequence: int, call: Callable[[], None]) -> None:
        self.at = at
        self.sequence = sequence
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """It will not ring; does nothing when it has rung."""
        self.call = None

    def __lt__(self, other: Timer) -> bool:
        return (self.at, self.sequence) < (other.at, other.sequence)


class Timers:
    """All timers of a loop.

    Cancelled ones stay in the heap until their moment, or until they are most of it: associations
    set and cancel timers far more often than they let them ring.
    """

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._sequence = 0

    def __len__(self) -> int:
        """Timers in the heap, cancelled ones that wait for a sweep included."""
        return len(self._heap)

    def add(self, at: float, call: Callable[[], None]) -> Timer:
        self._sequence += 1
        timer = Timer(at, self._sequence, call)
        heapq.heappush(self._heap, timer)
        if len(self._heap) > 512 and self._sequence % 512 == 0:
            self._sweep()
        return timer

    def next_at(self) -> float | None:
        """The moment of the earliest timer; None when there is none."""
        heap = self._heap
        while heap and heap[0].call is None:
            heapq.heappop(heap)
        return heap[0].at if heap else None

    def ring(self, now: float) -> None:
        """Call what is due, the earliest first."""
        heap = self._heap
        while heap and heap[0].at <= now:
            call = heapq.heappop(heap).call
            if call is not None:
                call()

    def _sweep(self) -> None:
        alive = [timer for timer in self._heap if timer.call is not None]
        if len(alive) < len(self._heap) // 2:
            # In place: a timer that rings may set another while the heap is being emptied.
            self._heap[:] = alive
            heapq.heapify(self._heap)
