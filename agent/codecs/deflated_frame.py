"""Deflated Image Frame Compression: each frame a raw deflate stream (PS3.5 A.4.13, RFC 1951).

Bytes are only bytes here: any depth will do, single bits too. Working set: 256 KiB of zlib to
compress, 64 KiB to decompress, and a piece of 64 KiB.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from agent.codecs.codec import Decoded, Encoded, EncodeSettings, RowSource, Strip
from agent.codecs.damage import FrameDamaged
from agent.codecs.frame import FrameDescription
from agent.codecs.rows import STRIP_LENGTH
from agent.dataset.byte_source import ByteSource
from agent.errors import LocalError

_CLAUSE = "PS3.5 8.2.16"


def refusal(transfer_syntax_uid: str, frame: FrameDescription, settings: EncodeSettings) -> str:
    """Only a level that zlib does not know is refused."""
    return "" if 1 <= settings.level <= 9 else "the level of deflate is from 1 to 9"


def encode(
    transfer_syntax_uid: str, frame: FrameDescription, rows: RowSource, settings: EncodeSettings
) -> Encoded:
    """Compress a frame; see `codec.CodecModule.encode`."""
    if reason := refusal(transfer_syntax_uid, frame, settings):
        raise LocalError(f"{reason}.", value=settings.level)
    return Encoded(frame, _encoded(frame, rows, settings.level))


def _encoded(frame: FrameDescription, rows: RowSource, level: int) -> Iterator[bytes]:
    deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    left = frame.length
    for strip in rows.strips():
        left -= len(memoryview(strip).cast("B"))
        if left < 0:
            break
        yield deflater.compress(strip)
    if left:
        raise LocalError("The frame is not as long as it should be.", value=left)
    yield deflater.flush()


def decode(frame: FrameDescription, source: ByteSource) -> Decoded:
    """Decompress a frame; see `codec.CodecModule.decode`."""
    return Decoded(frame, _strips(frame, source))


def _strips(frame: FrameDescription, source: ByteSource) -> Iterator[Strip]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    unit = frame.row_length or 1
    size = max(unit, STRIP_LENGTH - STRIP_LENGTH % unit)
    position, left, waiting, strip = 0, frame.length, b"", bytearray()
    while left:
        if not waiting and not inflater.eof:
            waiting = source.read(position, STRIP_LENGTH)
            position += len(waiting)
        ended = inflater.eof or not waiting
        try:
            strip += inflater.decompress(waiting, min(size, left) - len(strip))
        except zlib.error as error:
            yield from _whole_rows(strip, unit)
            raise FrameDamaged(
                f"The deflated frame is damaged: {error}.", position, clause=_CLAUSE
            ) from None
        waiting = inflater.unconsumed_tail
        if len(strip) == min(size, left):
            left -= len(strip)
            yield strip
            strip = bytearray()
        elif ended:
            yield from _whole_rows(strip, unit)
            raise FrameDamaged(
                f"The deflated frame ends {left - len(strip)} bytes too early.",
                position,
                clause=_CLAUSE,
            )


def _whole_rows(strip: bytearray, unit: int) -> Iterator[Strip]:
    if len(strip) >= unit:
        yield strip[: len(strip) - len(strip) % unit]
