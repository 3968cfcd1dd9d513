"""Transport connections: made by name or address, and listened for (PS3.8 9.1)."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent import observation
from agent.configuration.connection import Socket, Timers
from agent.errors import UnreachableError
from agent.loop import TimedOut, current_loop, readable, writable
from agent.loop import timeout as time_limit
from agent.network.resolution import Resolve, SocketAddress, look_up
from agent.network.stream import PlainStream, prepare

if TYPE_CHECKING:
    from agent.network.stream import EndedStream
    from agent.network.tls_ending import TlsContext
    from agent.network.tls_stream import TlsStream

_FREE_BIND = {
    # IP_FREEBIND and IPV6_FREEBIND (linux/in.h, linux/in6.h), which Python has no names for.
    socket.AF_INET: (socket.IPPROTO_IP, 15),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 78),
}


def _literal(host: str, port: int) -> list[SocketAddress] | None:
    """The address that `host` spells out, if it is no name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, host)
            return [(family, (host, port))]
    return [(socket.AF_INET, ("127.0.0.1", port))] if host == "localhost" else None


async def _connect(host: str, port: int, options: Socket, resolve: Resolve | None) -> socket.socket:
    addresses: Sequence[SocketAddress] | None = _literal(host, port)
    if addresses is None:
        try:
            addresses = await resolve(host, port) if resolve else look_up(host, port)
        except OSError as error:
            raise UnreachableError(
                f"there is no host named {host}",
                value=host,
                way_out="Check the name, and the name server of this machine.",
            ) from error
    last: OSError | None = None
    for family, address in addresses:
        end = socket.socket(family, socket.SOCK_STREAM)
        try:
            prepare(end, options)
            with contextlib.suppress(BlockingIOError):
                end.connect(address)
            await writable(end)
            failed = end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not failed:
                return end
            last = OSError(failed, _words(failed))
        except OSError as error:
            last = error
        except BaseException:
            current_loop().forget(end)
            end.close()
            raise
        current_loop().forget(end)
        end.close()
    raise UnreachableError(
        f"{host} port {port} cannot be reached: {last.strerror if last else 'no address'}",
        value=(host, port),
        way_out="Check address and port, the cable, and the firewalls between.",
    )


def _words(number: int) -> str:
    known = {
        errno.ECONNREFUSED: "nothing listens there",
        errno.EHOSTUNREACH: "no route to the host",
        errno.ENETUNREACH: "no route to the network",
        errno.ETIMEDOUT: "no answer",
    }
    return known.get(number, errno.errorcode.get(number, str(number)))


async def open_stream(
    addresses: Sequence[tuple[str, int]],
    timers: Timers,
    options: Socket,
    ssl_context: TlsContext | None,
    server_name: str,
    resolve: Resolve | None,
) -> PlainStream | TlsStream | EndedStream:
    """A connection to the first address that answers within the connect timer, TLS included.

    Raises UnreachableError with what the last one failed of; ConnectionLost when TLS fails.
    """
    last: UnreachableError | None = None
    for host, port in addresses:
        end: socket.socket | None = None
        try:
            with time_limit(timers.connect):
                end = await _connect(host, port, options, resolve)
                if ssl_context is None:
                    return PlainStream(end, quick=options.quick_acknowledge)
                from agent.network.tls_stream import connect_tls

                return await connect_tls(end, ssl_context, server_name or host, (host, port))
        except UnreachableError as error:
            last = error
        except TimedOut:
            last = _too_slow(host, port, timers.connect, connected=end is not None)
    raise last or UnreachableError("the peer has no address", way_out="Give it one.")


def _too_slow(host: str, port: int, seconds: float, *, connected: bool) -> UnreachableError:
    what, way_out = (
        "did not answer",
        "Check address and port, the cable, and the firewalls between.",
    )
    if connected:
        what = "took the connection and did not finish the TLS handshake"
        way_out = "Check that this port speaks TLS, and look into the peer's log."
    return UnreachableError(
        f"{host} port {port} {what} within {seconds:g} s",
        value=(host, port),
        limit=seconds,
        way_out=way_out,
    )


def listening(address: str, port: int, options: Socket) -> socket.socket:
    """A listening socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    end = socket.socket(family, socket.SOCK_STREAM)
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if options.receive_buffer:
            # Before listening: the window scale is fixed when a connection is accepted.
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer)
        _bind(end, address, port)
        end.listen(options.backlog)
        end.setblocking(False)
    except BaseException:
        end.close()
        raise
    return end


def _bind(end: socket.socket, address: str, port: int) -> None:
    try:
        end.bind((address, port))
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        # It comes with the cable, or by DHCP, and who calls other addresses does not wait for it.
        end.setsockopt(*_FREE_BIND[end.family], 1)
        end.bind((address, port))
        observation.warning("address not there yet", address=address, port=port)


def refuse(end: socket.socket) -> None:
    """Reset a connection that there is no room for."""
    # Too many who have not said what they want: no room even to read a request.
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.close()


async def says_something(end: socket.socket, seconds: float) -> bool:
    """Whether the peer sends a first byte in time (the ARTIM timer, PS3.8 9.1.5), and stays.

    Until then a connection is a socket and a task: thousands who come and leave cost next to
    nothing. Raises TimedOut, and OSError for one who leaves by reset.
    """
    with time_limit(seconds):
        while True:
            try:
                return bool(end.recv(1, socket.MSG_PEEK))
            except BlockingIOError:
                await readable(end)
