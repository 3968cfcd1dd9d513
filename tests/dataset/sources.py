"""Byte sources and data sets that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom.data
import pytest

from agent.dataset.byte_source import ByteSource, MemoryBytes
from agent.dataset.transfer_syntaxes import TransferSyntax, by_name

IMPLICIT = by_name("implicit")
EXPLICIT = by_name("explicit")
BIG_ENDIAN = by_name("explicit-big")
DEFLATED = by_name("deflated")
JPEG_BASELINE = by_name("jpeg-baseline")
NATIVE = (IMPLICIT, EXPLICIT, BIG_ENDIAN)


class OneByOne:
    """A source that never gives more than one byte."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, position: int, length: int) -> bytes:
        return self._data[position : position + min(length, 1)]


class Counting:
    """A source of zeros beyond its data, of any size, that says how much was read."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = data
        self._size = size
        self.read_bytes = 0

    def read(self, position: int, length: int) -> bytes:
        length = max(0, min(length, self._size - position))
        piece = self._data[position : position + length].ljust(length, b"\0")
        self.read_bytes += len(piece)
        return piece


Sources = Callable[[bytes], ByteSource]

both_ways = pytest.mark.parametrize(
    "source_of", [MemoryBytes, OneByOne], ids=["whole", "one by one"]
)


def element(tag: int, vr: str, value: bytes, syntax: TransferSyntax = EXPLICIT) -> bytes:
    """An element laid out by hand, as independent of the writer as can be."""
    order = "little" if syntax.little_endian else "big"
    head = (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order)
    if not syntax.explicit_vr:
        return head + len(value).to_bytes(4, order) + value
    if vr in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"):
        return head + vr.encode() + b"\0\0" + len(value).to_bytes(4, order) + value
    return head + vr.encode() + len(value).to_bytes(2, order) + value


def undefined(tag: int, vr: str, content: bytes, syntax: TransferSyntax = EXPLICIT) -> bytes:
    """A sequence of undefined length with its delimiter."""
    head = element(tag, vr, b"", syntax)[:-4] + b"\xff\xff\xff\xff"
    return head + content + item(0xFFFEE0DD, b"", syntax)


def item(tag: int, content: bytes, syntax: TransferSyntax = EXPLICIT) -> bytes:
    """An item or delimiter with its length."""
    order = "little" if syntax.little_endian else "big"
    head = (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order)
    return head + len(content).to_bytes(4, order) + content


def open_item(content: bytes, syntax: TransferSyntax = EXPLICIT) -> bytes:
    """An item of undefined length with its delimiter."""
    head = item(0xFFFEE000, b"", syntax)[:-4] + b"\xff\xff\xff\xff"
    return head + content + item(0xFFFEE00D, b"", syntax)


def pydicom_files() -> list[Path]:
    """Every file that pydicom brings as test data, without downloading any."""
    folder = Path(pydicom.data.__file__).parent
    return sorted(
        path
        for name in ("test_files", "charset_files")
        for path in (folder / name).rglob("*")
        if path.is_file()
    )


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of the file."""
    with path.open("rb") as file:
        yield file.fileno()
