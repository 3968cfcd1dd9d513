"""Writes seeds for `fuzz_rle.c` into a folder: `python -m tests.fuzz.seeds_rle FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.dataset.transfer_syntaxes import RLE_LOSSLESS
from tests.codecs.frames import description, encoded, picture

_HEADER = 64


def main(folder: Path) -> None:
    """One file for each stride and kind of picture."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = description(13, 40)
    for stride in range(1, 6):
        for kind in ("constant", "gradient", "noise", "edges"):
            stream = encoded(RLE_LOSSLESS, frame, picture(frame, kind).tobytes())
            head = bytes((stride - 1, 0, 50 * stride, frame.columns - 1))
            (folder / f"{stride}-{kind}").write_bytes(head + stream[_HEADER:])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
