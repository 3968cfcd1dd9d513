"""JPEG-LS, lossless and near-lossless (ITU-T T.87).

Encodes one scan; of colours, line interleaved, which all peers read and which is smaller than
sample interleaved on most images. Decodes all three interleave modes, preset parameters, restart
intervals and components in scans of their own.

Working set: a strip of 64 KiB (a row at least) and five times that for its stream; 4 bytes for each
sample of a row, 8 KiB of contexts, and 2 bytes for each value that a sample can have; decoding, a
window of 64 KiB and ten bytes for each sample of a row, for each scan of its own. That is below
1 MiB for grey images 4096 wide and of 16 bits.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from agent.codecs import jpeg_segments
from agent.codecs.codec import Decoded, Encoded, EncodeSettings, RowSource
from agent.codecs.frame import FrameDescription
from agent.codecs.jpeg_ls_markers import (
    SOF55,
    LsHeader,
    Presets,
    Scan,
    next_scan,
    preset_segment,
    read_header,
    scan_header,
)
from agent.codecs.jpeg_markers import Component
from agent.codecs.row_scans import RowScan, check_frame, scans_of, sign_bit, strips_of
from agent.codecs.rows import grouped, strip_height
from agent.codecs.window import Window
from agent.dataset.byte_source import ByteSource
from agent.dataset.transfer_syntaxes import JPEG_LS_NEAR_LOSSLESS
from agent.errors import LocalError

_CLAUSE = "PS3.5 8.2.3"
_NONE, _LINE = 0, 1
_WORST = 10
_MARGIN = 64
_PHOTOMETRIC_INTERPRETATIONS = {
    1: ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"),
    3: ("RGB", "YBR_FULL"),
}


def refusal(transfer_syntax_uid: str, frame: FrameDescription, settings: EncodeSettings) -> str:
    """PS3.5 Table 8.2.3-1: 2 to 16 bits in cells of 8 or 16, grey or three unsigned colours."""
    if frame.bits_allocated not in (8, 16) or frame.bits_stored < 2:
        return "JPEG-LS takes samples of 2 to 16 bits in cells of 8 or 16"
    colour = frame.photometric_interpretation
    if colour not in _PHOTOMETRIC_INTERPRETATIONS.get(frame.samples_per_pixel, ()):
        return f"JPEG-LS takes no {colour}"
    if colour == "YBR_FULL" and frame.bits_allocated != 8:
        return "JPEG-LS takes YBR_FULL of 8 bits only"
    if frame.pixel_representation and colour not in ("MONOCHROME1", "MONOCHROME2"):
        return f"JPEG-LS takes no signed samples of {colour}"
    if max(frame.rows, frame.columns) > 65535:
        return "JPEG-LS has at most 65535 rows and columns"
    near = _near(transfer_syntax_uid, settings)
    if near and colour == "PALETTE COLOR":
        return "numbers of a palette are no samples that may be nearly right"
    most = min(255, ((1 << frame.bits_stored) - 1) // 2)
    if not 0 <= near <= most:
        return f"near is 0 to {most} for samples of {frame.bits_stored} bits"
    return ""


def _near(transfer_syntax_uid: str, settings: EncodeSettings) -> int:
    return settings.near if transfer_syntax_uid == JPEG_LS_NEAR_LOSSLESS else 0


def encode(
    transfer_syntax_uid: str, frame: FrameDescription, rows: RowSource, settings: EncodeSettings
) -> Encoded:
    """Compress a frame; see `codec.CodecModule.encode`."""
    if reason := refusal(transfer_syntax_uid, frame, settings):
        raise LocalError(f"{reason}.", clause=_CLAUSE, value=frame)
    return Encoded(frame, _encoded(frame, rows, _near(transfer_syntax_uid, settings)))


def _encoded(frame: FrameDescription, rows: RowSource, near: int) -> Iterator[bytes]:
    precision = yield from _precision(frame, rows, near)
    yield from _scan(frame, rows, precision, near)


def _precision(frame: FrameDescription, rows: RowSource, near: int) -> Generator[bytes, None, int]:
    """Bits Stored, unless cells hold more than that: signs, or old overlays.

    Rows that come once are taken to hold more, and none that are to be nearly right do: their
    samples must stay within Bits Stored, so MAXVAL has to be the largest of those.
    """
    from agent.codecs import kernel

    least = frame.bits_stored
    if least == frame.bits_allocated or near:
        return frame.bits_allocated if frame.pixel_representation else least
    if not rows.repeatable:
        return frame.bits_allocated
    for strip in rows.strips():
        if kernel.jpeg_ls_bits_seen(strip, frame.sample_length) >> least:
            return frame.bits_allocated
        yield b""
    return least


def _header(frame: FrameDescription, precision: int, near: int, presets: Presets) -> bytes:
    samples = frame.samples_per_pixel
    components = tuple(Component(1 + each, 1, 1, 0) for each in range(samples))
    return b"".join(
        (
            jpeg_segments.START_OF_IMAGE,
            jpeg_segments.frame_header(SOF55, precision, frame.rows, frame.columns, components),
            # Some readers have other defaults than the standard for more than 12 bits.
            preset_segment(presets) if precision > 12 else b"",
            scan_header(components, near, _NONE if samples == 1 else _LINE),
        )
    )


def _scan(frame: FrameDescription, rows: RowSource, precision: int, near: int) -> Iterator[bytes]:
    from agent.codecs import kernel

    samples = frame.samples_per_pixel
    presets = Presets().complete(precision, near)
    interleave = _NONE if samples == 1 else _LINE
    parameters = (frame.columns, samples, interleave, frame.sample_length, near, *presets)
    state = bytearray(kernel.jpeg_ls_state_length(parameters))
    kept_sign = frame.bits_stored - 1 if frame.pixel_representation and near else 0
    kernel.jpeg_ls_encoder_begin(state, parameters, kept_sign)
    yield _header(frame, precision, near, presets)
    height = strip_height(frame)
    out = bytearray(height * (frame.samples_per_row * _WORST + _MARGIN))
    for strip in grouped(frame, rows.strips(), height):
        written = kernel.jpeg_ls_encode(state, strip, out)
        if written < 0:
            raise LocalError(
                f"A sample has more than its {frame.bits_stored} bits, or an error of {near} could "
                "turn its sign."
                if near
                else "The rows changed while the frame was compressed.",
                clause=_CLAUSE,
            )
        yield bytes(memoryview(out)[:written])
    written = kernel.jpeg_ls_finish(state, out)
    yield bytes(memoryview(out)[:written]) + jpeg_segments.END_OF_IMAGE


def decode(frame: FrameDescription, source: ByteSource) -> Decoded:
    """Decompress a frame; see `codec.CodecModule.decode`."""
    header, scan = read_header(source)
    check_frame(frame, header.frame, _CLAUSE)
    found = scans_of(source, (header, scan), next_scan, frame.samples_per_pixel, "ITU-T T.87 C.2.3")
    scans = [_row_scan(frame, source, *each) for each in found]
    return Decoded(frame, strips_of(frame, scans, "JPEG-LS", "ITU-T T.87 A"))


def _row_scan(frame: FrameDescription, source: ByteSource, header: LsHeader, scan: Scan) -> RowScan:
    from agent.codecs import kernel

    precision = header.frame.precision
    count = len(scan.places)
    presets = header.presets.complete(precision, scan.near)
    parameters = (frame.columns, count, scan.interleave, frame.sample_length, scan.near, *presets)
    places = scan.places + (0,) * (4 - count)
    state = bytearray(kernel.jpeg_ls_state_length(parameters))
    kernel.jpeg_ls_decoder_begin(
        state,
        parameters,
        frame.samples_per_pixel,
        (places[0], places[1], places[2], places[3]),
        header.restart_interval,
        sign_bit(frame, precision),
    )
    window = Window(source, scan.position, frame.columns * count * _WORST + _MARGIN)
    return RowScan(kernel.jpeg_ls_decode, state, window, frame.row_length)
