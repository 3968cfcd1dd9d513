"""Writes seeds for `fuzz_jpeg.c` into a folder: `python -m tests.fuzz.seeds_jpeg FOLDER`.

Flat pictures in some samplings with restart markers, which no fuzzer finds by itself, and
parameters of every kind by chance, before bits that are dense or sparse.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from agent.codecs.jpeg_segments import restart

SAMPLINGS = ((0x0,), (0x0, 0x0, 0x0), (0x1, 0x0, 0x0), (0x5, 0x0, 0x0), (0x4, 0x0, 0x0))
"""By component: horizontal factor less one, and four times the vertical factor less one."""

_AS_IT_IS = 255
_ALL_SYMBOLS = 1
_PARAMETERS = 48
_BLOCK = bytes(2)
"""No difference, end of block: with the fuzzer's table of all symbols, eight bits of zero each."""


def seed(factors: tuple[int, ...], depth: int, columns: int, rows: int, interval: int) -> bytes:
    """Parameters as the fuzzer takes them apart, and a scan."""
    count = len(factors)
    head = bytes((columns - 1, rows - 1, count - 1, depth, 1 if count == 3 else 0))
    head += bytes((*factors, 0, 0, 0, 0)[:4]) + bytes((_AS_IT_IS, 0, 0, interval))
    head += bytes(count) + bytes((20, _ALL_SYMBOLS, 0)) + bytes(4)
    pairs = [(1 + each % 4, 1 + each // 4) for each in factors] if count > 1 else [(1, 1)]
    h, v = max(h for h, _ in pairs), max(v for _, v in pairs)
    mcus = -(-columns // (8 * h)) * -(-rows // (8 * v))
    scan = b""
    for mcu in range(mcus):
        if mcu and interval and mcu % interval == 0:
            scan += restart(mcu // interval - 1)
        scan += _BLOCK * sum(h * v for h, v in pairs)
    return head + scan


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for factors in SAMPLINGS:
        for depth in (0, 1):
            for columns, rows in ((150, 30), (17, 33)):
                for interval in (0, 1, 3):
                    name = "-".join(map(str, (*factors, depth, columns, rows, interval)))
                    (folder / name).write_bytes(seed(factors, depth, columns, rows, interval))
    random = np.random.default_rng(10918)
    for number in range(24):
        bits = random.bytes(400) if number % 2 else bytes(200) + random.bytes(40)
        head = bytearray(random.bytes(_PARAMETERS))
        head[9] = _AS_IT_IS
        (folder / f"chance-{number}").write_bytes(bytes(head) + bits)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
