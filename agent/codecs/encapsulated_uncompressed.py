"""Encapsulated Uncompressed Explicit VR Little Endian: native frames in fragments (PS3.5 A.4.11).

Nothing is compressed; a frame's fragments hold its native bytes. Working set: 64 KiB.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.codecs.codec import Decoded, Encoded, EncodeSettings, RowSource, Strip
from agent.codecs.damage import FrameDamaged
from agent.codecs.frame import FrameDescription
from agent.codecs.rows import STRIP_LENGTH
from agent.dataset.byte_source import ByteSource
from agent.errors import LocalError

_CLAUSE = "PS3.5 A.4.11"


def refusal(transfer_syntax_uid: str, frame: FrameDescription, settings: EncodeSettings) -> str:
    """Every frame can be wrapped."""
    return ""


def encode(
    transfer_syntax_uid: str, frame: FrameDescription, rows: RowSource, settings: EncodeSettings
) -> Encoded:
    """Pass a frame through; see `codec.CodecModule.encode`."""
    return Encoded(frame, _passed(frame, rows))


def _passed(frame: FrameDescription, rows: RowSource) -> Iterator[bytes]:
    left = frame.length
    for strip in rows.strips():
        piece = bytes(strip)
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise LocalError("The frame is not as long as it should be.", value=left)


def decode(frame: FrameDescription, source: ByteSource) -> Decoded:
    """Pass a frame through; see `codec.CodecModule.decode`."""
    return Decoded(frame, _strips(frame, source))


def _strips(frame: FrameDescription, source: ByteSource) -> Iterator[Strip]:
    unit = frame.row_length or 1
    size = max(unit, STRIP_LENGTH - STRIP_LENGTH % unit)
    position = 0
    while position < frame.length:
        strip = bytearray()
        wanted = min(size, frame.length - position)
        while len(strip) < wanted:
            piece = source.read(position + len(strip), wanted - len(strip))
            if not piece:
                if len(strip) >= unit:
                    yield strip[: len(strip) - len(strip) % unit]
                raise FrameDamaged(
                    f"The frame ends {frame.length - position - len(strip)} bytes too early.",
                    position + len(strip),
                    clause=_CLAUSE,
                )
            strip += piece
        yield strip
        position += wanted
