"""TLS ended by a process of its own, for keys in tokens and TPMs: the third form of a stream.

The process gets the connected socket and one end of a socket pair; it does the handshake, says whom
it found, and carries bytes both ways. A signature blocks that process only: other associations of
the same key wait for it, the node does not. The PIN and the session with the token are there too,
and never in the node.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from agent import observation
from agent.configuration.connection import Tls
from agent.errors import DeviceError, GantryError
from agent.loop import current_loop
from agent.loop.workers import Service, Template, WorkerDied
from agent.network.stream import EndedStream, place_of
from agent.quoting import quoted

if TYPE_CHECKING:
    import ssl

    from agent.network.peer_certificate import PeerCertificate

TlsContext: TypeAlias = "ssl.SSLContext | TlsEnding"
"""How TLS is done: here, or by a process that ends it."""


class Ended(NamedTuple):
    """What the process says when the handshake is done."""

    certificate: PeerCertificate | None
    chain: list[bytes]
    version: str
    cipher: str
    resumed: bool


class TlsEnding:
    """One way of TLS, in one role: as a context is, for `agent.network.tls_stream`."""

    def __init__(self, endings: TlsEndings, tls: Tls, server_side: bool) -> None:
        self._endings = endings
        self.tls = tls
        self._server_side = server_side

    async def end(self, connected: socket.socket, server_name: str) -> EndedStream:
        """Hand over the connection; the stream when the handshake is done. The socket is closed.

        Raises ConnectionLost, DeviceError, ConfigurationError.
        """
        ours, theirs = socket.socketpair()
        try:
            address = place_of(connected.getpeername())
            service = await self._endings.service(self.tls)
            said: Ended = await service.call(
                "end",
                self.tls,
                self._server_side,
                server_name,
                descriptors=[connected.fileno(), theirs.fileno()],
            )
        except BaseException as error:
            ours.close()
            if isinstance(error, WorkerDied):
                raise DeviceError(
                    f"what ends TLS with the key {self.tls.key_name} died: {quoted(error)}",
                    way_out="It is started again; the log says why it ended.",
                ) from error
            raise
        finally:
            theirs.close()
            current_loop().forget(connected)
            connected.close()
        observation.debug("TLS ended", version=said.version, cipher=said.cipher)
        ours.setblocking(False)
        return EndedStream(ours, address, said.certificate, said.chain, said.resumed)


class TlsEndings:
    """The processes that end TLS, one for each key; started when first wanted."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._services: dict[str, Service] = {}

    async def service(self, tls: Tls) -> Service:
        """The process of a key; a new one where it has ended."""
        found = self._services.get(tls.key_name)
        if found is None or found.gone:
            # Imported there, not here.
            from agent.network.tls_ending_worker import serve

            found = self._services[tls.key_name] = await Service.start(
                self._template, serve, name=f"tls {tls.key_name}"
            )
        return found

    def begin(self, tls: Tls) -> None:
        """Open the key of a listener now, so that what is wrong with it is said before somebody
        calls; nothing for a key that is used here."""
        if ending_of(tls, server_side=True) is not None:
            current_loop().start_background(self._begin(tls), f"key {tls.key_name}")

    async def _begin(self, tls: Tls) -> None:
        try:
            await (await self.service(tls)).call("prepare", tls, True)
        except GantryError as error:
            observation.error("key cannot be used", key=tls.key_name, error=error)

    def close(self) -> None:
        """Tell them to end."""
        for each in self._services.values():
            each.close()


_endings: TlsEndings | None = None


def use(endings: TlsEndings | None) -> None:
    """Have TLS of this process ended elsewhere, where the key wants it; None: here."""
    global _endings
    _endings = endings


def ending_of(tls: Tls, *, server_side: bool) -> TlsEnding | None:
    """For a key that signs slowly, in a process that must not wait; else None."""
    if _endings is None or tls.stored is None or tls.stored.store == "files":
        return None
    return TlsEnding(_endings, tls, server_side)
