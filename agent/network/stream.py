"""Byte streams on the loop, and plain TCP; `agent.network.tls_stream` has TLS over it.

One receive buffer serves all associations: what `receive` gives is valid until the next wait.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import socket
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from agent.configuration.connection import Socket
from agent.errors import PeerError
from agent.loop import current_loop, readable, writable
from agent.quoting import quoted

if TYPE_CHECKING:
    from agent.network.peer_certificate import PeerCertificate

Part = bytes | bytearray | memoryview

# A private mapping: until something is received it takes no memory, in no process.
BUFFER = mmap.mmap(-1, 1 << 18, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
_VIEW = memoryview(BUFFER)
_PIECES = 512  # well below IOV_MAX


class ConnectionLost(PeerError):
    """The transport connection was closed or lost while it was in use."""


class HandshakeFailed(ConnectionLost):
    """The two sides could not agree on TLS, or one does not accept the other's certificate.

    `peers_fault`: what the peer showed or offered was held against it. A peer that left, was slow,
    did not speak TLS at all, or does not accept us, has failed in nothing.
    """

    def __init__(self, message: str, *, peers_fault: bool = False, **told: Any) -> None:
        """`told` is what a `GantryError` takes."""
        super().__init__(message, **told)
        self.peers_fault = peers_fault


class Stream(Protocol):
    @property
    def address(self) -> tuple[str, int]: ...
    @property
    def closed(self) -> bool: ...
    @property
    def certificate(self) -> PeerCertificate | None:
        """The peer's, where it was verified; None without one."""

    @property
    def unacknowledged(self) -> int:
        """Bytes that were sent, and that have not arrived as far as our kernel knows; 0 when it is
        closed."""

    async def receive(self, *, unfinished: bool = True) -> memoryview:
        """Some bytes, valid until the next wait; empty at the end. Raises ConnectionLost.

        `unfinished`: the peer has begun what it has not ended, and more is likely to be there."""

    async def send(self, parts: Sequence[Part]) -> int:
        """Send all parts; how many bytes. Raises ConnectionLost."""

    def send_now(self, data: bytes) -> None:
        """Send what fits without waiting; for the last word before closing."""

    def close(self) -> None: ...
    def reset(self) -> None:
        """Close at once, without waiting for what was sent (RST)."""


def place_of(address: Any) -> tuple[str, int]:
    """Host and port of a socket's address; "" and 0 where it has none.

    One of IPv4 at a socket of both versions is written as such, not as ::ffff:192.0.2.1 (RFC 4291
    2.5.5.2): so it stands in the configuration.
    """
    if len(address) < 2:
        return "", 0
    host: str = address[0]
    return host[7:] if host.startswith("::ffff:") and "." in host else host, address[1]


def prepare(end: socket.socket, options: Socket) -> None:
    """Set the options of a connected socket; what the kernel does not know is left out."""
    end.setblocking(False)
    set_option = end.setsockopt
    wanted: list[tuple[int, int, int]] = [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(options.keep_alive > 0)),
    ]
    if options.keep_alive:
        seconds = int(options.keep_alive)
        wanted.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds))
        wanted.append((socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // 6)))
    if options.user_timeout:
        wanted.append(
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(options.user_timeout * 1000))
        )
    if options.send_buffer:
        wanted.append((socket.SOL_SOCKET, socket.SO_SNDBUF, options.send_buffer))
    if options.receive_buffer:
        wanted.append((socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer))
    for level, option, value in wanted:
        with contextlib.suppress(OSError):
            set_option(level, option, value)
    if options.linger:
        set_option(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, int(options.linger)))


class PlainStream:
    """TCP. `quick` arms TCP_QUICKACK when the rest of something unfinished has to be waited for:
    a peer that leaves Nagle's algorithm on keeps each small piece back until all before it is
    acknowledged (RFC 9293 3.7.4). What is finished is acknowledged by the answer to it, and an
    acknowledgement of its own would cost both sides a packet for each object."""

    certificate: PeerCertificate | None = None

    def __init__(self, end: socket.socket, *, quick: bool = True) -> None:
        self._end = end
        self.quick = quick
        self.closed = False
        with contextlib.suppress(OSError):
            self.address = place_of(end.getpeername())
        if not hasattr(self, "address"):
            self.address = ("", 0)

    @property
    def unacknowledged(self) -> int:
        return 0 if self.closed else queued(self._end)

    async def receive(self, *, unfinished: bool = True) -> memoryview:
        end = self._end
        if not unfinished and not self.closed:
            # It is the peer's turn to begin: a receive would nearly always be in vain.
            await readable(end)
        while not self.closed:
            try:
                count = end.recv_into(BUFFER)
            except BlockingIOError:
                if self.quick and unfinished:
                    self._acknowledge()
                await readable(end)
                continue
            except OSError as error:
                raise lost(error) from error
            return _VIEW[:count]
        raise ConnectionLost("the connection was closed here")

    async def send(self, parts: Sequence[Part]) -> int:
        total = 0
        waiting: list[Part] = list(parts)
        while waiting:
            if self.closed:
                raise ConnectionLost("the connection was closed here")
            try:
                count = self._end.sendmsg(waiting[:_PIECES])
            except BlockingIOError:
                await writable(self._end)
                continue
            except OSError as error:
                raise lost(error) from error
            total += count
            done = 0
            for part in waiting:
                if count < len(part):
                    break
                count -= len(part)
                done += 1
            del waiting[:done]
            if count:
                waiting[0] = memoryview(waiting[0])[count:]
        return total

    def _acknowledge(self) -> None:
        try:
            self._end.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except OSError:
            self.quick = False  # Not TCP, or not Linux.

    def end_sending(self) -> None:
        """Nothing more will be sent; what comes is still received."""
        if not self.closed:
            with contextlib.suppress(OSError):
                self._end.shutdown(socket.SHUT_WR)

    def send_now(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._end.send(data, socket.MSG_DONTWAIT)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            current_loop().forget(self._end)
            with contextlib.suppress(OSError):
                self._end.close()

    def reset(self) -> None:
        if not self.closed:
            with contextlib.suppress(OSError):
                self._end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close()


class EndedStream(PlainStream):
    """What a process that ends TLS gives in the clear, by a socket pair; and whom it found, with
    the chain of certificates in DER, the peer's own first.

    What that process has taken counts as acknowledged: its own connection cannot be seen here."""

    def __init__(
        self,
        end: socket.socket,
        address: tuple[str, int],
        certificate: PeerCertificate | None,
        chain: Sequence[bytes],
        resumed: bool,
    ) -> None:
        super().__init__(end, quick=False)
        self.address = address
        self.certificate = certificate
        self.chain = chain
        self.resumed = resumed


def queued(end: socket.socket) -> int:
    """Bytes that the other end's kernel has not acknowledged (SIOCOUTQ of tcp(7) and unix(7))."""
    import fcntl
    import sys
    import termios

    return int.from_bytes(fcntl.ioctl(end.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def lost(error: OSError) -> ConnectionLost:
    """What happened to a connection, in words."""
    if error.errno == errno.ETIMEDOUT:
        return ConnectionLost("the peer stopped acknowledging what was sent")
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return ConnectionLost("the peer reset the connection")
    return ConnectionLost(f"the connection was lost: {error.strerror or quoted(error)}")
