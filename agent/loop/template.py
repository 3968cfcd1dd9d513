"""The template: a small process that forks workers.

It is forked first of all, before OpenSSL, SQLite or numpy are touched, so that a worker starts in a
millisecond, shares its pages with the others, and inherits no state that a fork would break. It has
one socket; each message on it carries the socket of one new worker. When the node goes, however it
goes, the template reads the end of the stream and ends, and so does each worker.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import traceback

from agent.errors import LocalError
from agent.loop.loop import current_loop
from agent.loop.messages import carried_descriptors, rights
from agent.loop.waiting import readable
from agent.loop.worker import detach, work


class Template:
    """The node's handle of the template process."""

    def __init__(self, end: socket.socket, pid: int) -> None:
        self._end = end
        self.pid = pid

    @classmethod
    def start(cls) -> Template:
        """Fork the template. Call it first thing in `main`, while the process is still small.

        Also freezes what is in memory (`gc.freeze`): neither process collects it, so that its pages
        stay shared.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        gc.collect()
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                detach(theirs.fileno())
                _serve(theirs)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        theirs.close()
        return cls(ours, pid)

    def new_worker(self) -> socket.socket:
        """A new worker; the socket's first message must be a `Start`.

        Does not wait. When the template is gone or stuck, the socket is at its end at once.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            with contextlib.suppress(OSError):
                self._end.sendmsg([b"w"], rights([theirs.fileno()]), socket.MSG_DONTWAIT)
        return ours

    async def ended(self) -> None:
        """Wait until the template is gone, which it never is of its own; then raise LocalError.

        Workers that run go on, but no new one can be had: whoever needs them cannot.
        """
        try:
            await readable(self._end)
        finally:
            current_loop().forget(self._end)
        raise LocalError(
            "the template process of the workers died",
            value=self.pid,
            way_out="Start again; look for what ended it: memory, for example.",
        )

    def close(self) -> None:
        """End the template; running workers end when their own sockets do."""
        self._end.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _serve(end: socket.socket) -> None:
    while True:
        data, ancillary, _, _ = end.recvmsg(16, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
        if not data:
            return
        for descriptor in carried_descriptors(ancillary):
            try:
                if os.fork() == 0:
                    _run_worker(end, descriptor)
            except OSError:
                # No memory, or too many processes: the node sees the end of the socket.
                traceback.print_exc()
            os.close(descriptor)


def _run_worker(template: socket.socket, descriptor: int) -> None:
    code = 1
    try:
        template.close()
        # A worker may have children of its own, and wants to know how they end.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        work(socket.socket(fileno=descriptor))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
