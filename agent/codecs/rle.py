"""RLE Lossless (PS3.5 annex G): byte planes, each a segment of PackBits.

Working set: one strip of 64 KiB (a row at least), the same again compressed, 16 KiB for each
segment that is read, and 1 MiB of compressed segments while encoding: the segments of a frame lie
one after another but come side by side, so what is more goes to a nameless file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from typing import Protocol, cast

from agent.codecs.codec import Decoded, Encoded, EncodeSettings, RowSource, Strip
from agent.codecs.damage import FrameDamaged
from agent.codecs.frame import FrameDescription
from agent.codecs.rows import grouped, strip_height
from agent.codecs.spill import Spill
from agent.dataset.byte_source import ByteSource
from agent.errors import LocalError

_CLAUSE = "PS3.5 G.5"
_HEADER = struct.Struct("<16I")
_MOST_SEGMENTS = 15
_READ = 16384
_HELD = 1 << 20
_STATE_LENGTH = 32


class PackBits(Protocol):
    """What encodes and decodes a byte plane: the kernel, or `packbits` where there is none."""

    def rle_encode(
        self, rows: Strip, row_length: int, offset: int, stride: int, out: bytearray | memoryview
    ) -> int: ...

    def rle_begin(self, state: bytearray | memoryview) -> None: ...

    def rle_decode(
        self,
        state: bytearray | memoryview,
        data: Strip,
        out: bytearray | memoryview,
        offset: int,
        stride: int,
    ) -> tuple[int, int]: ...


def _pack_bits() -> PackBits:
    try:
        return cast(PackBits, import_module("agent.codecs.kernel"))
    except ImportError:
        return cast(PackBits, import_module("agent.codecs.packbits"))


def refusal(transfer_syntax_uid: str, frame: FrameDescription, settings: EncodeSettings) -> str:
    """PS3.5 8.2.2: whole bytes, no shared chroma; G.2: at most 15 segments."""
    if not frame.sample_length:
        return "RLE Lossless takes no single bits"
    if frame.subsampled:
        return "RLE Lossless takes no shared chroma"
    if frame.samples_per_pixel * frame.sample_length > _MOST_SEGMENTS:
        return "RLE Lossless has at most 15 segments"
    return ""


def encode(
    transfer_syntax_uid: str, frame: FrameDescription, rows: RowSource, settings: EncodeSettings
) -> Encoded:
    """Compress a frame; see `codec.CodecModule.encode`."""
    if reason := refusal(transfer_syntax_uid, frame, settings):
        raise LocalError(f"{reason}.", clause="PS3.5 8.2.2", value=frame)
    return Encoded(frame, _encoded(frame, rows))


def _plane_offsets(frame: FrameDescription) -> list[int]:
    """Where in a pixel the byte of each segment lies: the most significant first (G.2)."""
    width = frame.sample_length
    return [
        sample * width + byte
        for sample in range(frame.samples_per_pixel)
        for byte in reversed(range(width))
    ]


def _encoded(frame: FrameDescription, rows: RowSource) -> Iterator[bytes]:
    pack_bits = _pack_bits()
    planes = _plane_offsets(frame)
    stride = len(planes)
    height = strip_height(frame)
    out = bytearray(height * (frame.columns + (frame.columns + 127) // 128))
    segments = [Spill(_HELD // stride) for _ in planes]
    try:
        for strip in grouped(frame, rows.strips(), height):
            for plane, segment in zip(planes, segments, strict=True):
                length = pack_bits.rle_encode(strip, frame.row_length, plane, stride, out)
                segment.append(memoryview(out)[:length])
            yield b""
        offsets, position = [], _HEADER.size
        for segment in segments:
            if segment.length % 2:
                segment.append(b"\0")
            offsets.append(position)
            position += segment.length
        yield _HEADER.pack(stride, *offsets, *[0] * (_MOST_SEGMENTS - stride))
        for segment in segments:
            yield from segment.pieces()
    finally:
        for segment in segments:
            segment.close()


class _Segment:
    """One byte plane on its way out of the frame."""

    def __init__(
        self, pack_bits: PackBits, source: ByteSource, start: int, end: int | None, plane: int
    ) -> None:
        self._pack_bits = pack_bits
        self._source = source
        self.position = start
        self._end = end
        self._plane = plane
        self._state = bytearray(_STATE_LENGTH)
        pack_bits.rle_begin(self._state)
        self._waiting = b""

    def fill(self, strip: memoryview, stride: int) -> int:
        """Write this plane's bytes of a strip; how many there were before the segment ended."""
        done, count = 0, len(strip) // stride
        while True:
            consumed, produced = self._pack_bits.rle_decode(
                self._state, self._waiting, strip[done * stride :], self._plane, stride
            )
            self._waiting = self._waiting[consumed:]
            self.position += consumed
            done += produced
            if done == count:
                return done
            at = self.position + len(self._waiting)
            length = _READ if self._end is None else min(_READ, self._end - at)
            piece = self._source.read(at, length) if length > 0 else b""
            if not piece:
                return done
            self._waiting += piece


def decode(frame: FrameDescription, source: ByteSource) -> Decoded:
    """Decompress a frame; see `codec.CodecModule.decode`."""
    planes = _plane_offsets(frame)
    header = b""
    while len(header) < _HEADER.size:
        piece = source.read(len(header), _HEADER.size - len(header))
        if not piece:
            raise FrameDamaged("The RLE header is cut off.", len(header), clause=_CLAUSE)
        header += piece
    count, *offsets = _HEADER.unpack(header)
    if not frame.sample_length or frame.subsampled or count != len(planes):
        raise FrameDamaged(
            f"The RLE header tells of {count} segments where {len(planes)} belong.",
            0,
            clause=_CLAUSE,
        )
    starts = offsets[:count]
    if starts[0] < _HEADER.size or any(after < before for before, after in pairwise(starts)):
        raise FrameDamaged("The RLE header's offsets are out of order.", 4, clause=_CLAUSE)
    pack_bits = _pack_bits()
    segments = [
        _Segment(pack_bits, source, start, end, plane)
        for start, end, plane in zip(starts, [*starts[1:], None], planes, strict=True)
    ]
    return Decoded(frame, _strips(frame, segments))


def _strips(frame: FrameDescription, segments: list[_Segment]) -> Iterator[Strip]:
    stride = len(segments)
    height = strip_height(frame)
    strip = memoryview(bytearray(height * frame.row_length))
    for row in range(0, frame.rows, height):
        part = strip[: min(height, frame.rows - row) * frame.row_length]
        done = [segment.fill(part, stride) for segment in segments]
        whole = min(done) // frame.columns
        if whole:
            yield part[: whole * frame.row_length]
        if min(done) < len(part) // stride:
            short = done.index(min(done))
            raise FrameDamaged(
                f"RLE segment {short + 1} ends in row {row + whole + 1} of {frame.rows}.",
                segments[short].position,
                clause=_CLAUSE,
            )
