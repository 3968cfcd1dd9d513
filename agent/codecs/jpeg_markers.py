"""The marker segments of a JPEG stream (ITU-T T.81 annex B), read from a source by position.

`read_header` gives what stands before the first scan, `next_scan` goes on to the one after it:
tables and the restart interval may change in between, so each scan comes with the header as it is
then. Which processes, precisions and samplings are accepted is for the codec to say.
`jpeg_segments` writes the same segments.

Memory: a window of 64 KiB, and the tables: at most eight Huffman and four quantisation tables.
All functions raise FrameDamaged with the position and the clause.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from agent.codecs.damage import FrameDamaged
from agent.codecs.jpeg_huffman import HuffmanTable
from agent.dataset.byte_source import ByteSource
from agent.errors import LocalError

# T.81 Table B.1
SOF0, SOF1, SOF3 = 0xC0, 0xC1, 0xC3
DHT, JPG, DAC = 0xC4, 0xC8, 0xCC
RST0, RST7 = 0xD0, 0xD7
SOI, EOI, SOS, DQT, DNL, DRI, DHP, EXP = range(0xD8, 0xE0)
APP0, APP14, COM = 0xE0, 0xEE, 0xFE
_TEM = 0x01
_SOF = frozenset(range(0xC0, 0xD0)) - {DHT, JPG, DAC}

_WINDOW = 1 << 16
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Component:
    """A component of the frame header (T.81 B.2.2): C, H, V and Tq."""

    identifier: int
    horizontal_sampling: int
    vertical_sampling: int
    quantisation_table: int


@dataclass(frozen=True, slots=True)
class ScanComponent:
    """A component of the scan header (B.2.3): its place in the frame header, Td and Ta."""

    index: int
    dc_table: int
    ac_table: int


@dataclass(frozen=True, slots=True)
class Scan:
    """The scan header (B.2.3): Ss, Se, Ah, Al. `position` is the first entropy-coded byte."""

    components: tuple[ScanComponent, ...]
    spectral_start: int
    spectral_end: int
    approximation_high: int
    approximation_low: int
    position: int

    @property
    def places(self) -> tuple[int, ...]:
        """Of its components in the frame header."""
        return tuple(each.index for each in self.components)


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What stands before a scan.

    `process` is the marker of the frame header, SOF0 to SOF15 (0 until it has come); its segment
    begins at `position`. `huffman_tables` are by class (0 DC or lossless, 1 AC) and identifier,
    `quantisation_tables` by identifier, in zigzag order. `adobe_transform` is that of an Adobe
    APP14 segment, None without one.
    """

    process: int = 0
    precision: int = 0
    rows: int = 0
    columns: int = 0
    components: tuple[Component, ...] = ()
    restart_interval: int = 0
    huffman_tables: Mapping[tuple[int, int], HuffmanTable] = field(default_factory=dict)
    quantisation_tables: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    adobe_transform: int | None = None
    jfif: bool = False
    position: int = 0


class Cursor:
    """The next bytes of a source, in small reads of a larger window."""

    def __init__(self, source: ByteSource, position: int) -> None:
        self._source = source
        self.position = position
        self._window = b""
        self._start = position

    def take(self, count: int, what: str, clause: str) -> bytes:
        found = self.peek(count)
        if len(found) < count:
            raise FrameDamaged(
                f"The JPEG stream ends within {what}.", self.position + len(found), clause=clause
            )
        self.position += count
        return found

    def peek(self, count: int) -> bytes:
        first = self.position - self._start
        if first + count > len(self._window):
            pieces = [self._window[first:]]
            self._start = self.position
            missing = count - len(pieces[0])
            while missing > 0:
                at = self.position + count - missing
                piece = self._source.read(at, max(missing, 512))
                if not piece:
                    break
                pieces.append(piece)
                missing -= len(piece)
            self._window = b"".join(pieces)
            first = 0
        return self._window[first : first + count]

    def skip(self, count: int) -> None:
        """Pass over `count` bytes without reading them; an end within them is found after."""
        self.position += count
        if self.position - self._start > len(self._window):
            self._window = b""
            self._start = self.position


def read_header(source: ByteSource) -> tuple[JpegHeader, Scan]:
    """From SOI to the first scan header."""
    cursor = Cursor(source, 0)
    if cursor.take(2, "its first marker", "ITU-T T.81 B.1.1.3") != bytes((0xFF, SOI)):
        raise FrameDamaged("This is no JPEG stream.", 0, clause="ITU-T T.81 B.2.1")
    header, scan = _to_scan(cursor, JpegHeader())
    if scan is None:
        raise FrameDamaged("The JPEG stream has no scan.", cursor.position, clause="ITU-T T.81 B.2")
    return header, scan


def next_scan(
    source: ByteSource, header: JpegHeader, position: int
) -> tuple[JpegHeader, Scan] | None:
    """The scan after the one whose entropy-coded bytes include `position`; None at EOI."""
    found, scan = _to_scan(Cursor(source, end_of_scan(source, position)), header)
    return None if scan is None else (found, scan)


def end_of_scan(source: ByteSource, position: int, marker: re.Pattern[bytes] = _END_OF_SCAN) -> int:
    """Where the marker after entropy-coded bytes begins: neither stuffing nor RST (B.1.1.5)."""
    window = b""
    while piece := source.read(position + len(window), _WINDOW):
        window += piece
        if found := marker.search(window):
            return position + found.start()
        kept = 1 if window.endswith(b"\xff") else 0
        position += len(window) - kept
        window = window[len(window) - kept :]
    raise FrameDamaged(
        "The JPEG stream ends within a scan.", position + len(window), clause="ITU-T T.81 B.2.1"
    )


def _to_scan(cursor: Cursor, header: JpegHeader) -> tuple[JpegHeader, Scan | None]:
    while True:
        marker = next_marker(cursor)
        if marker == EOI:
            return header, None
        if marker == _TEM or RST0 <= marker <= RST7:
            continue
        if marker == SOS:
            return header, _scan(cursor, header)
        start = cursor.position
        length = int.from_bytes(cursor.take(2, "the length of a segment", "ITU-T T.81 B.1.1.4"))
        if length < 2:
            raise FrameDamaged(
                f"A marker segment has the length {length}.", start, clause="ITU-T T.81 B.1.1.4"
            )
        if reader := _SEGMENTS.get(marker):
            body = cursor.take(length - 2, "a marker segment", "ITU-T T.81 B.1.1.4")
            header = reader(header, body, start + 2)
        elif marker in _SOF:
            if header.process:
                raise FrameDamaged(
                    "There is a second frame header.", start - 2, clause="ITU-T T.81 B.2.1"
                )
            body = cursor.take(length - 2, "the frame header", "ITU-T T.81 B.2.2")
            header = frame_header(header, body, marker, start - 2)
        elif marker in _REFUSED:
            message, clause = _REFUSED[marker]
            raise FrameDamaged(message, start - 2, clause=clause)
        else:
            cursor.skip(length - 2)


def next_marker(cursor: Cursor) -> int:
    """The next marker, after any fill bytes (B.1.1.2)."""
    start = cursor.position
    if cursor.take(1, "its markers", "ITU-T T.81 B.1.1.3") != b"\xff":
        raise FrameDamaged(
            "There is something between marker segments.", start, clause="ITU-T T.81 B.1.1.3"
        )
    while (code := cursor.take(1, "a marker", "ITU-T T.81 B.1.1.2")[0]) == 0xFF:
        pass
    if code == 0 or code == SOI:
        raise FrameDamaged(
            f"FF{code:02X} is no marker that belongs here.",
            cursor.position - 2,
            clause="ITU-T T.81 B.1.1.3",
        )
    return code


def frame_header(header: JpegHeader, body: bytes, marker: int, position: int) -> JpegHeader:
    """The header with what a frame header segment says (B.2.2); `marker` is its process."""
    clause = "ITU-T T.81 B.2.2"
    count = body[5] if len(body) > 5 else 0
    if count == 0 or len(body) != 6 + 3 * count:
        raise FrameDamaged("The frame header has a wrong length.", position, clause=clause)
    precision, rows, columns = body[0], int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
    if rows == 0:
        raise FrameDamaged(
            "The number of lines comes after the first scan (DNL), which is not supported.",
            position,
            clause="ITU-T T.81 B.2.5",
        )
    if columns == 0 or not 2 <= precision <= 16:
        raise FrameDamaged(
            f"The frame header tells of {columns} columns of {precision} bits.",
            position,
            clause=clause,
        )
    components = tuple(
        Component(body[at], body[at + 1] >> 4, body[at + 1] & 15, body[at + 2])
        for at in range(6, len(body), 3)
    )
    if len({each.identifier for each in components}) < count:
        raise FrameDamaged("Two components have the same identifier.", position, clause=clause)
    for each in components:
        if not (1 <= each.horizontal_sampling <= 4 and 1 <= each.vertical_sampling <= 4):
            raise FrameDamaged("A sampling factor is not 1 to 4.", position, clause=clause)
        if each.quantisation_table > 3:
            raise FrameDamaged("A quantisation table is not 0 to 3.", position, clause=clause)
    return replace(
        header,
        process=marker,
        precision=precision,
        rows=rows,
        columns=columns,
        components=components,
        position=position,
    )


def _scan(cursor: Cursor, header: JpegHeader) -> Scan:
    clause = "ITU-T T.81 B.2.3"
    start = cursor.position - 2
    if not header.process:
        raise FrameDamaged(
            "A scan comes before the frame header.", start, clause="ITU-T T.81 B.2.1"
        )
    length = int.from_bytes(cursor.take(2, "the scan header", clause))
    body = cursor.take(length - 2, "the scan header", clause) if length >= 2 else b""
    count = body[0] if body else 0
    if not 1 <= count <= 4 or len(body) != 4 + 2 * count:
        raise FrameDamaged("The scan header has a wrong length.", start, clause=clause)
    places = {each.identifier: index for index, each in enumerate(header.components)}
    components: list[ScanComponent] = []
    for at in range(1, 1 + 2 * count, 2):
        index = places.get(body[at], -1)
        # Components come in the order of the frame header, each once.
        if index < 0 or (components and index <= components[-1].index):
            raise FrameDamaged(
                f"The scan has the component {body[at]}, which is not its turn.",
                start,
                clause=clause,
            )
        dc_table, ac_table = body[at + 1] >> 4, body[at + 1] & 15
        if dc_table > 3 or ac_table > 3:
            raise FrameDamaged("A Huffman table is not 0 to 3.", start, clause=clause)
        components.append(ScanComponent(index, dc_table, ac_table))
    high, low = divmod(body[-1], 16)
    return Scan(tuple(components), body[-3], body[-2], high, low, cursor.position)


def _with(mapping: Mapping[_K, _V], key: _K, value: _V) -> Mapping[_K, _V]:
    return MappingProxyType({**mapping, key: value})


def _huffman(header: JpegHeader, body: bytes, position: int) -> JpegHeader:
    tables = header.huffman_tables
    at = 0
    while at < len(body):
        table_class, identifier = divmod(body[at], 16)
        counts = body[at + 1 : at + 17]
        values = body[at + 17 : at + 17 + sum(counts)]
        if table_class > 1 or identifier > 3 or len(counts) < 16 or len(values) < sum(counts):
            raise FrameDamaged(
                "A Huffman table has a wrong identifier or length.",
                position + at,
                clause="ITU-T T.81 B.2.4.2",
            )
        try:
            table = HuffmanTable(counts, values)
        except LocalError as error:
            raise FrameDamaged(error.message, position + at, clause=error.clause) from None
        tables = _with(tables, (table_class, identifier), table)
        at += 17 + len(values)
    return replace(header, huffman_tables=tables)


def _quantisation(header: JpegHeader, body: bytes, position: int) -> JpegHeader:
    tables = header.quantisation_tables
    at = 0
    while at < len(body):
        wide, identifier = divmod(body[at], 16)
        width = 1 + wide
        elements = body[at + 1 : at + 1 + 64 * width]
        if wide > 1 or identifier > 3 or len(elements) < 64 * width:
            raise FrameDamaged(
                "A quantisation table has a wrong identifier or length.",
                position + at,
                clause="ITU-T T.81 B.2.4.1",
            )
        table = tuple(
            int.from_bytes(elements[i : i + width]) for i in range(0, len(elements), width)
        )
        if 0 in table:
            raise FrameDamaged(
                "A quantisation table has a zero.", position + at, clause="ITU-T T.81 B.2.4.1"
            )
        tables = _with(tables, identifier, table)
        at += 1 + len(elements)
    return replace(header, quantisation_tables=tables)


def _restart_interval(header: JpegHeader, body: bytes, position: int) -> JpegHeader:
    if len(body) != 2:
        raise FrameDamaged(
            "The restart interval has a wrong length.", position, clause="ITU-T T.81 B.2.4.4"
        )
    return replace(header, restart_interval=int.from_bytes(body))


def _jfif(header: JpegHeader, body: bytes, position: int) -> JpegHeader:
    return replace(header, jfif=True) if body.startswith(b"JFIF\0") else header


def _adobe(header: JpegHeader, body: bytes, position: int) -> JpegHeader:
    if body.startswith(b"Adobe") and len(body) >= 12:
        return replace(header, adobe_transform=body[11])
    return header


_SEGMENTS: dict[int, Callable[[JpegHeader, bytes, int], JpegHeader]] = {
    DHT: _huffman,
    DQT: _quantisation,
    DRI: _restart_interval,
    APP0: _jfif,
    APP14: _adobe,
}

_REFUSED = {
    DNL: (
        "The number of lines comes in a DNL segment, which is not supported.",
        "ITU-T T.81 B.2.5",
    ),
    DHP: ("The stream is hierarchical, which is not supported.", "ITU-T T.81 B.3"),
    EXP: ("The stream is hierarchical, which is not supported.", "ITU-T T.81 B.3"),
}
