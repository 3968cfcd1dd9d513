"""The template: a small process that forks workers.

It is forked first of all, before OpenSSL, SQLite or numpy are touched, so that a worker starts in a
millisecond, shares its pages with the others, and inherits no state that a fork would break. It has
one socket; each message on it carries the socket of one new worker. When the node goes, however it
goes, the template reads the end of the stream and ends, and so does each worker.
"""

from __future__ import annotations

import array
import contextlib
import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any

from agent.loop.calls import Calls
from agent.loop.messages import Incoming


class Template:
    """The node's handle of the template process."""

    def __init__(self, end: socket.socket, pid: int) -> None:
        self._end = end
        self.pid = pid

    @classmethod
    def start(cls) -> Template:
        """Fork the template. Call it first thing in `main`, while the process is still small."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        gc.collect()
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                ours.close()
                _serve(theirs)
                code = 0
            finally:
                os._exit(code)
        theirs.close()
        return cls(ours, pid)

    def new_worker(self) -> socket.socket:
        """A new worker; the socket's first message must be (entry, arguments)."""
        ours, theirs = socket.socketpair()
        try:
            self._end.sendmsg(
                [b"w"],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))],
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    def close(self) -> None:
        """End the template; running workers end when their own sockets do."""
        self._end.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _serve(end: socket.socket) -> None:
    # A terminal's ^C and systemd's SIGTERM go to the whole group; what workers have begun they
    # finish, and they end when the node does.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Workers are reaped by the kernel: the node learns of their end by their sockets.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        data, ancillary, _, _ = end.recvmsg(16, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
        if not data:
            return
        descriptor = array.array("i")
        descriptor.frombytes(ancillary[0][2][:4])
        if os.fork() == 0:
            code = 1
            try:
                end.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _work(socket.socket(fileno=descriptor[0]))
                code = 0
            except BaseException:
                traceback.print_exc(file=sys.stderr)
            finally:
                with contextlib.suppress(OSError, ValueError):
                    sys.stdout.flush()
                os._exit(code)
        os.close(descriptor[0])


def _work(end: socket.socket) -> None:
    incoming = Incoming()
    while (message := incoming.take()) is None:
        if not incoming.receive(end):
            return
    entry: Callable[..., Any]
    (entry, arguments), _ = message
    calls = Calls(end)
    # What came behind the first message belongs to the calls.
    calls._incoming = incoming
    entry(calls, *arguments)
    calls.flush()
