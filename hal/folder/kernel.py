"""The kernel's inotify interface, by ctypes; nothing of files or completeness."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from pathlib import Path
from typing import NamedTuple

IN_MODIFY = 0x00000002
IN_CLOSE_WRITE = 0x00000008
IN_OPEN = 0x00000020
IN_MOVED_FROM = 0x00000040
IN_MOVED_TO = 0x00000080
IN_CREATE = 0x00000100
IN_DELETE = 0x00000200
IN_DELETE_SELF = 0x00000400
IN_MOVE_SELF = 0x00000800
IN_UNMOUNT = 0x00002000
IN_Q_OVERFLOW = 0x00004000
IN_IGNORED = 0x00008000
IN_ONLYDIR = 0x01000000
IN_DONT_FOLLOW = 0x02000000
IN_EXCL_UNLINK = 0x04000000
IN_ISDIR = 0x40000000

_EVENT = struct.Struct("iIII")
_BUFFER = 16384


class KernelEvent(NamedTuple):
    """One event: the watch's number, what happened, and the name within the folder or ""."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One inotify instance, with its descriptor. Raises OSError as the kernel says."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self._library.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
        self.descriptor = self._checked(
            self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1"
        )

    def add(self, path: str, mask: int) -> int:
        """Watch a folder; the same number again when it is watched already."""
        return self._checked(
            self._library.inotify_add_watch(self.descriptor, os.fsencode(path), mask), path
        )

    def remove(self, watch: int) -> None:
        """Watch it no more; no error when that is so already."""
        self._library.inotify_rm_watch(self.descriptor, watch)

    def read(self) -> list[KernelEvent]:
        """Some of the events that wait, oldest first; none when there are none. Never waits."""
        try:
            data = os.read(self.descriptor, _BUFFER)
        except BlockingIOError:
            return []
        events = []
        position = 0
        while position < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, position)
            position += _EVENT.size
            name = data[position : position + length].rstrip(b"\0")
            position += length
            events.append(KernelEvent(watch, mask, os.fsdecode(name)))
        return events

    def close(self) -> None:
        os.close(self.descriptor)

    @staticmethod
    def _checked(answer: int, what: str) -> int:
        if answer >= 0:
            return answer
        number = ctypes.get_errno()
        if number == errno.ENOSPC:
            raise OSError(number, "no inotify watch is left (fs.inotify.max_user_watches)", what)
        if number == errno.EMFILE:
            raise OSError(number, "no inotify instance is left (max_user_instances)", what)
        raise OSError(number, os.strerror(number), what)


_FAR = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "vboxsf", "virtiofs", "ceph", "afs", "ncpfs")


def writers_are_unseen(path: str, mounts: str = "/proc/self/mountinfo") -> bool:
    """Whether files may be written there without this kernel seeing it: network mounts and FUSE.

    False when that cannot be found out.
    """
    try:
        device = Path(path).stat().st_dev
        with Path(mounts).open(encoding="utf-8", errors="surrogateescape") as lines:
            wanted = f"{os.major(device)}:{os.minor(device)}"
            for line in lines:
                fields = line.split()
                if fields[2] == wanted:
                    kind = fields[fields.index("-") + 1]
                    return kind in _FAR or kind.startswith("fuse")
    except (OSError, ValueError, IndexError):
        return False
    return False
