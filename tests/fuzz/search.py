"""Search with atheris, guided by coverage: `python -m tests.fuzz.search TARGET --minutes 10`.

Needs a virtual environment with atheris, made as README.md says. What was found is written into the
corpus folder as `crash-...`, and is given again by `--again FILE`.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
from pathlib import Path

_SLOWER = 20.0
"""By how much instrumented Python is slower, at most, on a machine that others use too."""
_RSS_LIMIT = 768
_TIME_LIMIT = 30


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.fuzz.search", description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--corpus", type=Path, default=Path("~/.cache/gantry-fuzz").expanduser())
    parser.add_argument("--again", type=Path, help="only this input")
    return parser.parse_args()


def main() -> None:
    """Becomes libFuzzer, which ends the process."""
    options = _options()
    import atheris

    with atheris.instrument_imports(include=["agent", "hal"]):
        from tests.fuzz.target import judge
        from tests.fuzz.targets.table import TARGETS
    target = TARGETS[options.target]

    def one_input(data: bytes) -> None:
        judge(target, data, slower=_SLOWER)

    if options.again:
        one_input(options.again.read_bytes())
        return
    corpus = options.corpus / options.target
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        name = hashlib.sha256(seed).hexdigest()[:16]
        (corpus / name).write_bytes(seed[: target.longest])
    settings = [
        f"-max_total_time={round(options.minutes * 60)}",
        f"-max_len={target.longest}",
        f"-rss_limit_mb={_RSS_LIMIT}",
        f"-timeout={_TIME_LIMIT}",
        f"-artifact_prefix={corpus.parent}/{options.target}-",
        "-print_final_stats=1",
    ]
    mutate = target.mutate

    def structured(data: bytes, longest: int, seed: int) -> bytes:
        """Most inputs are changed by libFuzzer all the same."""
        if mutate is None or seed % 3:
            return bytes(atheris.Mutate(data, longest))
        return mutate(data, random.Random(seed))[:longest]

    own = {} if mutate is None else {"custom_mutator": structured}
    atheris.Setup([sys.argv[0], *settings, str(corpus)], one_input, **own)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
