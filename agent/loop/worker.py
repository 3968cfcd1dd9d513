"""What runs in a worker process, from its fork to its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from agent import observation
from agent.errors import LocalError
from agent.loop.calls import Calls, encode_error
from agent.loop.loop import leave_loop
from agent.loop.messages import Incoming, Kind, encode, rights
from agent.quoting import quoted

# The length of a process name that the kernel keeps (TASK_COMM_LEN).
_NAME_LENGTH = 15


class Start(NamedTuple):
    """The node's first message: what the worker shall run."""

    name: str
    entry: Callable[..., Any]
    arguments: tuple[Any, ...]
    address_space: int | None
    log: tuple[observation.Level, str]


def work(end: socket.socket) -> None:
    """Run what the first message says until it returns, or the node is gone.

    What goes wrong before or in it is told to the node, then raised.
    """
    incoming = Incoming()
    while (message := incoming.take()) is None:
        if not incoming.receive(end):
            return
    try:
        if message.error is not None:
            raise LocalError(f"what shall be run cannot be read: {quoted(repr(message.error))}")
        start: Start = message.value
        level, style = start.log
        observation.log.configure(level=level, style=style)
        _limit(start)
        _say_hello(end)
        calls = Calls(end, incoming)
        start.entry(calls, *start.arguments)
        calls.flush()
    except Exception as error:
        with contextlib.suppress(OSError):
            end.sendall(encode_error(0, error))
        raise


def _limit(start: Start) -> None:
    # Seen in `ps`, `top` and the journal.
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(start.name[:_NAME_LENGTH])
    if start.address_space is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (start.address_space, start.address_space))


def _say_hello(end: socket.socket) -> None:
    # The node is not our parent: only a descriptor names this process for certain.
    process: list[int] = []
    with contextlib.suppress(OSError):
        process.append(os.pidfd_open(os.getpid()))
    with contextlib.suppress(OSError):
        end.sendmsg([encode(Kind.HELLO, 0, os.getpid(), process)], rights(process))
    for descriptor in process:
        os.close(descriptor)


def serve_functions(calls: Calls) -> None:
    """The entry of a pool's workers: each call is a function and its arguments."""
    while group := calls.receive(limit=1):
        for call in group:
            function, arguments = call.arguments
            try:
                if call.descriptors:
                    value = function(*arguments, descriptors=list(call.descriptors))
                else:
                    value = function(*arguments)
            except Exception as error:
                call.fail(error)
            else:
                call.reply(value)
            # Not kept until the next call comes.
            function = arguments = value = None


def detach(keep: int) -> None:
    """Make a process that was forked off the node independent of it, but for one descriptor.

    Copies of the node's sockets would keep its peers from seeing its end, and a worker from seeing
    that the node has gone.
    """
    leave_loop()
    os.closerange(3, keep)
    os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))
    signal.set_wakeup_fd(-1)
    # A terminal's ^C and systemd's SIGTERM go to the whole group; what workers have begun they
    # finish, and they end when the node does.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Reaped by the kernel: the node learns of a worker's end by its socket.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # What had been written before the fork is the node's to flush; a test may have put other files
    # in the place of these.
    sys.stdout = open(1, "w", buffering=1, closefd=False, errors="replace")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False, errors="replace")  # noqa: SIM115
