"""The marker segments of a JPEG stream (ITU-T T.81 annex B), written; `jpeg_markers` reads them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from agent.codecs.jpeg_huffman import HuffmanTable
from agent.codecs.jpeg_markers import (
    APP0,
    APP14,
    COM,
    DHT,
    DQT,
    DRI,
    EOI,
    RST0,
    SOI,
    SOS,
    Component,
    ScanComponent,
)

START_OF_IMAGE = bytes((0xFF, SOI))
END_OF_IMAGE = bytes((0xFF, EOI))


def segment(marker: int, body: bytes) -> bytes:
    """A marker with its length and parameters (B.1.1.4)."""
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def restart(number: int) -> bytes:
    """The restart marker of interval `number`, counted from 0 (B.2.1)."""
    return bytes((0xFF, RST0 + number % 8))


def frame_header(
    process: int, precision: int, rows: int, columns: int, components: Sequence[Component]
) -> bytes:
    """SOFn (B.2.2); `process` is its marker."""
    body = struct.pack(">BHHB", precision, rows, columns, len(components))
    for each in components:
        sampling = each.horizontal_sampling << 4 | each.vertical_sampling
        body += bytes((each.identifier, sampling, each.quantisation_table))
    return segment(process, body)


def scan_header(
    components: Sequence[Component],
    scan: Sequence[ScanComponent],
    *,
    spectral_start: int,
    spectral_end: int,
    approximation_high: int = 0,
    approximation_low: int = 0,
) -> bytes:
    """SOS (B.2.3) for components of the frame header. Lossless: `spectral_start` is the predictor,
    `spectral_end` 0, `approximation_low` the point transform."""
    body = bytes((len(scan),))
    for each in scan:
        tables = each.dc_table << 4 | each.ac_table
        body += bytes((components[each.index].identifier, tables))
    approximation = approximation_high << 4 | approximation_low
    return segment(SOS, body + bytes((spectral_start, spectral_end, approximation)))


def huffman_tables(tables: dict[tuple[int, int], HuffmanTable]) -> bytes:
    """One DHT segment (B.2.4.2) with tables by class and identifier."""
    body = b"".join(
        bytes((table_class << 4 | identifier,)) + table.specification
        for (table_class, identifier), table in tables.items()
    )
    return segment(DHT, body)


def quantisation_tables(tables: dict[int, Sequence[int]]) -> bytes:
    """One DQT segment (B.2.4.1) with tables in zigzag order by identifier, each 8 bits wide where
    its elements allow it."""
    body = b""
    for identifier, table in tables.items():
        wide = max(table) > 255
        body += bytes((wide << 4 | identifier,))
        body += struct.pack(f">{len(table)}{'H' if wide else 'B'}", *table)
    return segment(DQT, body)


def restart_interval(interval: int) -> bytes:
    """DRI (B.2.4.4): MCUs between restart markers."""
    return segment(DRI, struct.pack(">H", interval))


def jfif() -> bytes:
    """APP0 of JFIF 1.02: no density, no thumbnail. Only for grey and for YCbCr."""
    return segment(APP0, b"JFIF\0" + struct.pack(">BBBHHBB", 1, 2, 0, 1, 1, 0, 0))


def adobe(transform: int) -> bytes:
    """APP14 of Adobe: 0 says RGB (or CMYK) without transform, 1 YCbCr."""
    return segment(APP14, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))


def comment(text: bytes) -> bytes:
    """COM (B.2.4.5)."""
    return segment(COM, text)
