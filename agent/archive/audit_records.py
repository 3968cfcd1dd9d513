"""What the audit trail holds of objects: their numbers as ranges, and whose they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

_LOOKED_BACK = 8
"""Objects that are committed side by side come a little out of order."""


class AuditedStudy(NamedTuple):
    """A study with those of its objects that were asked about; `instances` are all that it has."""

    study_instance_uid: str
    accession_number: str
    instances: int
    patient_id: str
    patient_name: str
    sop_classes: tuple[tuple[str, int], ...]

    @property
    def asked(self) -> int:
        """How many of its objects were asked about."""
        return sum(count for _, count in self.sop_classes)


class NumberRanges:
    """A set of numbers that mostly follow each other: those in a row take no more room than one."""

    __slots__ = ("ranges",)

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self.ranges: list[tuple[int, int]] = []
        for number in numbers:
            self.add(number)

    def __len__(self) -> int:
        """How many ranges."""
        return len(self.ranges)

    def add(self, number: int) -> None:
        ranges = self.ranges
        for index in range(len(ranges) - 1, max(-1, len(ranges) - 1 - _LOOKED_BACK), -1):
            first, last = ranges[index]
            if first <= number <= last:
                return
            if number == last + 1:
                ranges[index] = (first, number)
                return
            if number == first - 1:
                ranges[index] = (number, last)
                return
        ranges.append((number, number))
