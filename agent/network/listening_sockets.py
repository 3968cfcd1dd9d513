"""Where listeners have their sockets from: the kernel.

`agent.network.handed_sockets` has those that the service manager has bound.
"""

from __future__ import annotations

import socket

from agent.configuration.connection import Socket
from agent.loop import current_loop
from agent.network.connection import listening


class ListeningSockets:
    """Where a listener has its sockets from: the kernel."""

    def open(self, address: str, port: int, options: Socket) -> socket.socket:
        """A listening socket. Raises OSError."""
        return listening(address, port, options)

    def close(self, end: socket.socket) -> None:
        """One that `open` gave, and that is not wanted any more."""
        current_loop().forget(end)
        end.close()

    def close_all(self) -> None:
        """No more will be opened: the node drains."""

    def serves_both(self, port: int) -> bool:
        """Whether one socket has all addresses, of IPv4 and of IPv6, on this port."""
        return False
