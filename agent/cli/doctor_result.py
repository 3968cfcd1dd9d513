"""What `gantry doctor --keep` does with its result: kept for the node, which is told."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from agent.cli.doctor_findings import Finding
from agent.configuration.configuration import Configuration
from agent.control import ask
from agent.errors import GantryError
from agent.workflow.health import keep_health


def keep_result(configuration: Configuration, findings: Sequence[Finding]) -> None:
    """Raises OSError where the state folder cannot be written. A node that does not run finds it
    when it is asked."""
    keep_health(configuration.node.state, findings)
    if configuration.node.control:
        with contextlib.suppress(GantryError):
            ask(Path(configuration.node.control), "health")
