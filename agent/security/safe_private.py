"""Private attributes that are known to be safe (PS3.15 E.3.10): Table E.3.10-1, and what an object
itself declares in its Private Data Element Characteristics Sequence (PS3.3 C.12.1.1.7)."""

from __future__ import annotations

import functools
from collections.abc import Mapping

_TABLE = """
Philips PET Private Group: 7053 00 09
ELSCINT1: 00E1 21 50; 01E1 26; 01F1 01 07 26 27
GEMS_ACQU_01: 0019 23 24 27 9E
GEMS_PARM_01: 0043 27 39 6F
GEMS_HELIOS_01: 0045 01 02
GEMS_SERS_01: 0025 07
GEIIS PACS: 0903 10 11 12
Philips Imaging DD 001: 2001 03 04
Philips MR Imaging DD 001: 2005 0D 0E
SIEMENS MR HEADER: 0019 0C 0D 0E 27
HOLOGIC, Inc.: 7E01 01 02 10 11 12
NQHeader: 0099 01 02 04 05 10 20 21
NQLeft: 0199 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11 12 13 14 15 16
NQRight: 0299 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11 12 13 14 15 16
SIEMENS Ultrasound SC2000: 0119 00 01 02 03 04 05 06 07 08 09 10 11 12 13 21; \
0129 00 02 03 04 05 06 07 08 09 10 11 12 20 21 22 29 30; 0139 01; 0149 01 02 03; 7FD1 01 09 10 11
SIEMENS SYNGO ULTRA-SOUND TOYON DATA STREAMING: 7FD1 01 09 10 11
"""
"""Creator, and the last two digits of elements for each group."""


@functools.cache
def _rows() -> Mapping[tuple[int, str], frozenset[int]]:
    """(group, creator) -> elements."""
    found: dict[tuple[int, str], frozenset[int]] = {}
    for line in _TABLE.split("\n"):
        creator, _, groups = line.rpartition(": ")
        for each in groups.split(";") if creator else ():
            group, *numbers = each.split()
            found[int(group, 16), creator] = frozenset(int(number, 16) for number in numbers)
    return found


def creators() -> tuple[str, ...]:
    """Those of the table, in its order."""
    return tuple(dict.fromkeys(creator for _, creator in _rows()))


class SafePrivate:
    """What of the private attributes of one object may stay."""

    def __init__(self) -> None:
        self._blocks: set[tuple[int, str]] = set()
        self._elements: set[tuple[int, str, int]] = set()

    def declare_block(self, group: int, creator: str) -> None:
        """All attributes of the block are safe, says the object."""
        self._blocks.add((group, creator))

    def declare_element(self, group: int, creator: str, element: int) -> None:
        """This one is safe, says the object; of `element` the last byte counts."""
        self._elements.add((group, creator, element & 0xFF))

    def has_creator(self, group: int, creator: str) -> bool:
        """Whether anything of this creator may be safe."""
        return (
            (group, creator) in _rows()
            or (group, creator) in self._blocks
            or any(each[:2] == (group, creator) for each in self._elements)
        )

    def has(self, group: int, creator: str, element: int) -> bool:
        """Whether the attribute is safe; of `element` the last byte counts."""
        return (
            element & 0xFF in _rows().get((group, creator), ())
            or (group, creator) in self._blocks
            or (group, creator, element & 0xFF) in self._elements
        )
