"""Whether a video stream is what its object says (PS3.5 8.2.5 to 8.2.11).

Video is passed through: stored, relayed and wrapped as it came, its fragments kept. Only its header
is looked at, where an object is made of a stream.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.codecs.frame import FrameDescription
from agent.codecs.video_container import LOOKED_AT, Found, find_header
from agent.dataset.transfer_syntaxes import Family, encoding_of

_BASELINE, _MAIN, _HIGH, _STEREO_HIGH = 66, 77, 100, 128
_HEVC_MAIN, _HEVC_MAIN_10 = 1, 2
_MPEG_2_SIMPLE, _MPEG_2_MAIN = 5, 4
_MAIN_LEVEL, _HIGH_LEVEL = 8, 4

# A decoder of the High profile decodes Main and constrained Baseline as well (H.264 A.2.4).
_HIGH_PROFILES = (_BASELINE, _MAIN, _HIGH)


class _Limit(NamedTuple):
    """Profiles and levels that a decoder of a transfer syntax can be expected to decode. The higher
    the number, the higher the level, but in MPEG-2, where it is the other way round."""

    profiles: tuple[int, ...]
    level: int
    bits: int = 8


_LIMITS = {
    "1.2.840.10008.1.2.4.100": _Limit((_MPEG_2_SIMPLE, _MPEG_2_MAIN), _MAIN_LEVEL),
    "1.2.840.10008.1.2.4.101": _Limit((_MPEG_2_SIMPLE, _MPEG_2_MAIN), _HIGH_LEVEL),
    "1.2.840.10008.1.2.4.102": _Limit(_HIGH_PROFILES, 41),
    "1.2.840.10008.1.2.4.103": _Limit(_HIGH_PROFILES, 41),
    "1.2.840.10008.1.2.4.104": _Limit(_HIGH_PROFILES, 42),
    "1.2.840.10008.1.2.4.105": _Limit(_HIGH_PROFILES, 42),
    "1.2.840.10008.1.2.4.106": _Limit((*_HIGH_PROFILES, _STEREO_HIGH), 42),
    "1.2.840.10008.1.2.4.107": _Limit((_HEVC_MAIN,), 153),
    "1.2.840.10008.1.2.4.108": _Limit((_HEVC_MAIN, _HEVC_MAIN_10), 153, bits=10),
}
"""By transfer syntax; the fragmentable forms (`.1`) are as the others. HEVC counts levels in
thirtieths: 153 is 5.1."""


def complaint(data: bytes, transfer_syntax_uid: str, frame: FrameDescription) -> str:
    """Why a stream that begins with `data` does not belong into an object of this transfer syntax
    with frames like this; empty when it does, or when nothing can be said."""
    syntax = encoding_of(transfer_syntax_uid)
    found = find_header(data[:LOOKED_AT])
    if found is None:
        return "this is no video stream that is known here"
    if not found.container and syntax.family is not Family.MPEG2:
        return "the stream has no container: a transport stream or MP4 is wanted"
    header = found.header
    if header is None:
        return ""
    if header.family is not syntax.family:
        return f"the stream is {header.family.value}, not {syntax.family.value}"
    return _beyond(found, transfer_syntax_uid) or _unlike(found, frame)


def _beyond(found: Found, transfer_syntax_uid: str) -> str:
    header = found.header
    limit = _LIMITS.get(transfer_syntax_uid.removesuffix(".1")) or _LIMITS.get(transfer_syntax_uid)
    if header is None or limit is None:
        return ""
    if header.profile not in limit.profiles:
        return f"the stream has the profile {header.profile}, of {_listed(limit.profiles)}"
    too_high = (
        header.level < limit.level if header.family is Family.MPEG2 else header.level > limit.level
    )
    if too_high:
        return f"the stream has the level {header.level}, above {limit.level}"
    if header.bits > limit.bits:
        return f"the stream has samples of {header.bits} bits, of at most {limit.bits}"
    return ""


def _unlike(found: Found, frame: FrameDescription) -> str:
    header = found.header
    if header is None:
        return ""
    if (header.rows, header.columns) != (frame.rows, frame.columns):
        return (
            f"the stream has {header.rows} rows of {header.columns} pixels, the object "
            f"{frame.rows} of {frame.columns}"
        )
    if header.chroma_format != 1:
        return "the stream does not have its chroma as 4:2:0"
    return ""


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
