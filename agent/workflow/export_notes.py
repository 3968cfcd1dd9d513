"""Notes of our own about a volume that is finished: what became of its objects."""

from __future__ import annotations

import json
from pathlib import Path

from agent.dataset.whole_write import replace_file
from agent.workflow.export_settings import Tally


def write_note(path: Path, key: str, tally: Tally) -> None:
    """It is on the disk, whole or not at all. Raises OSError."""
    replace_file(path, json.dumps([key, tally]).encode())


def read_note(path: Path, key: str) -> Tally | None:
    """What was noted of the volume with this key; None where nothing was. Raises OSError."""
    try:
        found, values = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    if found != key:
        return None
    tally = Tally(*values)
    return tally._replace(failures=tuple((uid, reason) for uid, reason in tally.failures))
