"""Knocks at every TCP port of a machine: `python port_scan.py ADDRESS`.

Prints as JSON which ones are open and which refuse; the others say nothing within some seconds.
"""

from __future__ import annotations

import contextlib
import json
import resource
import selectors
import socket
import sys
import time
from collections.abc import Iterable

_AT_A_TIME = 3000
_SECONDS = 5.0
"""A lost packet is sent again after one second and after three."""


def knock(address: str, ports: Iterable[int]) -> dict[int, int]:
    """What became of the connections by their ports: 0 open, else an error number."""
    found = {}
    with selectors.DefaultSelector() as selector:
        for port in ports:
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex((address, port))
            selector.register(caller, selectors.EVENT_WRITE, port)
        end = time.monotonic() + _SECONDS
        while selector.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                assert isinstance(key.fileobj, socket.socket)
                found[key.data] = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                selector.unregister(key.fileobj)
                key.fileobj.close()
        for key in list(selector.get_map().values()):
            with contextlib.closing(key.fileobj):  # type: ignore[type-var]
                selector.unregister(key.fileobj)
    return found


def main(address: str) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found: dict[int, int] = {}
    for first in range(1, 65536, _AT_A_TIME):
        found |= knock(address, range(first, min(first + _AT_A_TIME, 65536)))
    is_open = sorted(port for port, error in found.items() if not error)
    refused = sorted(port for port, error in found.items() if error)
    print(json.dumps({"open": is_open, "refused": refused}))


if __name__ == "__main__":
    main(sys.argv[1])
