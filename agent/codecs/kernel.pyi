"""The extension module of `kernels/`: the sequential cores of the codecs."""

from typing import TypeAlias

_Read: TypeAlias = bytes | bytearray | memoryview
_Write: TypeAlias = bytearray | memoryview

# RLE Lossless (PS3.5 G)
def rle_encode(rows: _Read, row_length: int, offset: int, stride: int, out: _Write) -> int: ...
def rle_begin(state: _Write) -> None: ...
def rle_decode(
    state: _Write, data: _Read, out: _Write, offset: int, stride: int
) -> tuple[int, int]: ...
