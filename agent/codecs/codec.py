"""What an encoder and a decoder are: the one interface of all codec modules.

A codec module has three functions, those of `CodecModule`. Frames pass in strips: whole rows of
native samples (`FrameDescription`), as many as come. Both directions are generators: each piece
that they yield, an empty one too, is a chance for the caller to give others their turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from agent.codecs.frame import FrameDescription
from agent.dataset.byte_source import ByteSource

Strip: TypeAlias = bytes | bytearray | memoryview
"""Whole native rows, one after another; of single-bit frames, any bytes."""


class RowSource(Protocol):
    """The rows of one frame, from top to bottom."""

    @property
    def repeatable(self) -> bool:
        """Whether `strips` can be called again: encoders that look twice then need no copy."""
        ...

    def strips(self) -> Iterator[Strip]:
        """The frame in strips of any height; each is valid until the next is asked for."""
        ...


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """How to compress; each codec looks at what concerns it.

    `quality`: JPEG, 1 to 100, as the scaling of the tables of T.81 K.1. `near`: JPEG-LS near
    lossless, the largest error of a sample. `level`: deflate, 1 to 9. `predictor`: JPEG lossless
    process 14, selection value 1 to 7 (.70 allows only 1). `optimised`: Huffman tables of the
    frame's own statistics, where its rows can be read twice. `colour`: JPEG, the photometric
    interpretation that RGB becomes: YBR_FULL_422, YBR_FULL, or RGB still.
    """

    quality: int = 90
    near: int = 2
    level: int = 2
    predictor: int = 1
    optimised: bool = True
    colour: str = "YBR_FULL_422"


class Encoded(NamedTuple):
    """A frame being compressed.

    `frame` is what the attributes of the object must say once its frames are compressed (the
    photometric interpretation may change). `pieces` are the bytes of the frame's stream; empty
    ones only give the turn.
    """

    frame: FrameDescription
    pieces: Iterator[bytes]


class Decoded(NamedTuple):
    """A frame being decompressed.

    `frame` describes the native frame that comes out. Each strip is valid until the next is asked
    for. When the stream is damaged, the rows before the damage come first, then `FrameDamaged`.
    """

    frame: FrameDescription
    strips: Iterator[Strip]


class CodecModule(Protocol):
    """A compression family: a module with these functions."""

    def refusal(
        self, transfer_syntax_uid: str, frame: FrameDescription, settings: EncodeSettings
    ) -> str:
        """Why frames like this cannot be encoded in this transfer syntax; empty when they can."""
        ...

    def encode(
        self,
        transfer_syntax_uid: str,
        frame: FrameDescription,
        rows: RowSource,
        settings: EncodeSettings,
    ) -> Encoded:
        """Compress a frame. Raises LocalError at once where `refusal` says something, and on the
        way when the source has too few rows or too many."""
        ...

    def decode(self, frame: FrameDescription, source: ByteSource) -> Decoded:
        """Decompress the one frame that `source` holds, padding after it allowed.

        `frame` is what the object's attributes say; a stream that cannot be reconciled with them
        raises FrameDamaged, at once if its header says so.
        """
        ...
