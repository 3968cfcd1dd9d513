"""TLS over TCP on the loop: the handshake, in both roles, and the stream after it.

Imported when the first TLS connection begins: a node without TLS does without OpenSSL.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from agent import observation
from agent.errors import DeviceError
from agent.loop import TimedOut, current_loop, readable, sleep, timeout, writable
from agent.network.client_hello import LONGEST, no_tls
from agent.network.peer_certificate import PeerCertificate
from agent.network.stream import (
    BUFFER,
    ConnectionLost,
    EndedStream,
    HandshakeFailed,
    Part,
    lost,
    place_of,
    queued,
)
from agent.network.tls_context import Destination, ProfileContext
from agent.network.tls_failures import (
    CLAUSE,
    certificate_failure,
    handshake_failure,
    later_failure,
)
from agent.quoting import quoted

if TYPE_CHECKING:
    from agent.network.tls_ending import TlsContext

HANDSHAKES = observation.metrics.counter(
    "gantry_tls_handshakes_total", "TLS handshakes, by what came of them", "role", "outcome"
)

# How long, and for how many pieces, a client that was refused may still read our alert.
_LINGERS, _LINGERING_PIECES = 1.0, 64
_VIEW = memoryview(BUFFER)
_DER = 2  # _ssl.ENCODING_DER

Keep = Callable[[ssl.SSLSession], None]


class TlsStream:
    """TLS over TCP; the handshake has been done, and `resumed` says whether it went on with an
    earlier session. `keep` is given the session when the stream closes."""

    def __init__(
        self, end: ssl.SSLSocket, address: tuple[str, int], keep: Keep | None = None
    ) -> None:
        self._end = end
        self._keep = keep
        self.closed = False
        self.address = address
        self.resumed = bool(end.session_reused)

    @property
    def certificate(self) -> PeerCertificate | None:
        """The peer's, where it was verified; None without one."""
        return PeerCertificate.of(self._end)

    @property
    def chain(self) -> list[bytes]:
        """The peer's certificate and those above it as they were verified, in DER."""
        if hasattr(self._end, "get_verified_chain"):
            return list(self._end.get_verified_chain())
        # Public since Python 3.13; there since 3.10.
        inner: Any = getattr(self._end, "_sslobj", None)
        found = inner.get_verified_chain() if inner is not None else None
        return [each.public_bytes(_DER) for each in found or ()]

    @property
    def unacknowledged(self) -> int:
        return 0 if self.closed else queued(self._end)

    @property
    def agreed(self) -> tuple[str, str]:
        """The version of TLS and the cipher suite."""
        cipher = self._end.cipher()
        return self._end.version() or "", cipher[0] if cipher else ""

    async def receive(self, *, unfinished: bool = True) -> memoryview:
        # Decrypted bytes that wait in OpenSSL are invisible to the selector: read first, unless it
        # is the peer's turn to begin and there are none.
        if not unfinished and not self.closed and not self._end.pending():
            await readable(self._end)
        while not self.closed:
            try:
                return _VIEW[: self._end.recv_into(BUFFER)]
            except ssl.SSLWantReadError:
                await readable(self._end)
            except ssl.SSLWantWriteError:
                await sleep(0.01)
            except ssl.SSLEOFError:
                # No close_notify: a PDU that is cut short shows all the same.
                return _VIEW[:0]
            except ssl.SSLError as error:
                raise later_failure(error) from error
            except OSError as error:
                raise lost(error) from error
        raise ConnectionLost("the connection was closed here")

    async def send(self, parts: Sequence[Part]) -> int:
        data = memoryview(b"".join(parts))
        total = len(data)
        while data:
            if self.closed:
                raise ConnectionLost("the connection was closed here")
            try:
                data = data[self._end.send(data) :]
            except ssl.SSLWantWriteError:
                await writable(self._end)
            except ssl.SSLWantReadError:
                await sleep(0.01)
            except ssl.SSLEOFError as error:
                gone = ConnectionLost("the peer closed the connection")
                raise self._last_words() or gone from error
            except ssl.SSLError as error:
                raise later_failure(error) from error
            except OSError as error:
                raise self._last_words() or lost(error) from error
        return total

    def _last_words(self) -> ConnectionLost | None:
        """The alert that came before the connection broke: why a server does not accept us."""
        try:
            self._end.recv(1)
        except ssl.SSLEOFError:
            return None
        except ssl.SSLError as error:
            return later_failure(error) if error.reason else None
        except OSError:
            return None
        return None

    def send_now(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._end.send(data)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            current_loop().forget(self._end)
            session = self._end.session if self._keep is not None else None
            with contextlib.suppress(OSError, ValueError):
                # One close_notify without waiting for the peer's (RFC 8446 6.1).
                self._end.unwrap()
            if self._keep is not None and session is not None and session.has_ticket:
                self._keep(session)
            with contextlib.suppress(OSError):
                self._end.close()

    def reset(self) -> None:
        self.close()


async def accept_tls(
    end: socket.socket, context: TlsContext, seconds: float
) -> TlsStream | EndedStream:
    """The server's side of a handshake; the client has sent its first byte already.

    Raises HandshakeFailed with what went wrong in plain words, also when it is not done within
    `seconds`; DeviceError where our key cannot be used. That is logged here, and the socket is
    closed then.
    """
    address, port = place_of(end.getpeername()), end.getsockname()[1]
    stream: TlsStream | EndedStream
    try:
        if isinstance(context, ssl.SSLContext):
            stream = await accept_here(end, context, seconds)
        else:
            with _in_time(seconds):
                stream = await context.end(end, "")
        await _check_revocation(stream, context)
    except (HandshakeFailed, DeviceError) as error:
        HANDSHAKES.of("acceptor", "failed").add()
        observation.warning(
            "tls.refused", address=address[0], port=port, error=error, way_out=error.way_out
        )
        raise
    HANDSHAKES.of("acceptor", "resumed" if stream.resumed else "full").add()
    return stream


async def accept_here(end: socket.socket, context: ssl.SSLContext, seconds: float) -> TlsStream:
    """The same in this process, without a word to the log. Raises HandshakeFailed."""
    address = place_of(end.getpeername())
    return TlsStream(await _accepted(end, context, seconds), address)


async def _check_revocation(stream: TlsStream | EndedStream, context: TlsContext) -> None:
    """Ask whether the peer's certificate was revoked, where that is configured."""
    tls = getattr(context, "tls", None)
    if tls is None or tls.ocsp == "off":
        return
    from agent.network.revocation import check

    try:
        await check(stream.chain, tls, stream.address[0])
    except BaseException:
        stream.close()
        raise


@contextlib.contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    """Raises HandshakeFailed when it takes longer."""
    try:
        with timeout(seconds):
            yield
    except TimedOut as error:
        raise HandshakeFailed(
            f"the peer did not finish the TLS handshake within {seconds:g} s",
            clause=CLAUSE,
            limit=seconds,
            way_out="Look for what stops half of a connection: a firewall, a proxy, a scanner.",
        ) from error


async def _accepted(end: socket.socket, context: ssl.SSLContext, seconds: float) -> ssl.SSLSocket:
    hello = end.recv(LONGEST, socket.MSG_PEEK)
    stranger = no_tls(hello)
    if stranger is not None:
        await _let_read(end)
        current_loop().forget(end)
        end.close()
        raise stranger
    secured = _wrapped(end, context, server_side=True)
    try:
        with _in_time(seconds):
            await _handshake(secured, context, hello)
    except HandshakeFailed:
        await _let_read(secured)
        _drop(secured)
        raise
    except BaseException:
        _drop(secured)
        raise
    return secured


async def connect_tls(
    end: socket.socket, context: TlsContext, server_name: str, destination: tuple[str, int]
) -> TlsStream | EndedStream:
    """The client's side of a handshake, with the session of the last one there, if any.

    Raises HandshakeFailed with what went wrong in plain words, DeviceError where our key cannot be
    used; the socket is closed then.
    """
    stream: TlsStream | EndedStream
    try:
        if isinstance(context, ssl.SSLContext):
            stream = await connect_here(end, context, server_name, destination)
        else:
            stream = await context.end(end, server_name)
        await _check_revocation(stream, context)
    except HandshakeFailed:
        HANDSHAKES.of("requestor", "failed").add()
        raise
    HANDSHAKES.of("requestor", "resumed" if stream.resumed else "full").add()
    return stream


async def connect_here(
    end: socket.socket, context: ssl.SSLContext, server_name: str, destination: tuple[str, int]
) -> TlsStream:
    """The same in this process. Raises HandshakeFailed."""
    keep: Keep | None = None
    session: ssl.SSLSession | None = None
    place: Destination = (*destination, server_name)
    if isinstance(context, ProfileContext):
        session = context.session_for(place)

        def keep(session: ssl.SSLSession) -> None:
            context.keep(place, session)

    try:
        address = end.getpeername()[:2]
    except OSError as error:
        current_loop().forget(end)
        end.close()
        raise lost(error) from error
    secured = _wrapped(end, context, server_side=False, server_name=server_name, session=session)
    try:
        await _handshake(secured, context, b"")
    except BaseException:
        if isinstance(context, ProfileContext):
            context.keep(place, None)
        _drop(secured)
        raise
    return TlsStream(secured, address, keep)


def _wrapped(
    end: socket.socket,
    context: ssl.SSLContext,
    *,
    server_side: bool,
    server_name: str = "",
    session: ssl.SSLSession | None = None,
) -> ssl.SSLSocket:
    descriptor = end.fileno()
    try:
        return context.wrap_socket(
            end,
            server_side=server_side,
            do_handshake_on_connect=False,
            server_hostname=server_name or None,
            session=session,
        )
    except OSError as error:
        # The peer has gone already; `ssl` has closed the socket.
        current_loop().forget(descriptor)
        raise lost(error) from error


async def _handshake(secured: ssl.SSLSocket, context: ssl.SSLContext, hello: bytes) -> None:
    try:
        while True:
            try:
                secured.do_handshake()
                break
            except ssl.SSLWantReadError:
                await readable(secured)
            except ssl.SSLWantWriteError:
                await writable(secured)
    except ssl.SSLCertVerificationError as error:
        raise certificate_failure(error) from error
    except ssl.SSLError as error:
        raise handshake_failure(error, hello) from error
    except OSError as error:
        gone = lost(error)
        raise HandshakeFailed(
            f"{quoted(gone.message)} during the TLS handshake",
            clause=CLAUSE,
            way_out="Its log may say why; often the port is one without TLS, or our certificate is"
            " refused.",
        ) from error
    if isinstance(context, ProfileContext):
        context.check(secured)


async def _let_read(end: socket.socket) -> None:
    """Closing with unread bytes would reset the connection, and our alert might never be read."""
    try:
        end.shutdown(socket.SHUT_WR)
        with timeout(_LINGERS):
            for _ in range(_LINGERING_PIECES):
                try:
                    if not end.recv(4096):
                        return
                except BlockingIOError:
                    await readable(end)
    except (TimedOut, OSError):
        pass


def _drop(end: ssl.SSLSocket) -> None:
    if end.fileno() >= 0:
        current_loop().forget(end)
    end.close()
