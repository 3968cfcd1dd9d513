"""The compressed bytes that a kernel looks at: a piece of the stream that moves forward."""

from __future__ import annotations

from agent.dataset.byte_source import ByteSource

_READ = 1 << 16


class Window:
    """Bytes of `source` from `position` on, for a kernel that needs up to `unit` at a time.

    After `fill`, `data` holds at least `unit` bytes unless `last` says that the source ends with
    them. Memory: `unit` and 64 KiB. Raises what the source raises.
    """

    def __init__(self, source: ByteSource, position: int, unit: int) -> None:
        self._source = source
        self._unit = unit
        self.position = position
        self.data = bytearray()
        self.last = False

    def fill(self) -> None:
        while not self.last and len(self.data) < self._unit:
            at = self.position + len(self.data)
            piece = self._source.read(at, max(_READ, self._unit - len(self.data)))
            self.data += piece
            self.last = not piece

    def consume(self, count: int) -> None:
        """The first `count` bytes are done with."""
        del self.data[:count]
        self.position += count
