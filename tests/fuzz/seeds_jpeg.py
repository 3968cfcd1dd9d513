"""Writes seeds for `fuzz_jpeg.c` into a folder: `python -m tests.fuzz.seeds_jpeg FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

_PARAMETERS = 48


def main(folder: Path) -> None:
    """Parameters of every kind by chance, before bits that are dense or sparse."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(10918)
    for number in range(24):
        bits = random.bytes(400) if number % 2 else bytes(200) + random.bytes(40)
        head = bytearray(random.bytes(_PARAMETERS))
        # 255 leaves the layout as it fits its planes.
        head[9] = 255
        (folder / f"{number}").write_bytes(bytes(head) + bits)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
