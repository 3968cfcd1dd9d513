"""What was committed without a sync of its own: looked at, after a crash or a sync that failed.

Nobody was answered in between, so what did not arrive on the disk whole is taken out again. What
did arrive may have been answered, when the crash came after the sync: it stays.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent import observation
from agent.archive import arrival, corrections
from agent.archive.change import Change
from agent.archive.store import Store


def confirm(store: Store) -> int:
    """Take out the rows, jobs and files of unconfirmed objects that are not whole; how many.

    Reads at most a group of objects of a MiB. Raises StorageError and OSError when the disk fails.
    """
    rows = store.index.execute("SELECT id, checksum FROM unconfirmed").fetchall()
    if rows:
        # Of a process that was killed; the pages of one that failed are clean, and may be wrong.
        store.spool.sync_whole()
    torn = [number for number, checksum in rows if _checksum(store.spool.path(number)) != checksum]
    store.whole_sync.doubt = None
    if torn:
        change = Change(corrections.delete, (store, torn, True))
        store.process((), (change,))
        if change.error is not None:
            raise change.error
        observation.warning("objects not whole", archive=store.folder, objects=len(torn))
    return len(torn)


def _checksum(path: Path) -> int | None:
    """Of what is on the disk, whatever the kernel remembers; None where there is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return arrival.checksum(descriptor)
    finally:
        os.close(descriptor)
