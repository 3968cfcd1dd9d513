"""Byte streams on the loop: plain TCP, and TLS over it.

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
from agent.loop import current_loop, readable, sleep, writable

if TYPE_CHECKING:
    import ssl

Part = bytes | bytearray | memoryview

# A private mapping: until something is received it takes no memory, in no process.
_BUFFER = mmap.mmap(-1, 1 << 18, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
_VIEW = memoryview(_BUFFER)
_PIECES = 512  # well below IOV_MAX


class ConnectionLost(PeerError):
    """The transport connection was closed or lost while it was in use."""


class Stream(Protocol):
    @property
    def address(self) -> tuple[str, int]: ...
    @property
    def closed(self) -> bool: ...
    async def receive(self, *, unfinished: bool = True) -> memoryview:
        """Some bytes, valid until the next wait; empty at the end. Raises ConnectionLost.

        `unfinished`: the peer has begun what it has not ended, and more is likely to be there."""

    async def send(self, parts: Sequence[Part]) -> int:
        """Send all parts; how many bytes. Raises ConnectionLost."""

    def close(self) -> None: ...
    def reset(self) -> None:
        """Close at once, without waiting for what was sent (RST)."""


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

    def __init__(self, end: socket.socket, *, quick: bool = True) -> None:
        self._end = end
        self.quick = quick
        self.closed = False
        with contextlib.suppress(OSError):
            name = end.getpeername()
            self.address: tuple[str, int] = (name[0], name[1]) if len(name) > 1 else ("", 0)
        if not hasattr(self, "address"):
            self.address = ("", 0)

    async def receive(self, *, unfinished: bool = True) -> memoryview:
        end = self._end
        if not unfinished and not self.closed:
            # It is the peer's turn to begin: a receive would nearly always be in vain.
            await readable(end)
        while not self.closed:
            try:
                count = end.recv_into(_BUFFER)
            except BlockingIOError:
                if self.quick and unfinished:
                    self._acknowledge()
                await readable(end)
                continue
            except OSError as error:
                raise _lost(error) from error
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
                raise _lost(error) from error
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

    def send_now(self, data: bytes) -> None:
        """Send what fits without waiting; for the last word before closing."""
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


class TlsStream:
    """TLS over TCP; the handshake has been done. Bytes go out in pieces of at least 64 KiB."""

    def __init__(self, end: ssl.SSLSocket) -> None:
        import ssl

        self._end = end
        self._wants_read = ssl.SSLWantReadError
        self._wants_write = ssl.SSLWantWriteError
        self._error = ssl.SSLError
        self.closed = False
        name = end.getpeername()
        self.address: tuple[str, int] = (name[0], name[1])

    @property
    def certificate(self) -> dict[str, Any] | None:
        """What Python's `ssl` tells of the peer's certificate; None without one."""
        found: dict[str, Any] | None = self._end.getpeercert()
        return found or None

    async def receive(self, *, unfinished: bool = True) -> memoryview:
        # Decrypted bytes that wait in OpenSSL are invisible to the selector: always read first.
        while not self.closed:
            try:
                return _VIEW[: self._end.recv_into(_BUFFER)]
            except self._wants_read:
                await readable(self._end)
            except self._wants_write:
                await sleep(0.01)
            except self._error as error:
                if error.args and "EOF" in str(error):
                    return _VIEW[:0]
                raise ConnectionLost(f"TLS failed: {error}", clause="PS3.15 B") from error
            except OSError as error:
                raise _lost(error) from error
        raise ConnectionLost("the connection was closed here")

    async def send(self, parts: Sequence[Part]) -> int:
        data = memoryview(b"".join(parts))
        total = len(data)
        while data:
            if self.closed:
                raise ConnectionLost("the connection was closed here")
            try:
                data = data[self._end.send(data) :]
            except self._wants_write:
                await writable(self._end)
            except self._wants_read:
                await sleep(0.01)
            except OSError as error:
                raise _lost(error) from error
        return total

    def send_now(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._end.send(data)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            current_loop().forget(self._end)
            with contextlib.suppress(OSError, ValueError):
                # One close_notify without waiting for the peer's (RFC 8446 6.1).
                self._end.unwrap()
            with contextlib.suppress(OSError):
                self._end.close()

    def reset(self) -> None:
        self.close()


async def start_tls(
    end: socket.socket, context: ssl.SSLContext, *, server_side: bool, server_name: str = ""
) -> TlsStream:
    """Do the handshake on the loop. Raises ConnectionLost with what went wrong in plain words."""
    import ssl

    secured = context.wrap_socket(
        end,
        server_side=server_side,
        do_handshake_on_connect=False,
        server_hostname=server_name or None,
    )
    try:
        while True:
            try:
                secured.do_handshake()
                return TlsStream(secured)
            except ssl.SSLWantReadError:
                await readable(secured)
            except ssl.SSLWantWriteError:
                await writable(secured)
    except ssl.SSLCertVerificationError as error:
        _drop(secured)
        raise ConnectionLost(
            f"the peer's certificate is not accepted: {error.verify_message}",
            clause="PS3.15 B",
            way_out="Check the trusted authorities, the name, and both clocks.",
        ) from error
    except ssl.SSLError as error:
        _drop(secured)
        raise ConnectionLost(
            f"the TLS handshake failed: {error.reason or error}",
            clause="PS3.15 B",
            way_out="Check that both sides speak TLS on this port, and their certificates.",
        ) from error
    except OSError as error:
        _drop(secured)
        raise _lost(error) from error
    except BaseException:
        _drop(secured)
        raise


def _drop(end: ssl.SSLSocket) -> None:
    if end.fileno() >= 0:
        current_loop().forget(end)
    end.close()


def _lost(error: OSError) -> ConnectionLost:
    if error.errno == errno.ETIMEDOUT:
        return ConnectionLost("the peer stopped acknowledging what was sent")
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return ConnectionLost("the peer reset the connection")
    return ConnectionLost(f"the connection was lost: {error.strerror or error}")
