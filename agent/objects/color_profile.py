"""The ICC profile of sRGB (IEC 61966-2-1), as colour presentation states must carry one.

Made of the figures of that standard, in the form of ICC.1:2001 (version 2): an input profile
(PS3.3 C.11.15) of three primaries adapted to D50 and one tone curve.
"""

from __future__ import annotations

import functools
import struct

_PRIMARIES = {
    # X, Y and Z under D50.
    b"rXYZ": (0.43607, 0.22249, 0.01392),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.14307, 0.06061, 0.71410),
}
_WHITE = (0.96420, 1.0, 0.82491)
_CURVE_POINTS = 256
_HEADER_LENGTH = 128


@functools.cache
def srgb_profile() -> bytes:
    """The bytes of the profile: some 1000, an even number."""
    curve = _curve()
    tags = {
        b"desc": _description(b"sRGB IEC61966-2.1"),
        b"cprt": b"text\0\0\0\0No copyright, use freely\0",
        b"wtpt": _xyz(_WHITE),
        **{name: _xyz(value) for name, value in _PRIMARIES.items()},
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table = struct.pack(">I", len(tags))
    offset = _HEADER_LENGTH + 4 + 12 * len(tags)
    body = b""
    places: dict[bytes, int] = {}
    for name, data in tags.items():
        if data not in places:
            places[data] = offset + len(body)
            body += data + b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", places[data], len(data))
    length = _HEADER_LENGTH + len(table) + len(body)
    return _header(length) + table + body


def _header(length: int) -> bytes:
    head = struct.pack(">I4sI4s4s4s", length, b"\0\0\0\0", 0x02400000, b"scnr", b"RGB ", b"XYZ ")
    created = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    # Signature, no platform, no flags, no device; perceptual intent; D50.
    rest = b"acsp" + bytes(28) + struct.pack(">3i", *(round(v * 65536) for v in _WHITE))
    return (head + created + rest).ljust(_HEADER_LENGTH, b"\0")


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(each * 65536) for each in value))


def _curve() -> bytes:
    points = [_linear(index / (_CURVE_POINTS - 1)) for index in range(_CURVE_POINTS)]
    numbers = [round(point * 65535) for point in points]
    return b"curv\0\0\0\0" + struct.pack(f">I{_CURVE_POINTS}H", _CURVE_POINTS, *numbers)


def _linear(value: float) -> float:
    if value <= 0.04045:
        return value / 12.92
    return float(((value + 0.055) / 1.055) ** 2.4)


def _description(text: bytes) -> bytes:
    # Counted ASCII; no Unicode; no ScriptCode, for which there are 67 bytes of room.
    return b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(1 + 8 + 3 + 67)
