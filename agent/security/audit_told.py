"""Audit messages of commands that work beside the node: files that wait until the node takes them.

A queue has one writer, the node. A command puts its messages into a folder beside the queue, each a
file that appears when it is whole and on the disk; the node takes them up when it runs, in their
order. Files are deleted after their messages are in the queue: told twice is better than never.
"""

from __future__ import annotations

import os
import time
from itertools import count
from pathlib import Path

from agent.dataset.whole_write import sync_folder, write_whole
from agent.errors import GantryError, StorageError
from agent.quoting import quoted
from agent.security.audit_message import AuditMessage, AuditSource

MOST_AT_ONCE = 64
_SUFFIX = ".xml"
_NOBODY = AuditSource("command")
"""The node puts itself here."""
_numbers = count()


def told_folder(state: Path) -> Path:
    """Where they wait, below the state folder of a node that has an audit trail."""
    return state / "audit" / "told"


def tell(folder: Path, message: AuditMessage) -> None:
    """Have the node keep this message. Raises StorageError where that cannot be."""
    name = f"{time.time_ns():020}-{os.getpid()}-{next(_numbers)}"
    hidden = folder / f".{name}"
    try:
        descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            owner = folder.stat()
            if os.geteuid() == 0:
                # The node may not be root, and must be able to read it.
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            write_whole(descriptor, message.xml(_NOBODY).encode("utf-8", "replace"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        hidden.rename(folder / f"{name}{_SUFFIX}")
        sync_folder(folder)
    except OSError as error:
        raise StorageError(
            f"the audit trail in {quoted(folder)} cannot be told: {error.strerror}",
            value=str(folder),
        ) from error


def waiting_in(folder: Path) -> list[str]:
    """Names of files that wait, the oldest first; at most some of them."""
    try:
        names = [each.name for each in folder.iterdir()]
    except OSError:
        return []
    return sorted(each for each in names if each.endswith(_SUFFIX))[:MOST_AT_ONCE]


def take(folder: Path, names: list[str]) -> list[AuditMessage | str]:
    """The messages of these files, or why one is none; in a worker. Links are not followed."""
    # XML is read where it comes: a node that is told of nothing does without.
    from agent.security.audit_reading import LARGEST, read_message

    found: list[AuditMessage | str] = []
    for name in names:
        try:
            descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                found.append(read_message(file.read(LARGEST + 1)))
        except (GantryError, OSError) as error:
            found.append(f"{name}: {error}")
    return found


def forget(folder: Path, names: list[str]) -> None:
    """They are in the queue; in a worker."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
