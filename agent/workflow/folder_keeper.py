"""Keeping received objects as plain files in a folder, for `gantry listen`."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from agent.archive.decision import Origin
from agent.errors import StatusReaction, StorageError
from agent.network.status import OUT_OF_RESOURCES, SUCCESS

# Takes a descriptor of a file and one of its folder, and returns when both are on stable storage.
Sync = Callable[[int, int], Awaitable[object]]


def sync_both(*, descriptors: list[int]) -> None:
    """Sync a file, in a worker."""
    os.fdatasync(descriptors[0])


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

    `sync` makes a file safe before it gets its name; None keeps that to the kernel (`--no-sync`).
    """

    def __init__(self, folder: Path, sync: Sync | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._sync = sync
        self.objects = 0
        self.bytes = 0

    def refusal(self) -> StatusReaction | None:
        return None

    def receive(self, file_meta: bytes) -> Arriving:
        try:
            descriptor = os.open(self._folder, os.O_TMPFILE | os.O_RDWR, 0o644)
            os.write(descriptor, file_meta)
        except OSError as error:
            raise StorageError(
                f"{self._folder} cannot be written: {error.strerror}",
                reaction=StatusReaction(OUT_OF_RESOURCES, "Storage failure"),
            ) from error
        return Arriving(descriptor)

    async def commit(self, reception: Arriving, origin: Origin) -> Kept:
        try:
            if self._sync is not None:
                await self._sync(reception.descriptor, self._descriptor)
            self._link(reception.descriptor, origin.sop_instance_uid)
            if self._sync is not None:
                os.fsync(self._descriptor)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return Kept(OUT_OF_RESOURCES, "Disk full" if full else "Storage failure")
        self.objects += 1
        return Kept()

    def _link(self, descriptor: int, uid: str) -> None:
        for number in range(10**6):
            name = f"{uid}.dcm" if not number else f"{uid}-{number}.dcm"
            with contextlib.suppress(FileExistsError):
                os.link(
                    f"/proc/self/fd/{descriptor}",
                    name,
                    dst_dir_fd=self._descriptor,
                    follow_symlinks=True,
                )
                return
        raise OSError(errno.EEXIST, "too many objects of one UID")

    def close(self) -> None:
        os.close(self._descriptor)
