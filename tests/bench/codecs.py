"""All codecs beside the others, in one run: `python -m tests.bench.codecs`."""

from __future__ import annotations

import argparse
import subprocess
import sys

PARTS = ("codecs_lossless", "codecs_jpeg_ls", "codecs_jpeg")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    for part in PARTS:
        print(f"== {part}", flush=True)
        words = [sys.executable, "-m", f"tests.bench.{part}", "--rounds", str(options.rounds)]
        subprocess.run(words, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
