"""Keeping received objects as plain files in a folder, for `gantry listen`."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from agent import observation
from agent.archive.decision import Origin
from agent.dataset.whole_write import write_whole
from agent.errors import StatusReaction, StorageError
from agent.network.status import OUT_OF_RESOURCES, SUCCESS
from agent.quoting import quoted

# Takes the descriptors of a file and of its folder, and its UID; returns when the file has its name
# and both are on stable storage.
Safe = Callable[[int, int, str], Awaitable[object]]


def keep_safe(uid: str, *, descriptors: list[int]) -> None:
    """Sync a file, give it its name, and sync its folder; in a worker. Raises OSError."""
    file, folder = descriptors
    os.fdatasync(file)
    link(file, folder, uid)
    os.fsync(folder)


def link(file: int, folder: int, uid: str) -> None:
    """Give a nameless file the name of its object; the first number that is free behind it.

    Raises OSError.
    """
    for number in range(10**6):
        name = f"{uid}.dcm" if not number else f"{uid}-{number}.dcm"
        with contextlib.suppress(FileExistsError):
            os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=folder, follow_symlinks=True)
            return
    raise OSError(errno.EEXIST, "too many objects of one UID")


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of an object."""

    status: int = SUCCESS
    comment: str = ""
    offending_elements: tuple[int, ...] = ()


class Arriving:
    """A file without a name, until it is whole."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def discard(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class FolderKeeper:
    """One file for each object, named by its SOP Instance UID (which has been checked: digits and
    dots only). A second object of the same UID gets a number behind the name; nothing is replaced.

    `safe` makes a file safe and gives it its name; None leaves the former to the kernel
    (`--no-sync`).
    """

    def __init__(self, folder: Path, safe: Safe | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._safe = safe
        self.objects = 0
        self.bytes = 0

    def refusal(self) -> StatusReaction | None:
        return None

    def receive(self, file_meta: bytes) -> Arriving:
        try:
            descriptor = os.open(self._folder, os.O_TMPFILE | os.O_RDWR, 0o644)
            write_whole(descriptor, file_meta)
        except OSError as error:
            raise StorageError(
                f"{quoted(self._folder)} cannot be written: {error.strerror}",
                reaction=StatusReaction(OUT_OF_RESOURCES, "Storage failure"),
            ) from error
        return Arriving(descriptor)

    async def commit(self, reception: Arriving, origin: Origin) -> Kept:
        try:
            if self._safe is not None:
                await self._safe(reception.descriptor, self._descriptor, origin.sop_instance_uid)
            else:
                link(reception.descriptor, self._descriptor, origin.sop_instance_uid)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return Kept(OUT_OF_RESOURCES, "Disk full" if full else "Storage failure")
        self.objects += 1
        if observation.log.is_audited:
            observation.occasion(
                "file",
                act="received",
                file=reception.descriptor,
                title=origin.calling,
                address=origin.address,
            )
        return Kept()

    def close(self) -> None:
        os.close(self._descriptor)
