"""Marker segments and Huffman tables of JPEG (ITU-T T.81 annexes B, C and K)."""

from __future__ import annotations

import struct

import pytest

from agent.codecs import jpeg_huffman, jpeg_markers, jpeg_segments
from agent.codecs.damage import FrameDamaged
from agent.codecs.jpeg_huffman import HuffmanTable, optimal
from agent.codecs.jpeg_markers import SOF1, SOF3, Component, ScanComponent, next_scan, read_header
from agent.dataset.byte_source import MemoryBytes
from agent.errors import LocalError

COMPONENTS = (Component(1, 2, 1, 0), Component(2, 1, 1, 1), Component(7, 1, 1, 1))
TABLES = {
    (0, 0): jpeg_huffman.LUMINANCE_DC,
    (1, 0): jpeg_huffman.LUMINANCE_AC,
    (0, 1): jpeg_huffman.CHROMINANCE_DC,
    (1, 1): jpeg_huffman.CHROMINANCE_AC,
}
QUANTISATION = {0: tuple(range(1, 65)), 1: tuple(range(201, 265))}


def scan_of(index: int) -> bytes:
    return jpeg_segments.scan_header(
        COMPONENTS, [ScanComponent(index, 1, 1)], spectral_start=0, spectral_end=63
    )


def stream(frame: bytes | None = None, *, before: bytes = b"") -> bytes:
    return b"".join(
        (
            jpeg_segments.START_OF_IMAGE,
            jpeg_segments.jfif(),
            jpeg_segments.adobe(1),
            jpeg_segments.comment(b"\xff\xd9 is no end here"),
            before,
            jpeg_segments.quantisation_tables(QUANTISATION),
            frame or jpeg_segments.frame_header(SOF1, 12, 500, 300, COMPONENTS),
            b"\xff\xff\xff",
            jpeg_segments.huffman_tables(TABLES),
            jpeg_segments.restart_interval(40),
            scan_of(0),
        )
    )


def refused(data: bytes) -> FrameDamaged:
    with pytest.raises(FrameDamaged) as caught:
        read_header(MemoryBytes(data))
    return caught.value


def test_what_is_written_is_read() -> None:
    data = stream()
    header, scan = read_header(MemoryBytes(data + b"\x12\x34"))
    assert (header.process, header.precision, header.rows, header.columns) == (SOF1, 12, 500, 300)
    assert header.components == COMPONENTS
    assert dict(header.huffman_tables) == TABLES
    assert dict(header.quantisation_tables) == QUANTISATION
    assert header.restart_interval == 40
    assert header.jfif and header.adobe_transform == 1
    assert data[header.position : header.position + 2] == b"\xff\xc1"
    assert scan.components == (ScanComponent(0, 1, 1),)
    assert (scan.spectral_start, scan.spectral_end, scan.position) == (0, 63, len(data))


def test_scans_are_found_one_after_another_with_the_tables_between_them() -> None:
    entropy = b"\x00\xff\x00\xff\xd3\x11" * 30000
    between = jpeg_segments.restart_interval(0) + jpeg_segments.quantisation_tables(
        {0: QUANTISATION[1]}
    )
    data = stream() + entropy + between + scan_of(2) + b"\xff\x00\xff\xff" + b"\xff\xd9"

    class Dripping(MemoryBytes):
        def read(self, position: int, length: int) -> bytes:
            return super().read(position, min(length, 997))

    for source in (MemoryBytes(data), Dripping(data)):
        header, scan = read_header(source)
        found = next_scan(source, header, scan.position)
        assert found is not None
        second, scan = found
        assert second.restart_interval == 0 and header.restart_interval == 40
        assert second.quantisation_tables[0] == second.quantisation_tables[1] == QUANTISATION[1]
        assert scan.components[0].index == 2
        assert data[scan.position :] == b"\xff\x00\xff\xff\xff\xd9"
        assert next_scan(source, second, scan.position) is None
        cut = MemoryBytes(data[:-2])
        with pytest.raises(FrameDamaged, match="ends within a"):
            next_scan(cut, second, scan.position)


def test_a_header_that_is_cut_off_anywhere_is_told_with_its_place() -> None:
    data = stream()
    for length in range(len(data)):
        assert refused(data[:length]).position <= length + 65536


@pytest.mark.parametrize(
    "data, words",
    [
        (b"\xff\xd8\xff\xd9", "no scan"),
        (b"\x00\xd8", "no JPEG stream"),
        (b"\xff\xd8" + scan_of(0), "before the frame header"),
        (stream(before=b"\x00"), "between marker segments"),
        (stream(before=b"\xff\xd8"), "FFD8 is no marker"),
        (stream(before=b"\xff\xe3\x00\x01"), "has the length 1"),
        (stream(before=b"\xff\xde\x00\x02"), "hierarchical"),
        (stream(before=b"\xff\xdc\x00\x04\x01\x00"), "DNL"),
        (stream(before=b"\xff\xdd\x00\x03\x01"), "restart interval has a wrong length"),
        (stream(before=jpeg_segments.frame_header(SOF3, 8, 1, 1, COMPONENTS)), "second frame"),
        (stream(jpeg_segments.frame_header(SOF1, 8, 0, 1, COMPONENTS)), "DNL"),
        (stream(jpeg_segments.frame_header(SOF1, 8, 1, 0, COMPONENTS)), "0 columns"),
        (stream(jpeg_segments.frame_header(SOF1, 17, 1, 1, COMPONENTS)), "17 bits"),
        (stream(jpeg_segments.frame_header(SOF1, 8, 1, 1, ())), "wrong length"),
        (stream(jpeg_segments.frame_header(SOF1, 8, 1, 1, COMPONENTS[:1] * 2)), "same identifier"),
        (stream(jpeg_segments.frame_header(SOF1, 8, 1, 1, [Component(1, 0, 1, 0)])), "sampling"),
        (stream(jpeg_segments.frame_header(SOF1, 8, 1, 1, [Component(1, 1, 1, 4)])), "table"),
        (stream(jpeg_segments.frame_header(SOF1, 8, 1, 1, [COMPONENTS[2]])), "not its turn"),
        (stream(before=jpeg_segments.segment(jpeg_markers.DQT, bytes(65))), "has a zero"),
        (stream(before=jpeg_segments.segment(jpeg_markers.DQT, bytes(64))), "wrong identifier"),
        (stream(before=jpeg_segments.segment(jpeg_markers.DHT, bytes(16))), "wrong identifier"),
        (
            stream(before=jpeg_segments.segment(jpeg_markers.DHT, b"\x00\x02" + bytes(17))),
            "more codes of 1 bits",
        ),
    ],
)
def test_what_the_standard_forbids_is_refused_in_words(data: bytes, words: str) -> None:
    error = refused(data)
    assert words in str(error) and "T.81" in str(error)


def test_the_claims_of_a_segment_are_not_believed() -> None:
    far = struct.pack(">BBH", 0xFF, 0xE5, 65535)
    assert "ends within" in str(refused(b"\xff\xd8" + far))


def test_a_huffman_table_has_codes_that_can_be_told_apart() -> None:
    assert HuffmanTable(bytes(16), b"").specification == bytes(16)
    for counts in ((2,), (1, 2), (0, 4), (0,) * 15 + (257,), (1, 1, 1, 1, 1, 1, 1, 2)):
        padded = [*counts, *[0] * (16 - len(counts))]
        if max(padded) > 255:
            continue
        with pytest.raises(LocalError):
            HuffmanTable(bytes(padded), bytes(sum(padded)))
    with pytest.raises(LocalError):
        HuffmanTable(bytes((1, *[0] * 15)), b"")


def test_optimal_tables_are_prefix_codes_of_at_most_16_bits() -> None:
    fibonacci = [1, 1]
    while len(fibonacci) < 40:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    for frequencies in ([5], [0, 0, 9], [1, 1], fibonacci, [1] * 256, [10**9, *[1] * 255]):
        table = optimal(frequencies)
        assert sorted(table.values) == [i for i, count in enumerate(frequencies) if count]
        lengths = [length for length, count in enumerate(table.counts, 1) for _ in range(count)]
        assert sum(2.0**-length for length in lengths) < 1
        often = [frequencies[value] for value in table.values]
        assert often == sorted(often, reverse=True)
    assert optimal([0, 0]).values == b""
    # Four symbols of one half, a quarter, and two eighths: one eighth is with the reserved code.
    assert optimal([8, 4, 2, 2]).counts[:4] == bytes((1, 1, 1, 1))


def test_the_typical_tables_are_those_of_annex_k() -> None:
    assert len(jpeg_huffman.LUMINANCE_AC.values) == len(jpeg_huffman.CHROMINANCE_AC.values) == 162
    for table in (jpeg_huffman.LUMINANCE_AC, jpeg_huffman.CHROMINANCE_AC):
        wanted = {run << 4 | size for run in range(16) for size in range(1, 11)} | {0x00, 0xF0}
        assert set(table.values) == wanted
