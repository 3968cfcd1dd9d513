"""A block of a source that moves forward with the parser."""

from __future__ import annotations

from typing import NoReturn

from agent.dataset.byte_source import CANNOT_UNDERSTAND, ByteSource
from agent.errors import PeerError, StatusReaction

_FIRST_READ = 8192
_READ_AFTER_SKIP = 256


class Window:
    """The bytes around the parser's position; everything outside has been, or is still to come.

    `block` holds what has been read from `start` on. Reading goes forward only, so that a source
    that inflates never has to begin again. Reads grow from 8 KiB to `limit`, after a skip from 256
    bytes; `budget` bounds the bytes that are read in all. Raises PeerError when it is spent, or
    when a value that was skipped turns out not to be there.
    """

    __slots__ = ("_budget", "_limit", "_size", "_source", "_spent", "block", "start")

    def __init__(self, source: ByteSource, budget: int, limit: int = 65536) -> None:
        self._source = source
        self._budget = budget
        self._spent = 0
        self._limit = max(limit, 64)
        self._size = min(_FIRST_READ, self._limit)
        self.block = b""
        self.start = 0

    def fill(self, position: int, need: int) -> bytes:
        """The block, from `position` on, with at least `need` bytes if there are so many."""
        kept = position - self.start
        if kept <= len(self.block):
            block = self.block[kept:]
        else:
            # Where one value is skipped, so may the next be: a million fragments cost a million
            # small reads. The byte before proves that the value is there as a whole.
            self._size = _READ_AFTER_SKIP
            block = self._read(position - 1, max(self._size, need) + 1)
            if not block:
                refuse("The data set ends within a value", position, None)
            block = block[1:]
        while len(block) < need:
            piece = self._read(position + len(block), max(self._size, need - len(block)))
            if not piece:
                break
            block += piece
        self.block = block
        self.start = position
        return block

    def peek(self, position: int, need: int) -> bytes:
        """`need` bytes at `position`, or as many as there are; the block moves only if it must."""
        offset = position - self.start
        if 0 <= offset <= len(self.block) - need:
            return self.block[offset : offset + need]
        return self.fill(position, need)[:need]

    def _read(self, position: int, length: int) -> bytes:
        piece = self._source.read(position, length)
        self._size = min(self._size * 2, self._limit)
        self._spent += len(piece)
        if self._spent > self._budget:
            refuse("More of the data set must be parsed than is allowed", self._spent, self._budget)
        return piece


def refuse(message: str, value: object, limit: object) -> NoReturn:
    """Raise the PeerError for bytes that break PS3.5 section 7: status C000H, with this comment."""
    raise PeerError(
        f"{message}.",
        clause="PS3.5 7",
        value=value,
        limit=limit,
        reaction=StatusReaction(CANNOT_UNDERSTAND, message),
    )
