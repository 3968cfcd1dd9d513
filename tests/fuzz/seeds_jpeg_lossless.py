"""Writes seeds for `fuzz_jpeg_lossless.c` into a folder:
`python -m tests.fuzz.seeds_jpeg_lossless FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.codecs.codec import EncodeSettings
from agent.codecs.jpeg_markers import read_header
from agent.dataset.byte_source import MemoryBytes
from agent.dataset.transfer_syntaxes import JPEG_LOSSLESS
from tests.codecs.frames import description, encoded, picture


def main(folder: Path) -> None:
    """One file for each depth, number of components, predictor and kind of picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for samples in (1, 3):
        for bits, predictor in ((2, 1), (8, 4), (12, 6), (16, 7)):
            for kind in ("gradient", "noise", "edges"):
                frame = description(9, 31, samples=samples, bits_stored=bits)
                settings = EncodeSettings(predictor=predictor)
                stream = encoded(JPEG_LOSSLESS, frame, picture(frame, kind).tobytes(), settings)
                header, scan = read_header(MemoryBytes(stream))
                table = header.huffman_tables[0, 0].specification
                wide = frame.sample_length - 1
                head = bytes(
                    (30, samples - 1, 2 * (bits - 2) + wide, 0, predictor, 0, 0, 1, 90, len(table))
                )
                name = f"{samples}-{bits}-{kind}"
                (folder / name).write_bytes(head + table + stream[scan.position :])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
