"""A disk after a cut: its file system put right as at a boot, and the archive on it opened."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from agent.archive.settings import ArchiveSettings
from tests.archive.objects import Rules, Worker, files
from tests.peers.programs import run


class Found(NamedTuple):
    """What an archive has after it was opened: rows and files by the same numbers."""

    uids: Mapping[int, str]
    files: Mapping[int, bytes]
    recovery: Any
    unconfirmed: int
    """Objects that a storing transaction had left to be looked at."""


def archive_of(disk: Path, inside: str, folder: Path) -> Path:
    """Put the file system (ext4) right, and copy what is at `inside` below `folder`, emptied."""
    checked = run(["e2fsck", "-f", "-p", disk], seconds=300.0)
    # 1: the journal was replayed, or files without names were cleared away. Whatever loses
    # something is not put right by `-p`, and is 4.
    assert checked.returncode in (0, 1), checked
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    run(["debugfs", "-R", f"rdump {inside} {folder}", disk], seconds=300.0).check()
    return folder / Path(inside).name


def opened(archive: Path, rules: Rules, settings: ArchiveSettings) -> Found:
    """Open the archive as a node does, until nothing is left to tidy; its index is sound."""
    with closing(sqlite3.connect(archive / "index.sqlite")) as index:
        (unconfirmed,) = index.execute("SELECT count(*) FROM unconfirmed").fetchone()
    with Worker(archive, rules, settings) as worker:
        recovery = worker.opened.recovery
        while worker.call("sweep"):
            pass
        assert worker.rows("PRAGMA quick_check") == [("ok",)]
        rows = dict(worker.rows("SELECT id, sop_instance_uid FROM instance"))
    return Found(rows, files(archive), recovery, unconfirmed)
