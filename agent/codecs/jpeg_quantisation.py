"""Quantisation tables of JPEG: the typical ones (ITU-T T.81 K.1), scaled by a quality."""

from __future__ import annotations

ZIGZAG = tuple(
    row * 8 + column
    for diagonal in range(15)
    for row, column in (
        (diagonal - at, at) if diagonal % 2 == 0 else (at, diagonal - at)
        for at in range(diagonal + 1)
    )
    if row < 8 and column < 8
)
"""Where the coefficients of a block lie in rows of eight, in zigzag order (T.81 Figure A.6)."""

_LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)

_CHROMINANCE = (
    *(17, 18, 24, 47, 99, 99, 99, 99),
    *(18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *(99, 99, 99, 99, 99, 99, 99, 99),
    *(99, 99, 99, 99, 99, 99, 99, 99),
    *(99, 99, 99, 99, 99, 99, 99, 99),
    *(99, 99, 99, 99, 99, 99, 99, 99),
)

LUMINANCE = tuple(_LUMINANCE[place] for place in ZIGZAG)
"""T.81 Table K.1, in zigzag order."""

CHROMINANCE = tuple(_CHROMINANCE[place] for place in ZIGZAG)
"""T.81 Table K.2, in zigzag order."""


def scaled(table: tuple[int, ...], quality: int) -> tuple[int, ...]:
    """The table for a quality of 1 to 100, as most programs scale it: 50 leaves it as it is, 100
    makes all elements 1, 1 makes them fifty times as large; none is above 255."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(255, max(1, (element * percent + 50) // 100)) for element in table)
