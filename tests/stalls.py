"""Tests on a machine that stands still now and then: `python -m tests.stalls tests/node -- -x`.

A machine that is shared holds a process up between any two of its steps, for longer than a test
that counts on time has thought of. Here pytest, or one of the processes that it has started, is
stopped for a while, time and again, by chance. A test that fails so and not else counts on time;
where the product fails, it does too.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.peers.process import process_tree


def main() -> int:
    """Runs pytest with what is given; its exit status."""
    parser = argparse.ArgumentParser(prog="tests.stalls", description=__doc__)
    parser.add_argument("--span", type=float, default=0.8, help="seconds of a stall")
    parser.add_argument("--every", type=float, default=2.5, help="seconds between two, on average")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("arguments", nargs="*", help="for pytest")
    options = parser.parse_args()
    print(f"--seed {options.seed}", flush=True)
    tests = subprocess.Popen([sys.executable, "-m", "pytest", *options.arguments])
    chance = random.Random(options.seed)
    while tests.poll() is None:
        time.sleep(options.every * chance.uniform(0.5, 1.5))
        _stall(tests.pid, options.span, chance)
    return tests.returncode


def _stall(pid: int, seconds: float, chance: random.Random) -> None:
    """The tests themselves each second time, else one of their processes that runs: those that a
    test has stopped stay so."""
    others = [each for each in process_tree(pid)[1:] if _runs(each)]
    chosen = chance.choice(others) if others and chance.random() < 0.5 else pid
    with suppress(ProcessLookupError):
        os.kill(chosen, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(chosen, signal.SIGCONT)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return False
    return state not in ("T", "Z")


if __name__ == "__main__":
    sys.exit(main())
