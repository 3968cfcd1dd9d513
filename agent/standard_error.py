"""Lines on standard error that wait for nobody: who reads them may stand still.

A journal that hangs, a terminal that is held, a pipe that nobody empties: a plain write would wait
for it, and the loop with it. Here what cannot be written at once is kept, a little of it; beyond
that lines are lost, and how many is told in their place.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

_MOST_KEPT = 1 << 16


class StandardError:
    """Standard error of this process and of those that are forked from it, each for itself.

    `lost` makes the line that tells how many are missing. Raises nothing; keeps at most
    64 KiB, or one line.
    """

    def __init__(self, lost: Callable[[int], str], descriptor: int = 2) -> None:
        self._lost_line = lost
        self._descriptor = descriptor
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._lost = 0
        self._owner = 0
        self._socket: socket.socket | None = None
        self._file = descriptor
        self._may_wait = False

    @property
    def is_behind(self) -> bool:
        """Whether there is something to `flush`."""
        return bool(self._kept or self._lost)

    def write(self, line: str) -> None:
        """A whole line, now or later, or counted as lost."""
        self.flush()
        data = line.encode(errors="backslashreplace")
        if self._lost or (self._kept and self._size + len(data) > _MOST_KEPT):
            self._lost += 1
            return
        self._keep(data)
        self.flush()

    def flush(self) -> None:
        """Write what can be written now."""
        if self._owner != os.getpid():
            self._open()
        while self.is_behind:
            if self._lost and self._size < _MOST_KEPT // 2:
                self._keep(self._lost_line(self._lost).encode())
                self._lost = 0
            try:
                sent = self._send(self._kept[0])
            except BlockingIOError:
                return
            except OSError:
                # Closed, or the disk is full: a line more or less must never stop the node.
                self._forget()
                return
            self._size -= sent
            line = self._kept.popleft()
            if sent < len(line):
                self._kept.appendleft(line[sent:])

    def end(self, patience: float) -> None:
        """At the end of the process: wait so many seconds at most until all is written."""
        until = time.monotonic() + patience
        self.flush()
        while self.is_behind and (left := until - time.monotonic()) > 0:
            self._has_room(left)
            self.flush()

    def _keep(self, data: bytes) -> None:
        self._kept.append(data)
        self._size += len(data)

    def _forget(self) -> None:
        self._kept.clear()
        self._size = self._lost = 0

    def _send(self, data: bytes) -> int:
        # A line at a time: several processes write here, and a pipe takes one of a page whole.
        if self._socket is not None:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        if self._may_wait:
            if not self._has_room(0):
                raise BlockingIOError
            data = data[: select.PIPE_BUF]
        return os.write(self._file, data)

    def _has_room(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))

    def _open(self) -> None:
        """A way of our own to what the descriptor leads to: whether that one blocks is a matter of
        all who share it, the shell among them.

        In a process that was forked what its parent had is closed, and the number may be another
        file's by now. What the parent keeps it writes itself.
        """
        if self._socket is not None:
            self._socket.detach()
        if self._owner:
            self._forget()
        self._owner, self._socket, self._file = os.getpid(), None, self._descriptor
        try:
            kind = os.fstat(self._descriptor).st_mode
        except OSError:
            return
        self._may_wait = stat.S_ISFIFO(kind) or stat.S_ISCHR(kind)
        with suppress(OSError):
            if stat.S_ISSOCK(kind):
                self._socket = socket.socket(fileno=os.dup(self._descriptor))
            elif self._may_wait:
                flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                self._file = os.open(f"/proc/self/fd/{self._descriptor}", flags)
                self._may_wait = False
