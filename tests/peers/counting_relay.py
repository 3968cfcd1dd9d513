"""Relays in front of peers, which count how many connections there are at once."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

_SETTLED = 0.2


class Connections:
    """How many there are now, and the most there were, over all relays that share this."""

    def __init__(self) -> None:
        self.now = self.most = self.all = 0
        self._line = threading.Lock()

    def begun(self) -> None:
        with self._line:
            self.now += 1
            self.all += 1
            self.most = max(self.most, self.now)

    def ended(self) -> None:
        with self._line:
            self.now -= 1


class Relay:
    """Passes on what comes to `port`; each connection waits first, so that others can overlap."""

    def __init__(self, to: int, connections: Connections, delay: float = 0.2) -> None:
        self._to = to
        self._connections = connections
        self._delay = delay
        self._closing = threading.Event()
        self._end = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._end.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._closing.set()
        # A thread that waits in accept is woken by this, not by close alone.
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._end.accept()
                threading.Thread(target=self._relay, args=(connection,), daemon=True).start()

    def _relay(self, near: socket.socket) -> None:
        # The end of the one before may be seen by its thread a moment after this one began.
        self._closing.wait(_SETTLED)
        self._connections.begun()
        ended = False
        try:
            self._closing.wait(self._delay)
            with near, socket.create_connection(("127.0.0.1", self._to)) as far:
                back = threading.Thread(target=_copy, args=(far, near), daemon=True)
                back.start()
                _copy(near, far)
                self._connections.ended()
                ended = True
                back.join()
        except OSError:
            pass
        finally:
            if not ended:
                self._connections.ended()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
