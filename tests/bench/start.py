"""The start bench: how soon a node listens, and how soon `gantry studies` answers, with an index
of many objects and with an empty one.

python -m tests.bench.start                    100,000 objects, seven starts each
python -m tests.bench.start --objects 1000000

Acceptance of the foundation: listening within 0.3 s of the start, no slower with 100,000 objects in
the index; `gantry studies` within 0.2 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.archive.test_index import fill_with_rows
from tests.node.running import ENVIRONMENT, NodeProcess

LISTENS_WITHIN = 0.3
ANSWERS_WITHIN = 0.2


def seconds_to_listen(node: NodeProcess) -> float:
    """From the start of the process to the first connection that it takes."""
    import socket

    begun = time.monotonic()
    node.launch()
    while True:
        try:
            socket.create_connection(("127.0.0.1", node.port), 0.5).close()
        except OSError:
            time.sleep(0.001)
        else:
            return time.monotonic() - begun


def seconds_to_answer(node: NodeProcess) -> float:
    """The whole command, as a person waits for it."""
    begun = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "agent.cli.main", "studies", "--control", str(node.control)],
        check=True,
        stdout=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )
    return time.monotonic() - begun


def measure(node: NodeProcess, rounds: int) -> tuple[list[float], list[float]]:
    starts: list[float] = []
    answers: list[float] = []
    for _ in range(rounds):
        starts.append(seconds_to_listen(node))
        node.wait_until_ready()
        answers.append(seconds_to_answer(node))
        node.stop()
    return starts, answers


def row(name: str, values: list[float], limit: float) -> str:
    median = statistics.median(values)
    met = "met" if median <= limit else "NOT MET"
    return f"{name:<34}{median:8.3f}{max(values):8.3f}{limit:8.3f}  {met}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    print(f"{'seconds':<34}{'median':>8}{'worst':>8}{'limit':>8}")
    with tempfile.TemporaryDirectory(prefix="gantry-start-") as folder:
        # An installed Python has its programs compiled; the first start compiles ours.
        ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)
        measure(NodeProcess(Path(folder, "first")), 1)
        for number in (0, options.objects):
            node = NodeProcess(Path(folder, str(number)))
            # The first start makes the archive, and reads what comes from the disk.
            with node:
                node.stop()
            fill_with_rows(node.folder / "state" / "archive" / "main", number)
            starts, answers = measure(node, options.rounds)
            print(row(f"listens, {number:,} objects", starts, LISTENS_WITHIN))
            print(row(f"studies, {number:,} objects", answers, ANSWERS_WITHIN))
    return 0


if __name__ == "__main__":
    sys.exit(main())
