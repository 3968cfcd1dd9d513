"""YBR_FULL_422 with the chroma of each pixel of its own: YBR_FULL (PS3.3 C.7.6.3.1.2).

Lossless compression takes no shared chroma; nothing is lost by writing it twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.codecs.codec import RowSource, Strip

_PAIR = (0, 2, 3, 1, 2, 3)
"""Y Y Cb Cr become Y Cb Cr Y Cb Cr."""


def full_chroma(strips: Iterable[Strip]) -> Iterator[Strip]:
    """The same rows, half as long again, of 8 bit samples."""
    for strip in strips:
        pairs = bytes(strip)
        full = bytearray(len(pairs) // 2 * 3)
        for place, sample in enumerate(_PAIR):
            full[place::6] = pairs[sample::4]
        yield full


class FullChroma:
    """The rows of a frame, with full chroma."""

    def __init__(self, rows: RowSource) -> None:
        self._rows = rows
        self.repeatable = rows.repeatable

    def strips(self) -> Iterator[Strip]:
        return full_chroma(self._rows.strips())
