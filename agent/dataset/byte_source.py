"""Where the bytes of a data set come from: a file, memory, or a deflated stream inflated.

A source is read at positions, like `pread`; position 0 is the first byte of the data set. Nothing
here keeps more than a few buffers, however long the object is.
"""

from __future__ import annotations

import os
import zlib
from typing import Protocol

from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.errors import PeerError, StatusReaction, StorageError
from agent.quoting import quoted

CANNOT_UNDERSTAND = 0xC000
"""The C-STORE status for a data set that cannot be parsed (PS3.4 Table B.2-1)."""


class ByteSource(Protocol):
    """Bytes by position."""

    def read(self, position: int, length: int) -> bytes:
        """At most `length` bytes from `position` on; fewer at will, none only at the end."""
        ...


class FileBytes:
    """A part of an open file: from `offset`, `length` bytes, or up to its end.

    Raises StorageError when the file cannot be read.
    """

    def __init__(self, descriptor: int, offset: int = 0, length: int | None = None) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._length = length

    def read(self, position: int, length: int) -> bytes:
        if self._length is not None:
            length = min(length, self._length - position)
        if length <= 0:
            return b""
        try:
            return os.pread(self._descriptor, length, self._offset + position)
        except OSError as error:
            raise StorageError(f"The file cannot be read: {error.strerror}.", value=error) from None
        except OverflowError:
            return b""


class MemoryBytes:
    """Bytes that are in memory already."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = data

    def read(self, position: int, length: int) -> bytes:
        return bytes(self._data[position : position + length])


class InflatedBytes:
    """A deflated data set (PS3.5 A.5, RFC 1951), inflated as it is read.

    Reading on is cheap, and so is reading back up to 128 KiB; further back it inflates from the
    start again. Holds buffers of 256 KiB in all. Raises PeerError when the stream is damaged, or
    when it has grown beyond `limit` bytes or, after the first MiB, beyond `ratio` times its input
    (a bomb).
    """

    _CHUNK = 65536
    _HISTORY = 131072
    _FREE_OF_RATIO = 1 << 20

    def __init__(self, source: ByteSource, *, limit: int = 1 << 34, ratio: int = 1100) -> None:
        # Deflate cannot do better than 1032:1, so the default ratio never hits an honest stream;
        # a stricter one is the caller's policy.
        self._source = source
        self._limit = limit
        self._ratio = ratio
        self._rewind()

    def _rewind(self) -> None:
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._consumed = 0
        self._waiting = b""
        self._history = b""
        self._window = b""
        self._start = 0

    def read(self, position: int, length: int) -> bytes:
        back = self._start - position
        if back > len(self._history):
            self._rewind()
        elif back > 0:
            return self._history[-back:][:length]
        while position >= self._start + len(self._window):
            self._start += len(self._window)
            self._history = (self._history + self._window)[-self._HISTORY :]
            self._window = b""
            self._window = self._next()
            if not self._window:
                return b""
        first = position - self._start
        return self._window[first : first + length]

    def _next(self) -> bytes:
        while not self._inflater.eof:
            if not self._waiting:
                self._waiting = self._source.read(self._consumed, self._CHUNK)
                self._consumed += len(self._waiting)
            ended = not self._waiting
            try:
                piece = self._inflater.decompress(self._waiting, self._CHUNK)
            except zlib.error as error:
                raise PeerError(
                    f"The deflated data set is damaged: {quoted(error)}.",
                    clause="PS3.5 A.5",
                    value=self._consumed,
                    reaction=StatusReaction(CANNOT_UNDERSTAND, "Deflated data set is damaged"),
                ) from None
            self._waiting = self._inflater.unconsumed_tail
            grown = self._start + len(piece)
            if grown > self._limit or grown > max(
                self._FREE_OF_RATIO, self._ratio * self._consumed
            ):
                raise PeerError(
                    "The deflated data set grows beyond its limit.",
                    clause="PS3.5 A.5",
                    value=grown,
                    limit=min(self._limit, self._ratio * self._consumed),
                    reaction=StatusReaction(CANNOT_UNDERSTAND, "Deflated data set is too large"),
                )
            if piece or ended:
                return piece
        return b""


def decoded(source: ByteSource, transfer_syntax: TransferSyntax) -> ByteSource:
    """The source to parse: itself, or inflated where the transfer syntax deflates."""
    return InflatedBytes(source) if transfer_syntax.deflated else source
