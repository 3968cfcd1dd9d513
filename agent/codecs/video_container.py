"""Where the header of a video is in its container: MPEG-2 transport stream (ITU-T H.222.0 2.4), MP4
(ISO/IEC 14496-12 and -15), or none, as MPEG-2 may have it (PS3.5 8.2.5 to 8.2.11).

Memory: what is looked at, at most 1 MiB of the stream's beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from agent.codecs.video_header import (
    VideoHeader,
    of_elementary_stream,
    of_h264_unit,
    of_hevc_unit,
)
from agent.dataset.transfer_syntaxes import Family

LOOKED_AT = 1 << 20
"""Bytes of a stream's beginning in which its header must be."""

_PACKET, _SYNC = 188, 0x47
_STREAM_TYPES = {0x02: Family.MPEG2, 0x1B: Family.H264, 0x20: Family.H264, 0x24: Family.HEVC}
"""H.222.0 Table 2-34."""

_MOVIE = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_SAMPLE_DESCRIPTION = b"stsd"
_VISUAL_SAMPLE_ENTRY = 78


class Found(NamedTuple):
    """`container` is "transport stream", "MP4", or "" of a bare stream. `header` is None where
    there was none in what was looked at: an MP4 file may have it at its end."""

    container: str
    header: VideoHeader | None


def find_header(data: bytes) -> Found | None:
    """What `data`, the beginning of a stream, holds. None for what is no video that is known."""
    if data[4:8] == b"ftyp":
        return Found("MP4", _of_mp4(data))
    if data[:1] == bytes((_SYNC,)) and data[_PACKET : _PACKET + 1] in (b"", bytes((_SYNC,))):
        return Found("transport stream", _of_transport_stream(data))
    header = of_elementary_stream(data)
    return None if header is None else Found("", header)


def _of_transport_stream(data: bytes) -> VideoHeader | None:
    program_map = video = -1
    family = Family.MPEG2
    stream = bytearray()
    for identifier, starts, payload in _packets(data):
        if identifier == 0 and program_map < 0 and starts:
            program_map = _program_map_of(payload)
        elif identifier == program_map and video < 0 and starts:
            video, family = _video_of(payload)
        elif identifier == video:
            # The header of a PES packet has no start code within it but its own.
            stream += payload
    return of_elementary_stream(bytes(stream), family) if video >= 0 else None


def _packets(data: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Packet identifier, whether a unit starts, and payload."""
    for at in range(0, len(data) - _PACKET + 1, _PACKET):
        packet = data[at : at + _PACKET]
        if packet[0] != _SYNC:
            return
        start = 5 + packet[4] if packet[3] & 0x20 else 4
        if packet[3] & 0x10:
            identifier = (packet[1] & 0x1F) << 8 | packet[2]
            yield identifier, bool(packet[1] & 0x40), packet[start:]


def _program_map_of(payload: bytes) -> int:
    """The program association section (2.4.4.3): where the map of the first program comes."""
    section = payload[1 + payload[0] :] if payload else b""
    for at in range(8, len(section) - 8, 4):
        if section[at : at + 2] != b"\0\0":
            return (section[at + 2] & 0x1F) << 8 | section[at + 3]
    return -1


def _video_of(payload: bytes) -> tuple[int, Family]:
    """The program map section (2.4.4.8): the first video stream."""
    section = payload[1 + payload[0] :] if payload else b""
    if len(section) < 12:
        return -1, Family.MPEG2
    end = min(len(section), 3 + ((section[1] & 0x0F) << 8 | section[2])) - 4
    at = 12 + ((section[10] & 0x0F) << 8 | section[11])
    while at + 5 <= end:
        family = _STREAM_TYPES.get(section[at])
        if family is not None:
            return (section[at + 1] & 0x1F) << 8 | section[at + 2], family
        at += 5 + ((section[at + 3] & 0x0F) << 8 | section[at + 4])
    return -1, Family.MPEG2


def _of_mp4(data: bytes) -> VideoHeader | None:
    for description in _boxes_below(data, _MOVIE):
        for name, content in _boxes(description):
            if name != _SAMPLE_DESCRIPTION:
                continue
            for entry, sample in _boxes(content[8:]):
                if entry in (b"avc1", b"avc3", b"hvc1", b"hev1"):
                    return _of_sample_entry(sample[_VISUAL_SAMPLE_ENTRY:])
    return None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes of a piece (14496-12 4.2); the last may be cut off."""
    at = 0
    while at + 8 <= len(data):
        length, start = int.from_bytes(data[at : at + 4]), at + 8
        if length == 1:
            length, start = int.from_bytes(data[at + 8 : at + 16]), at + 16
        elif length == 0:
            length = len(data) - at
        if length < start - at:
            return
        yield data[at + 4 : at + 8], data[start : at + length]
        at += length


def _boxes_below(data: bytes, path: tuple[bytes, ...]) -> Iterator[bytes]:
    if not path:
        yield data
        return
    for name, content in _boxes(data):
        if name == path[0]:
            yield from _boxes_below(content, path[1:])


def _of_sample_entry(data: bytes) -> VideoHeader | None:
    for name, content in _boxes(data):
        if name == b"avcC":
            return _first(of_h264_unit, _units_of_avc(content))
        if name == b"hvcC":
            return _first(of_hevc_unit, _units_of_hevc(content))
    return None


def _units_of_avc(record: bytes) -> Iterator[bytes]:
    """14496-15 5.3.3.1.2"""
    at = 6
    for _ in range(record[5] & 0x1F if len(record) > 5 else 0):
        length = int.from_bytes(record[at : at + 2])
        yield record[at + 2 : at + 2 + length]
        at += 2 + length


def _units_of_hevc(record: bytes) -> Iterator[bytes]:
    """14496-15 8.3.3.1.2"""
    at = 23
    for _ in range(record[22] if len(record) > 22 else 0):
        count = int.from_bytes(record[at + 1 : at + 3])
        at += 3
        for _ in range(count):
            length = int.from_bytes(record[at : at + 2])
            yield record[at + 2 : at + 2 + length]
            at += 2 + length
            if at > len(record):
                return


def _first(
    read: Callable[[bytes], VideoHeader | None], units: Iterator[bytes]
) -> VideoHeader | None:
    for unit in units:
        try:
            if (found := read(unit)) is not None:
                return found
        except ValueError:
            continue
    return None
