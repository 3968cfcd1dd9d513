"""JPEG baseline and extended, sequential with Huffman coding (ITU-T T.81 processes 1, 2 and 4).

What a stream is, its frame header says and not the transfer syntax. Working set: the planes of one
row of MCUs, strips of 64 KiB (a row of MCUs at least), 64 KiB of compressed bytes for each scan,
and tables of 64 KiB: 0.8 MiB for a colour image of 4096 columns, in proportion to them above.
"""

from __future__ import annotations

from agent.codecs.codec import Decoded, Encoded, EncodeSettings, RowSource
from agent.codecs.frame import FrameDescription
from agent.codecs.jpeg_decoding import decode_frame
from agent.codecs.jpeg_encoding import encode_frame
from agent.dataset.byte_source import ByteSource
from agent.dataset.transfer_syntaxes import JPEG_BASELINE
from agent.errors import LocalError

_CLAUSE = "PS3.5 8.2.1"
_GREY = frozenset(("MONOCHROME1", "MONOCHROME2"))
_COLOURS = frozenset(("RGB", "YBR_FULL", "YBR_FULL_422"))


def refusal(transfer_syntax_uid: str, frame: FrameDescription, settings: EncodeSettings) -> str:
    """PS3.5 8.2.1: 8 bits, grey or colour; extended also grey of up to 12 bits."""
    depth = (frame.bits_allocated, frame.bits_stored)
    grey = frame.samples_per_pixel == 1
    name = "JPEG baseline" if transfer_syntax_uid == JPEG_BASELINE else "JPEG extended"
    if frame.pixel_representation:
        return f"{name} takes no signed samples"
    if transfer_syntax_uid == JPEG_BASELINE or not grey:
        if depth != (8, 8):
            return f"{name} takes {'samples' if grey else 'colour'} of 8 bits only"
    elif depth != (8, 8) and not (depth[0] == 16 and 9 <= depth[1] <= 12):
        return f"{name} takes samples of 8 and of 9 to 12 bits only"
    interpretation = frame.photometric_interpretation
    if grey and interpretation not in _GREY:
        return f"{name} takes no {interpretation}"
    if not grey and (frame.samples_per_pixel != 3 or interpretation not in _COLOURS):
        return f"{name} takes no {interpretation} of {frame.samples_per_pixel} samples"
    if frame.subsampled and frame.columns % 2:
        return f"{name} takes no shared chroma of an odd number of columns"
    if not (1 <= frame.rows <= 65535 and 1 <= frame.columns <= 65535):
        return f"{name} takes 1 to 65535 rows and columns"
    if not 1 <= settings.quality <= 100:
        return "the quality is not from 1 to 100"
    if settings.colour not in _COLOURS:
        return f"{name} does not make {settings.colour}"
    return ""


def encode(
    transfer_syntax_uid: str, frame: FrameDescription, rows: RowSource, settings: EncodeSettings
) -> Encoded:
    """Compress a frame; see `codec.CodecModule.encode`.

    RGB becomes what `settings.colour` says; YBR_FULL and YBR_FULL_422 stay as they are. With rows
    that come once, or where `settings.optimised` is false, the Huffman tables are typical ones.
    """
    if reason := refusal(transfer_syntax_uid, frame, settings):
        raise LocalError(f"{reason[0].upper()}{reason[1:]}.", clause=_CLAUSE, value=frame)
    extended = transfer_syntax_uid != JPEG_BASELINE
    return encode_frame(frame, rows, settings, extended=extended)


def decode(frame: FrameDescription, source: ByteSource) -> Decoded:
    """Decompress a frame; see `codec.CodecModule.decode`.

    Grey and up to four components, of 8 or 12 bits, in one scan or several, with restart markers;
    progressive streams are refused. Colour comes out as RGB; as YBR_FULL where the object says
    YBR_FULL. Chroma of half the width or height is interpolated.
    """
    return decode_frame(frame, source)
