"""Objects that come and go, gathered into messages: one for an association and study.

PS3.15 A.5.3.7 lets a message tell of many instances of one patient. What is noted here of an object
is its number in the archive, so a thousand of one association take no more room than one. Whose
they are is asked when the message is made. Memory: 4,096 transfers, each of at most 200 ranges.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.archive.audit_records import NumberRanges

_MOST = 4096
_MOST_RANGES = 200


class TransferKey(NamedTuple):
    """What makes one message.

    `ours` and `theirs` are AE titles. `study` is "" where it is not known before the archive is
    asked. `action` is that of A.5.3.7, `reason` why objects failed.
    """

    archive: str
    received: bool
    ours: str
    theirs: str
    address: str
    association: str
    study: str
    action: str
    we_asked: bool
    third: str = ""
    reason: str = ""
    outcome: int = 0
    anonymized: bool | None = None


@dataclass(slots=True)
class Transfer:
    """What is under way; times are of the steady clock. `when` is the time of the last object."""

    key: TransferKey
    begun: float
    last: float
    when: float
    numbers: NumberRanges = field(default_factory=NumberRanges)


class Transfers:
    """All that are under way. `gather` and `longest` as in the configuration, in seconds."""

    def __init__(self, gather: float, longest: float) -> None:
        self.gather = gather
        self.longest = longest
        self._under_way: dict[TransferKey, Transfer] = {}
        self._over: list[Transfer] = []

    def note(self, key: TransferKey, number: int, now: float, clock: float) -> bool:
        """One more object; whether it is the first of its transfer."""
        found = self._under_way.get(key)
        first = found is None
        if found is None:
            if len(self._under_way) >= _MOST:
                self._end(next(iter(self._under_way)))
            found = self._under_way[key] = Transfer(key, now, now, clock)
        found.numbers.add(number)
        found.last, found.when = now, clock
        if len(found.numbers) >= _MOST_RANGES:
            self._end(key)
        return first

    def end_association(self, association: str) -> None:
        """Nothing more comes over it."""
        for key in [each for each in self._under_way if each.association == association]:
            self._end(key)

    def end_about(self, archive: str, numbers: Sequence[int]) -> None:
        """Some of these objects are about to go: whose they are must be asked now."""
        ordered = sorted(numbers)
        for key, each in list(self._under_way.items()):
            if key.archive == archive and any(
                bisect_left(ordered, first) < bisect_right(ordered, last)
                for first, last in each.numbers.ranges
            ):
                self._end(key)

    def end_all(self) -> None:
        """The node ends."""
        for key in list(self._under_way):
            self._end(key)

    def take_over(self, now: float) -> Iterator[Transfer]:
        """Those that are over, each once."""
        for key, each in list(self._under_way.items()):
            if now - each.last >= self.gather or now - each.begun >= self.longest:
                self._end(key)
        while self._over:
            yield self._over.pop(0)

    def next_end(self) -> float | None:
        """When the next is over, by the steady clock; None when nothing is under way."""
        if self._over:
            return 0.0
        return min(
            (
                min(each.last + self.gather, each.begun + self.longest)
                for each in self._under_way.values()
            ),
            default=None,
        )

    def first_received(self, archive: str) -> int | None:
        """The lowest number of a received object that is not told of yet."""
        return min(
            (
                first
                for each in (*self._under_way.values(), *self._over)
                for first, _ in each.numbers.ranges
                if each.key.received and each.key.archive == archive
            ),
            default=None,
        )

    def _end(self, key: TransferKey) -> None:
        self._over.append(self._under_way.pop(key))
