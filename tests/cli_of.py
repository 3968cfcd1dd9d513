"""The command line as a person uses it: one command, its output and exit status."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.peers.programs import Completed, run

ROOT = Path(__file__).parents[1]


def gantry(*words: str | Path, seconds: float = 60.0) -> Completed:
    """Run a command to its end."""
    return run(
        [sys.executable, "-m", "agent.cli.main", *words],
        seconds=seconds,
        environment={"PYTHONPATH": str(ROOT)},
    )
