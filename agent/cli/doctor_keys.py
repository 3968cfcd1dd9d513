"""What `gantry doctor` finds of our own keys: whether each can be used, and how long."""

from __future__ import annotations

from collections.abc import Iterator

from agent.cli.doctor_findings import BAD, GOOD, Finding
from agent.configuration.configuration import Configuration


def keys(configuration: Configuration) -> Iterator[Finding]:
    """One finding for each [[key]]."""
    if not configuration.keys:
        return
    # With the stores: for those who have keys.
    from agent.cli.keys import line_of, row_of

    for table in configuration.keys:
        row = row_of(table)
        usable = row["subject"] and not row["problem"] and row["days"] > 0
        yield GOOD if usable else BAD, f"key {line_of(row)}"
