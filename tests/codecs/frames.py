"""Frames for the tests of all codecs: every depth, odd sizes, smooth and noisy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from agent.codecs.codec import EncodeSettings
from agent.codecs.damage import FrameDamaged
from agent.codecs.frame import FrameDescription
from agent.codecs.registry import codec_of
from agent.codecs.rows import PassingRows, StoredRows
from agent.dataset.byte_source import MemoryBytes

SIZES = ((1, 1), (1, 2), (2, 1), (3, 5), (16, 16), (17, 33), (64, 300), (129, 7))
KINDS = ("constant", "gradient", "noise", "edges", "extremes")


def description(
    rows: int, columns: int, *, samples: int = 1, bits_stored: int = 8, signed: bool = False
) -> FrameDescription:
    """A grey or RGB frame of this depth."""
    allocated = 8 if bits_stored <= 8 else 16 if bits_stored <= 16 else 32
    return FrameDescription(
        rows,
        columns,
        samples,
        allocated,
        bits_stored,
        int(signed),
        "RGB" if samples == 3 else "MONOCHROME2",
    )


def picture(frame: FrameDescription, kind: str, seed: int = 1) -> NDArray[np.generic]:
    """Samples of shape (rows, columns, samples per pixel), in the type that the frame says."""
    random = np.random.default_rng(seed)
    shape = (frame.rows, frame.columns, frame.samples_per_pixel)
    top = (1 << frame.bits_stored) - 1
    low = -(1 << (frame.bits_stored - 1)) if frame.pixel_representation else 0
    if kind == "constant":
        values = np.full(shape, top // 3)
    elif kind == "gradient":
        y, x, s = np.indices(shape)
        values = (x * 3 + y * 5 + s * 7) % (top + 1)
    elif kind == "noise":
        values = random.integers(0, top + 1, shape)
    elif kind == "edges":
        values = np.where(random.integers(0, 20, shape) == 0, top, top // 2)
    else:
        values = random.choice([0, top], shape)
    letter = "i" if frame.pixel_representation else "u"
    return (values + low).astype(f"<{letter}{frame.sample_length}")


def encoded(
    transfer_syntax_uid: str,
    frame: FrameDescription,
    native: bytes,
    settings: EncodeSettings | None = None,
    *,
    strip_rows: int = 0,
) -> bytes:
    """The stream of a frame; from a file, or from strips of `strip_rows` that come once."""
    rows: PassingRows | StoredRows
    if strip_rows:
        size = strip_rows * frame.row_length
        rows = PassingRows(native[at : at + size] for at in range(0, len(native), size))
    else:
        rows = StoredRows(frame, MemoryBytes(native))
    codec = codec_of(transfer_syntax_uid)
    return b"".join(
        codec.encode(transfer_syntax_uid, frame, rows, settings or EncodeSettings()).pieces
    )


def decoded(
    transfer_syntax_uid: str, frame: FrameDescription, stream: bytes, *, read_at_most: int = 0
) -> bytes:
    """The native bytes of a stream; `read_at_most` gives the decoder that few at a time."""
    source = _Dripping(stream, read_at_most) if read_at_most else MemoryBytes(stream)
    return b"".join(
        bytes(strip) for strip in codec_of(transfer_syntax_uid).decode(frame, source).strips
    )


def salvaged(
    transfer_syntax_uid: str, frame: FrameDescription, stream: bytes
) -> tuple[bytes, FrameDamaged | None]:
    """What comes out of a stream that may be damaged, and the complaint."""
    native = bytearray()
    try:
        for strip in codec_of(transfer_syntax_uid).decode(frame, MemoryBytes(stream)).strips:
            native += strip
    except FrameDamaged as error:
        return bytes(native), error
    return bytes(native), None


def damaged(stream: bytes, seed: int, count: int) -> Iterator[bytes]:
    """The stream cut off, with bits turned, bytes swapped, zeroed, repeated: `count` of them."""
    random = np.random.default_rng(seed)
    for number in range(count):
        changed = bytearray(stream)
        at = int(random.integers(0, max(1, len(changed))))
        match number % 5:
            case 0:
                del changed[at:]
            case 1:
                changed[at] ^= 1 << int(random.integers(0, 8))
            case 2:
                changed[at : at + 4] = random.bytes(4)
            case 3:
                changed[at : at + 16] = bytes(16)
            case _:
                changed[at:at] = changed[: int(random.integers(1, 40))]
        yield bytes(changed)


class _Dripping(MemoryBytes):
    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read(self, position: int, length: int) -> bytes:
        return super().read(position, min(length, self._most))
