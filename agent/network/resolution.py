"""Names of hosts become addresses; in a worker of its own where nothing may wait."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

# An address as `socket.getaddrinfo` gives it: (family, socket address).
SocketAddress = tuple[int, Any]
Resolve = Callable[[str, int], Awaitable[Sequence[SocketAddress]]]


def look_up(host: str, port: int) -> list[SocketAddress]:
    """Resolve a name; blocks, so a node runs it in a worker. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]
