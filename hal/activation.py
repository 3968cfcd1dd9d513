"""Sockets that the service manager has opened for the service: sd_listen_fds(3).

systemd binds the ports of a `.socket` unit as root and hands the descriptors to the service, which
then needs no privilege for ports below 1024. Descriptors begin at 3; `LISTEN_FDS` says how many,
`LISTEN_PID` for which process, and `LISTEN_FDNAMES` how the unit calls each.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass

FIRST = 3
"""SD_LISTEN_FDS_START."""

_MOST = 512
"""More than systemd lets a unit have by default (LimitNOFILE), and all that a port may need."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A descriptor with its name; `problem` says why it is of no use, and is "" where it is."""

    name: str
    end: socket.socket | None
    problem: str = ""


def handed_over(
    environment: MutableMapping[str, str] | None = None, *, first: int = FIRST
) -> list[HandedOver]:
    """What was handed to this process; never raises, never blocks. To be called once.

    The variables are taken out of the environment, so that children do not take the descriptors
    for theirs, and those are closed when a child begins another program. What is not a listening
    TCP socket is closed here and comes with its `problem`.
    """
    environment = os.environ if environment is None else environment
    process = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if not count.isdecimal() or process != str(os.getpid()):
        return []
    return [
        _looked_at(first + place, names[place] if place < len(names) else "unknown")
        for place in range(min(int(count), _MOST))
    ]


def _looked_at(descriptor: int, name: str) -> HandedOver:
    try:
        os.set_inheritable(descriptor, False)
    except OSError as error:
        return HandedOver(name, None, f"descriptor {descriptor}: {error.strerror}")
    try:
        end = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return HandedOver(name, None, "it is no socket")
    problem = _problem(end)
    if problem:
        end.close()
        return HandedOver(name, None, problem)
    end.setblocking(False)
    return HandedOver(name, end)


def _problem(end: socket.socket) -> str:
    if end.family not in (socket.AF_INET, socket.AF_INET6):
        return f"it is no TCP socket but of the family {_name_of(end.family)}"
    if end.type != socket.SOCK_STREAM:
        return f"it is no TCP socket but of the type {_name_of(end.type)}"
    if not end.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "it does not listen; the unit must have Accept=no"
    return ""


def _name_of(number: int) -> str:
    return str(getattr(number, "name", number))
