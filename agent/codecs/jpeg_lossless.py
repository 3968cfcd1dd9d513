"""JPEG lossless, process 14 (ITU-T T.81 annex H): each sample as its difference from a prediction.

Encodes one scan of all components, with a Huffman table made for the frame where its rows can be
read twice, and for the first strip of it otherwise. Decodes all seven predictors, point
transforms, restart intervals, and components in scans of their own.

Working set: a strip of 64 KiB (a row at least) and four times that for its stream; 6 bytes for
each sample of a row; decoding, 40 KiB of tables and a window of 128 KiB (eight bytes for each
sample of a row at least), for each scan of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from agent.codecs import jpeg_segments
from agent.codecs.codec import Decoded, Encoded, EncodeSettings, RowSource, Strip
from agent.codecs.damage import FrameDamaged
from agent.codecs.frame import FrameDescription
from agent.codecs.jpeg_huffman import HuffmanTable, optimal
from agent.codecs.jpeg_markers import (
    SOF3,
    Component,
    JpegHeader,
    Scan,
    ScanComponent,
    next_scan,
    read_header,
)
from agent.codecs.row_scans import RowScan, check_frame, scans_of, sign_bit, strips_of
from agent.codecs.rows import PassingRows, grouped, strip_height
from agent.codecs.window import Window
from agent.dataset.byte_source import ByteSource
from agent.dataset.transfer_syntaxes import JPEG_LOSSLESS_FIRST_ORDER
from agent.errors import LocalError

_CLAUSE = "ITU-T T.81 H"
_CATEGORIES = 17
_WORST = 8
_MARGIN = 64
_PHOTOMETRIC_INTERPRETATIONS = {
    1: ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"),
    3: ("RGB", "YBR_FULL"),
}

Parameters = tuple[int, int, int, int, int, int]
"""Columns, components, bytes of a sample, precision, point transform, predictor."""


def refusal(transfer_syntax_uid: str, frame: FrameDescription, settings: EncodeSettings) -> str:
    """PS3.5 8.2.1: cells of 8 or 16 bits, grey or three colours, no shared chroma."""
    if frame.bits_allocated not in (8, 16):
        return "JPEG lossless takes samples of 8 or 16 bits"
    allowed = _PHOTOMETRIC_INTERPRETATIONS.get(frame.samples_per_pixel, ())
    if frame.photometric_interpretation not in allowed:
        return f"JPEG lossless takes no {frame.photometric_interpretation}"
    if max(frame.rows, frame.columns) > 65535:
        return "JPEG has at most 65535 rows and columns"
    if _predictor(transfer_syntax_uid, settings) not in range(1, 8):
        return "JPEG lossless has the predictors 1 to 7"
    return ""


def _predictor(transfer_syntax_uid: str, settings: EncodeSettings) -> int:
    return 1 if transfer_syntax_uid == JPEG_LOSSLESS_FIRST_ORDER else settings.predictor


def encode(
    transfer_syntax_uid: str, frame: FrameDescription, rows: RowSource, settings: EncodeSettings
) -> Encoded:
    """Compress a frame; see `codec.CodecModule.encode`."""
    if reason := refusal(transfer_syntax_uid, frame, settings):
        raise LocalError(f"{reason}.", clause="PS3.5 8.2.1", value=frame)
    predictor = _predictor(transfer_syntax_uid, settings)
    if settings.optimised and rows.repeatable:
        return Encoded(frame, _encoded_in_two_passes(frame, rows, predictor))
    return Encoded(frame, _encoded_in_one_pass(frame, rows, predictor))


def _parameters(frame: FrameDescription, precision: int, predictor: int) -> Parameters:
    samples = frame.samples_per_pixel
    return frame.columns, samples, frame.sample_length, precision, 0, predictor


class _Statistics:
    """How often each category of differences occurs (H.1.2.2), and which bits the samples use."""

    def __init__(self, parameters: Parameters) -> None:
        from agent.codecs import kernel

        self._kernel = kernel
        self._state = bytearray(kernel.lossless_state_length(parameters, False))
        self._counts = memoryview(bytearray(8 * _CATEGORIES)).cast("Q")
        self.bits_seen = 0
        kernel.lossless_encoder_begin(self._state, parameters, b"")

    def add(self, strip: Strip) -> None:
        self.bits_seen = self._kernel.lossless_count(self._state, strip, self._counts)

    @property
    def counts(self) -> list[int]:
        return self._counts.tolist()


def _encoded_in_two_passes(
    frame: FrameDescription, rows: RowSource, predictor: int
) -> Iterator[bytes]:
    """The precision is Bits Stored, unless cells hold more than that: signs, or old overlays."""
    for precision in (max(2, frame.bits_stored), frame.bits_allocated):
        statistics = _Statistics(_parameters(frame, precision, predictor))
        for strip in grouped(frame, rows.strips(), strip_height(frame)):
            statistics.add(strip)
            yield b""
        if statistics.bits_seen >> precision == 0:
            break
    table = optimal(statistics.counts)
    yield from _scan(frame, rows, _parameters(frame, precision, predictor), table)


def _encoded_in_one_pass(
    frame: FrameDescription, rows: RowSource, predictor: int
) -> Iterator[bytes]:
    """The table is that of the first strip, with a code for what has not yet been seen."""
    parameters = _parameters(frame, frame.bits_allocated, predictor)
    strips = grouped(frame, rows.strips(), strip_height(frame))
    first = next(strips)
    statistics = _Statistics(parameters)
    statistics.add(first)
    table = optimal([16 * count + 1 for count in statistics.counts])
    yield from _scan(frame, PassingRows(chain((first,), strips)), parameters, table)


def _header(frame: FrameDescription, parameters: Parameters, table: HuffmanTable) -> bytes:
    samples = frame.samples_per_pixel
    rgb = frame.photometric_interpretation == "RGB"
    # Readers that know no DICOM take three components for YCbCr unless told.
    identifiers = b"RGB" if rgb else bytes(range(1, samples + 1))
    components = [Component(each, 1, 1, 0) for each in identifiers]
    scan = [ScanComponent(index, 0, 0) for index in range(samples)]
    return b"".join(
        (
            jpeg_segments.START_OF_IMAGE,
            jpeg_segments.adobe(0) if rgb else b"",
            jpeg_segments.frame_header(SOF3, parameters[3], frame.rows, frame.columns, components),
            jpeg_segments.huffman_tables({(0, 0): table}),
            jpeg_segments.scan_header(
                components, scan, spectral_start=parameters[5], spectral_end=0
            ),
        )
    )


def _scan(
    frame: FrameDescription, rows: RowSource, parameters: Parameters, table: HuffmanTable
) -> Iterator[bytes]:
    from agent.codecs import kernel

    yield _header(frame, parameters, table)
    state = bytearray(kernel.lossless_state_length(parameters, False))
    kernel.lossless_encoder_begin(state, parameters, table.specification)
    height = strip_height(frame)
    out = bytearray(height * (frame.samples_per_row * _WORST + _MARGIN))
    for strip in grouped(frame, rows.strips(), height):
        written = kernel.lossless_encode(state, strip, out)
        if written < 0:
            raise LocalError("The rows changed while the frame was compressed.", clause=_CLAUSE)
        yield bytes(memoryview(out)[:written])
    written = kernel.lossless_finish(state, out)
    yield bytes(out[:written]) + jpeg_segments.END_OF_IMAGE


def decode(frame: FrameDescription, source: ByteSource) -> Decoded:
    """Decompress a frame; see `codec.CodecModule.decode`."""
    header, scan = read_header(source)
    if header.process != SOF3:
        raise FrameDamaged(
            f"The JPEG stream is of the process SOF{header.process - 0xC0}, which is not lossless.",
            header.position,
            clause=_CLAUSE,
        )
    check_frame(frame, header, "PS3.5 8.2.1")
    found = scans_of(source, (header, scan), next_scan, frame.samples_per_pixel, "ITU-T T.81 B.2.3")
    scans = [_row_scan(frame, source, *each) for each in found]
    return Decoded(frame, strips_of(frame, scans, "JPEG", "ITU-T T.81 H.2"))


def _row_scan(
    frame: FrameDescription, source: ByteSource, header: JpegHeader, scan: Scan
) -> RowScan:
    from agent.codecs import kernel

    count = len(scan.components)
    parameters = (
        header.columns,
        count,
        frame.sample_length,
        header.precision,
        _point_transform(header, scan),
        scan.spectral_start,
    )
    state = bytearray(kernel.lossless_state_length(parameters, True))
    kernel.lossless_decoder_begin(
        state,
        parameters,
        frame.samples_per_pixel,
        _restart_rows(header, scan),
        sign_bit(frame, header.precision),
    )
    for place, component in enumerate(scan.components):
        table = header.huffman_tables.get((0, component.dc_table))
        if table is None:
            raise FrameDamaged(
                f"The scan uses Huffman table {component.dc_table}, which there is not.",
                scan.position,
                clause="ITU-T T.81 B.2.3",
            )
        kernel.lossless_decoder_component(state, place, component.index, table.specification)
    window = Window(source, scan.position, header.columns * count * _WORST + _MARGIN)
    return RowScan(kernel.lossless_decode, state, window, frame.row_length)


def _point_transform(header: JpegHeader, scan: Scan) -> int:
    if not 1 <= scan.spectral_start <= 7 or scan.approximation_low >= header.precision:
        raise FrameDamaged(
            f"The scan tells of predictor {scan.spectral_start} and point transform "
            f"{scan.approximation_low} in {header.precision} bits.",
            scan.position,
            clause="ITU-T T.81 B.2.3",
        )
    return scan.approximation_low


def _restart_rows(header: JpegHeader, scan: Scan) -> int:
    rows, rest = divmod(header.restart_interval, header.columns)
    if rest:
        raise FrameDamaged(
            f"The restart interval of {header.restart_interval} is no number of whole rows.",
            scan.position,
            clause="ITU-T T.81 H.1.1",
        )
    return rows
