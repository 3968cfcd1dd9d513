"""What runs in a process that ends TLS (`agent.network.tls_ending`): handshakes, and two pumps."""

from __future__ import annotations

import contextlib
import os
import socket

from agent.configuration.connection import Tls
from agent.errors import DeviceError, GantryError, LocalError
from agent.loop import Loop, Task, TaskGroup, current_loop, readable
from agent.loop.workers import Call, Calls
from agent.network.own_keys import own_key, unusable
from agent.network.stream import ConnectionLost, PlainStream
from agent.network.tls import FreshContext, forget_contexts
from agent.network.tls_ending import Ended
from agent.network.tls_stream import TlsStream, accept_here, connect_here
from agent.quoting import quoted
from hal.keys.base import StoreGone

_LONGEST_HANDSHAKE = 600.0
"""Seconds; the node has limits of its own, and gives up before."""


def serve(calls: Calls) -> None:
    """The entry of the process; it ends when the node does."""
    Loop().run(_Process(calls).run())


class _Process:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._contexts: dict[tuple[Tls, bool], FreshContext] = {}

    async def run(self) -> None:
        while True:
            # The first call may have come together with the order to start.
            if not self._calls.wait(None, 0.0):
                await readable(self._calls.descriptor)
            group = self._calls.receive()
            if not group:
                return
            for call in group:
                act = self._prepare if call.name == "prepare" else self._end
                current_loop().start_background(act(call), "tls")

    async def _prepare(self, call: Call) -> None:
        try:
            self._context(*call.arguments)
        except GantryError as error:
            call.fail(error)
        else:
            call.reply(None)
        self._calls.flush()

    def _context(self, tls: Tls, server_side: bool) -> FreshContext:
        found = self._contexts.get((tls, server_side))
        if found is None:
            # Those of a configuration that is no longer are few, and small.
            found = self._contexts[tls, server_side] = FreshContext(tls, server_side=server_side)
        return found

    async def _end(self, call: Call) -> None:
        tls, server_side, server_name = call.arguments
        ends = [socket.socket(fileno=os.dup(each)) for each in call.descriptors]
        for each in ends:
            each.setblocking(False)
        connected, pair = ends
        plain = PlainStream(pair, quick=False)
        try:
            try:
                stream = await self._secured(tls, server_side, server_name, connected, pair)
            except GantryError as error:
                call.fail(error)
                return
            except BaseException as error:
                call.fail(ConnectionLost(f"the TLS handshake was given up: {quoted(repr(error))}"))
                raise
            finally:
                self._calls.flush()
            version, cipher = stream.agreed
            call.reply(Ended(stream.certificate, stream.chain, version, cipher, stream.resumed))
            self._calls.flush()
            await _carry(stream, plain)
        finally:
            plain.close()
            if connected.fileno() >= 0:
                connected.close()

    async def _secured(
        self,
        tls: Tls,
        server_side: bool,
        server_name: str,
        connected: socket.socket,
        pair: socket.socket,
    ) -> TlsStream:
        """The handshake, given up when the node gives up."""
        context = self._context(tls, server_side)()
        key = own_key(tls.stored) if tls.stored is not None else None
        try:
            async with TaskGroup() as group:
                gone = group.start(_until_gone(pair), "node gives up")
                try:
                    if server_side:
                        stream = await accept_here(connected, context, _LONGEST_HANDSHAKE)
                    else:
                        there = connected.getpeername()[:2]
                        stream = await connect_here(connected, context, server_name, there)
                finally:
                    gone.cancel()
        except ConnectionLost as error:
            if key is None or key.failure is None or tls.stored is None:
                raise
            failure, key.failure = key.failure, None
            if isinstance(failure, StoreGone):
                # What was pulled out may be back for the next one.
                self._contexts.clear()
                forget_contexts()
                key.close()
            raise unusable(tls.stored, failure) from error
        return stream


async def _until_gone(pair: socket.socket) -> None:
    await readable(pair)
    raise DeviceError("the node has given up this connection")


async def _carry(stream: TlsStream, plain: PlainStream) -> None:
    """Bytes both ways until the node has closed its side, or cannot get rid of what it sends."""
    inward: Task[None] = current_loop().start_background(_inward(stream, plain), "inward")
    try:
        with contextlib.suppress(ConnectionLost):
            while data := bytes(await plain.receive(unfinished=False)):
                await stream.send([data])
    finally:
        inward.cancel()
        with contextlib.suppress(LocalError):
            await inward.join()
        stream.close()


async def _inward(stream: TlsStream, plain: PlainStream) -> None:
    """What the peer sends; its end is told by that of the pair."""
    with contextlib.suppress(ConnectionLost):
        # Copied: the buffer is everybody's at the next wait.
        while data := bytes(await stream.receive(unfinished=False)):
            await plain.send([data])
    plain.end_sending()
