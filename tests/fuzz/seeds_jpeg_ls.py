"""Writes seeds for `fuzz_jpeg_ls.c` into a folder: `python -m tests.fuzz.seeds_jpeg_ls FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.codecs.jpeg_ls_markers import Presets
from tests.codecs.frames import description, picture
from tests.codecs.jpeg_ls_streams import coded_scan


def main(folder: Path) -> None:
    """One file for each interleave mode, depth, NEAR and kind of picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for interleave, samples in ((0, 1), (1, 3), (2, 3)):
        for bits in (2, 8, 12, 16):
            for near in (0, 1):
                for kind in ("gradient", "noise", "edges"):
                    frame = description(24, 31, samples=samples, bits_stored=bits)
                    largest = (1 << bits) - 1
                    # As the fuzzer takes its parameters apart.
                    first, second, third = (
                        min(largest, near + 1 + step) for step in (3, 3 + 7, 3 + 7 + 21)
                    )
                    presets = Presets(largest, first, second, third, 64)
                    coded = coded_scan(picture(frame, kind), bits, interleave, near, presets)
                    length = frame.sample_length
                    head = bytearray(20)
                    head[0] = 30
                    head[1] = interleave + 3 * (samples - 1)
                    head[2] = length - 1
                    head[3] = near
                    head[5] = bits - 2
                    head[9:14:2] = bytes((3, 7, 21))
                    head[14] = 64
                    head[16] = 255
                    name = f"{interleave}-{bits}-{near}-{kind}"
                    (folder / name).write_bytes(bytes(head) + coded)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
