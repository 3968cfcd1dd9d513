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

from agent import observation
from agent.loop.memory import give_back
from agent.loop.messages import carried_descriptors, rights
from agent.loop.worker import detach, work

_WORKER = b"w"
_STAY = b"s"


class Template:
    """The node's handle of the template process."""

    def __init__(self, idle_seconds: float) -> None:
        self.pid = 0
        self._idle_seconds = idle_seconds
        self._end: socket.socket | None = None
        self._closed = False

    @classmethod
    def start(cls, idle_seconds: float = 0.0) -> Template:
        """Fork the template. Call it first thing in `main`, while the process is still small.

        Also freezes what is in memory (`gc.freeze`): neither process collects it, so that its pages
        stay shared. With `idle_seconds` the template ends when nobody wanted a worker for so long,
        and is forked again from the node when somebody does: for a node that touches neither
        OpenSSL nor SQLite itself (`stay` for when it will). Workers live on without it.
        """
        gc.collect()
        give_back()
        gc.freeze()
        template = cls(idle_seconds)
        template._fork()
        return template

    @property
    def is_alive(self) -> bool:
        """Whether there is a template process now."""
        return self._end is not None and not _at_end(self._end)

    def _fork(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                detach(theirs.fileno())
                gc.freeze()
                _serve(theirs, self._idle_seconds)
                code = 0
            except BaseException:
                _tell()
            finally:
                os._exit(code)
        theirs.close()
        self._end, self.pid = ours, pid

    def stay(self) -> None:
        """Never end for idleness from now on: the node is about to touch OpenSSL."""
        if self._idle_seconds:
            self._idle_seconds = 0.0
            self._send(_STAY, ())

    def new_worker(self) -> socket.socket:
        """A new worker; the socket's first message must be a `Start`.

        Does not wait. A template that is gone is forked again; when one is stuck, or closed, the
        socket is at its end at once.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._send(_WORKER, (theirs.fileno(),))
        return ours

    def _send(self, message: bytes, descriptors: tuple[int, ...]) -> None:
        for _ in range(2):
            if self._closed:
                return
            if not self.is_alive:
                self._reap(os.WNOHANG)
                self._fork()
            assert self._end is not None
            try:
                self._end.sendmsg([message], rights(descriptors), socket.MSG_DONTWAIT)
                return
            except BlockingIOError:
                return
            except OSError:
                continue  # It ended between the look and the message.

    def tidy(self) -> None:
        """Where the template has ended for idleness, let the kernel forget it."""
        if self.pid and not self.is_alive:
            self._reap(os.WNOHANG)

    def _reap(self, options: int) -> None:
        if self._end is not None:
            self._end.close()
            self._end = None
        if self.pid:
            try:
                ended, _ = os.waitpid(self.pid, options)
            except ChildProcessError:
                ended = self.pid
            self.pid = 0 if ended else self.pid

    def close(self) -> None:
        """End the template; running workers end when their own sockets do."""
        self._closed = True
        self._reap(0)


def _at_end(end: socket.socket) -> bool:
    try:
        return not end.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _serve(end: socket.socket, idle_seconds: float) -> None:
    while True:
        end.settimeout(idle_seconds or None)
        try:
            data, ancillary, _, _ = end.recvmsg(16, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
        except TimeoutError:
            # What was sent before this is still read, what comes after it finds the end.
            end.shutdown(socket.SHUT_RD)
            continue
        if not data:
            return
        if data == _STAY:
            idle_seconds = 0.0
        for descriptor in carried_descriptors(ancillary):
            try:
                if os.fork() == 0:
                    _run_worker(end, descriptor)
            except OSError:
                # No memory, or too many processes: the node sees the end of the socket.
                _tell()
            os.close(descriptor)


def _tell() -> None:
    """What ended this process, but for its text: such an error quotes what it stumbled over."""
    error = sys.exc_info()[1]
    if error is not None:
        observation.error("worker failed", **observation.unforeseen(error))


def _run_worker(template: socket.socket, descriptor: int) -> None:
    code = 1
    try:
        template.close()
        # A worker may have children of its own, and wants to know how they end.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        work(socket.socket(fileno=descriptor))
        code = 0
    except BaseException:
        _tell()
    finally:
        observation.log.end()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
