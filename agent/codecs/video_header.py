"""What a video stream says of itself: the sequence header of MPEG-2 (ITU-T H.262 6.2.2), the
sequence parameter sets of H.264 (7.3.2.1.1) and HEVC (H.265 7.3.2.2).

Streams are passed through and never decoded; this is what can be held against the attributes of the
object and against its transfer syntax (PS3.5 8.2.5 to 8.2.13).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from agent.codecs.video_bits import ParameterBits
from agent.dataset.transfer_syntaxes import Family

_START_CODE = re.compile(b"\x00\x00\x01")
_LONGEST = 1024
"""Bytes of a header that are looked at; those of real streams have a few dozen."""

_SEQUENCE_HEADER, _EXTENSION = 0xB3, 0xB5
_SEQUENCE_EXTENSION = 1
_HIGH_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_SEQUENCE_PARAMETER_SET, _SUBSET_SEQUENCE_PARAMETER_SET = 7, 15
_HEVC_SEQUENCE_PARAMETER_SET = 33


class VideoHeader(NamedTuple):
    """`profile` and `level` are the numbers of the standard that `family` names: profile_idc and
    level_idc, of MPEG-2 the profile and level identification (Tables 8-2 and 8-3)."""

    family: Family
    profile: int
    level: int
    columns: int
    rows: int
    chroma_format: int = 1
    bits: int = 8


def of_elementary_stream(data: bytes, family: Family | None = None) -> VideoHeader | None:
    """The first header in a piece of an elementary stream; of an unknown `family`, any.

    A header that is cut off at the end of `data`, or that makes no sense, is none.
    """
    for kind, read in _READERS.items():
        if family in (None, kind):
            for unit in _units(data):
                try:
                    found = read(unit)
                except ValueError:
                    continue
                if found is not None:
                    return found
    return None


def _units(data: bytes) -> Iterator[bytes]:
    """What stands behind each start code, up to the next but one for MPEG-2's extension."""
    starts = [each.end() for each in _START_CODE.finditer(data)]
    for number, start in enumerate(starts):
        end = starts[number + 2] - 3 if number + 2 < len(starts) else len(data)
        yield data[start : min(end, start + _LONGEST)]


def _mpeg_2(unit: bytes) -> VideoHeader | None:
    if not unit or unit[0] != _SEQUENCE_HEADER:
        return None
    extension = unit.find(b"\x00\x00\x01" + bytes((_EXTENSION,)))
    if extension < 8 or len(unit) < extension + 10:
        # MPEG-1 has none.
        return None
    first, second = ParameterBits(unit[1:8]), ParameterBits(unit[extension + 4 : extension + 10])
    columns, rows = first.take(12), first.take(12)
    if second.take(4) != _SEQUENCE_EXTENSION:
        return None
    second.flag()
    profile, level = second.take(3), second.take(4)
    second.flag()
    chroma_format = second.take(2)
    columns |= second.take(2) << 12
    rows |= second.take(2) << 12
    return VideoHeader(Family.MPEG2, profile, level, columns, rows, chroma_format)


def of_h264_unit(unit: bytes) -> VideoHeader | None:
    """The header that a NAL unit of H.264 is, None of another. Raises ValueError when damaged."""
    if not unit or unit[0] & 0x1F not in (_SEQUENCE_PARAMETER_SET, _SUBSET_SEQUENCE_PARAMETER_SET):
        return None
    if unit[0] & 0x80 or not unit[0] & 0x60:
        # Forbidden bit; and a parameter set is always a reference.
        return None
    bits = ParameterBits(unit[1:])
    profile = bits.take(8)
    bits.take(8)
    level = bits.take(8)
    bits.unsigned()
    chroma_format, depth = 1, 8
    if profile in _HIGH_PROFILES:
        chroma_format = bits.unsigned()
        if chroma_format == 3:
            bits.flag()
        depth = 8 + max(bits.unsigned(), bits.unsigned())
        bits.flag()
        if bits.flag():
            _skip_scaling_lists(bits, 8 if chroma_format != 3 else 12)
    bits.unsigned()
    _skip_picture_order_count(bits)
    bits.unsigned()
    bits.flag()
    columns, rows = 16 * (bits.unsigned() + 1), 16 * (bits.unsigned() + 1)
    frames_only = bits.flag()
    if not frames_only:
        bits.flag()
        rows *= 2
    bits.flag()
    if bits.flag():
        across = 2 if chroma_format in (1, 2) else 1
        down = (2 if chroma_format == 1 else 1) * (1 if frames_only else 2)
        columns -= across * (bits.unsigned() + bits.unsigned())
        rows -= down * (bits.unsigned() + bits.unsigned())
    return _sensible(VideoHeader(Family.H264, profile, level, columns, rows, chroma_format, depth))


def _skip_scaling_lists(bits: ParameterBits, lists: int) -> None:
    """H.264 7.3.2.1.1.1"""
    for number in range(lists):
        if not bits.flag():
            continue
        last = following = 8
        for _ in range(16 if number < 6 else 64):
            if following:
                following = (last + bits.signed()) % 256
            last = following or last


def _skip_picture_order_count(bits: ParameterBits) -> None:
    kind = bits.unsigned()
    if kind == 0:
        bits.unsigned()
    elif kind == 1:
        bits.flag()
        bits.signed()
        bits.signed()
        for _ in range(min(255, bits.unsigned())):
            bits.signed()


def of_hevc_unit(unit: bytes) -> VideoHeader | None:
    """The header that a NAL unit of HEVC is, None of another. Raises ValueError when damaged."""
    if len(unit) < 2 or unit[0] >> 1 != _HEVC_SEQUENCE_PARAMETER_SET:
        return None
    bits = ParameterBits(unit[2:])
    bits.take(4)
    layers = bits.take(3)
    bits.flag()
    bits.take(3)
    profile = bits.take(5)
    bits.take(32 + 48)
    level = bits.take(8)
    present = [(bits.flag(), bits.flag()) for _ in range(8 if layers else 0)][:layers]
    for has_profile, has_level in present:
        bits.take(88 * has_profile + 8 * has_level)
    bits.unsigned()
    chroma_format = bits.unsigned()
    if chroma_format == 3:
        bits.flag()
    columns, rows = bits.unsigned(), bits.unsigned()
    if bits.flag():
        across, down = (2 if chroma_format in (1, 2) else 1), (2 if chroma_format == 1 else 1)
        columns -= across * (bits.unsigned() + bits.unsigned())
        rows -= down * (bits.unsigned() + bits.unsigned())
    depth = 8 + max(bits.unsigned(), bits.unsigned())
    return _sensible(VideoHeader(Family.HEVC, profile, level, columns, rows, chroma_format, depth))


def _sensible(header: VideoHeader) -> VideoHeader | None:
    """A start code may be there by chance; a picture of no size is none."""
    possible = 0 < header.columns <= 65535 and 0 < header.rows <= 65535
    return header if possible and header.chroma_format <= 3 and header.bits <= 16 else None


_READERS: dict[Family, Callable[[bytes], VideoHeader | None]] = {
    Family.MPEG2: _mpeg_2,
    Family.H264: of_h264_unit,
    Family.HEVC: of_hevc_unit,
}
