"""Deflated bytes: data sets, and frames (PS3.5 A.5, A.4.13)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from agent.codecs import deflated_frame
from agent.codecs.frame import FrameDescription
from agent.dataset.byte_source import InflatedBytes, MemoryBytes
from agent.dataset.head import scan_head
from agent.dataset.reader import elements
from agent.dataset.tags import PATIENT_ID
from agent.dataset.transfer_syntaxes import by_name
from agent.errors import PeerError
from tests.fuzz.target import Target

_LIMIT = 8 << 20
_FRAMES = (
    FrameDescription(16, 16, 1, 8, 8, 0, "MONOCHROME2"),
    FrameDescription(7, 13, 3, 8, 8, 0, "RGB"),
    FrameDescription(9, 9, 1, 1, 1, 0, "MONOCHROME2"),
    FrameDescription(512, 512, 1, 16, 12, 0, "MONOCHROME2"),
)


def run(data: bytes) -> None:
    """The first byte chooses what it is: a stream read back and forth, a data set, a frame."""
    if not data:
        return
    kind, data = data[0] % (2 + len(_FRAMES)), data[1:]
    if kind == 0:
        _stream(data)
    elif kind == 1:
        source = MemoryBytes(data)
        syntax = by_name("deflated")
        for _ in elements(source, syntax, through_bulk=True):
            pass
        scan_head(source, syntax, frozenset((PATIENT_ID,)))
    else:
        frame = _FRAMES[kind - 2]
        found = sum(
            len(memoryview(each).cast("B"))
            for each in deflated_frame.decode(frame, MemoryBytes(data)).strips
        )
        assert found == frame.length


def _stream(data: bytes) -> None:
    source = InflatedBytes(MemoryBytes(data), limit=_LIMIT, ratio=100)
    position = 0
    try:
        while piece := source.read(position, 50000):
            position += len(piece)
    except PeerError:
        assert position <= _LIMIT
    # Reading anew gives what reading on gave, as far as it was good.
    for place in (0, position // 2):
        if place < position:
            assert source.read(place, 16)


def _deflate(data: bytes, level: int = 6) -> bytes:
    deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def seeds() -> Iterator[bytes]:
    """Streams of each kind of block, a data set, frames, a bomb."""
    text = bytes(range(256)) * 20
    element = b"\x10\x00\x20\x00LO\x04\x00ABCD"
    for level in (0, 1, 9):
        yield b"\x00" + _deflate(text, level)
        yield b"\x01" + _deflate(element * 3, level)
    yield b"\x00" + _deflate(bytes(16 << 20), 9)
    yield b"\x01" + _deflate(b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff" + bytes(1 << 20), 9)
    for number, frame in enumerate(_FRAMES):
        yield bytes((2 + number,)) + _deflate(bytes(frame.length))


TARGET = Target(run, seeds, seconds=1.0, longest=1 << 15)
