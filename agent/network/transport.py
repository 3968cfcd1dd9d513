"""The one place where an association is opened or accepted (PS3.8 9.1)."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent import observation
from agent.configuration.connection import Socket, Timers
from agent.errors import GantryError, PeerError
from agent.loop import Task, TimedOut, current_loop, readable, sleep
from agent.loop import timeout as time_limit
from agent.network.admission import Admission, Admit, Caller, ListenerLimits
from agent.network.association import Association, AssociationRejected
from agent.network.connection import open_stream, refuse, says_something
from agent.network.deliberation import decide_later
from agent.network.exchange import ServiceProvider
from agent.network.listening_sockets import ListeningSockets
from agent.network.negotiation import answer, information_for, without_secrets
from agent.network.pace import Pace
from agent.network.pdu import (
    DICOM_APPLICATION_CONTEXT_NAME,
    AssociateReject,
    AssociateRequest,
)
from agent.network.presentation_context import PresentationContextProposal
from agent.network.rejection import LOCAL_LIMIT_EXCEEDED, reject_text
from agent.network.resolution import Resolve
from agent.network.stream import HandshakeFailed, PlainStream, Stream, place_of, prepare
from agent.network.upper_layer import UpperLayer
from agent.network.user_information import UserInformation
from agent.quoting import Sentence

if TYPE_CHECKING:
    from agent.network.tls_ending import TlsContext

__all__ = [
    "Admission",
    "Association",
    "AssociationRejected",
    "Caller",
    "Listener",
    "ListenerLimits",
    "open_association",
]

ASSOCIATIONS = observation.metrics.gauge(
    "gantry_associations_open", "Associations that are established", "role"
)
ASSOCIATIONS_TOTAL = observation.metrics.counter(
    "gantry_associations_total", "Associations, by how they began", "role", "outcome"
)
CONNECTIONS_TOTAL = observation.metrics.counter(
    "gantry_connections_total", "Connections accepted, associations or not"
)


async def open_association(
    addresses: Sequence[tuple[str, int]],
    *,
    called_ae_title: str,
    calling_ae_title: str,
    proposals: Sequence[PresentationContextProposal],
    information: UserInformation,
    timers: Timers = Timers(),  # noqa: B008 (frozen)
    socket: Socket = Socket(),  # noqa: B008 (frozen)
    ssl_context: TlsContext | None = None,
    server_name: str = "",
    providers: Mapping[str, ServiceProvider] | None = None,
    longest_sent_pdu: int = 0,
    response_limit: int = 1 << 20,
    resolve: Resolve | None = None,
) -> Association:
    """Open an association with the first of `addresses` that answers.

    `providers` perform what the peer asks of us by abstract syntax, where it was granted the SCU
    role; `response_limit` bounds the data set of a response in bytes. Raises UnreachableError when
    no connection could be made; AssociationRejected; PeerError when the peer aborts, or lets a
    timer run out.
    """
    stream = await open_stream(addresses, timers, socket, ssl_context, server_name, resolve)
    association = Association(
        stream,
        UpperLayer(requestor=True),
        timers,
        longest_sent_pdu=longest_sent_pdu,
        response_limit=response_limit,
    )
    request = AssociateRequest(
        called_ae_title,
        calling_ae_title,
        DICOM_APPLICATION_CONTEXT_NAME,
        tuple(proposals),
        information_for(proposals, information),
    )
    try:
        association.start_associate(request)
    except GantryError:
        stream.close()
        raise
    task = current_loop().start_background(association.run(), "association")
    try:
        await association.established.wait()
    except BaseException:
        association.abort()
        task.cancel()
        raise
    if not association.is_open:
        error = association.error or PeerError("the peer closed the connection")
        rejected = isinstance(error, AssociationRejected)
        ASSOCIATIONS_TOTAL.of("requestor", "rejected" if rejected else "failed").add()
        raise error
    ASSOCIATIONS_TOTAL.of("requestor", "established").add()
    gauge = ASSOCIATIONS.of("requestor")
    gauge.add()
    task.when_done(lambda _: gauge.add(-1))
    if providers:
        association.providers = {
            number: providers[context.abstract_syntax]
            for number, context in association.contexts.items()
            if context.abstract_syntax in providers
        }
    return association


@dataclass(slots=True)
class _Door:
    """One listening socket."""

    end: socket.socket
    options: Socket
    secured: Callable[[], TlsContext] | None
    timers: Timers


class Listener:
    """Accepts connections on any number of addresses and makes associations of them.

    `lets_in` is asked whether a host's connection is worth a look, `failed` is told of a host that
    failed in a TLS handshake.
    """

    def __init__(self, admit: Admit, *, limits: ListenerLimits | None = None) -> None:
        self._admit = admit
        self.limits = limits if limits is not None else ListenerLimits()
        self._doors: dict[tuple[str, int], tuple[_Door, Task[None]]] = {}
        self._pace = Pace()
        self.associations: set[Association] = set()
        self._waiting: dict[str, int] = {}
        self._number_waiting = 0
        self._draining = False
        self._connections = CONNECTIONS_TOTAL.of()
        self.lets_in: Callable[[str], bool] = lambda host: True
        self.failed: Callable[[str], None] = lambda host: None
        self.sockets = ListeningSockets()

    def bind(
        self,
        address: str,
        port: int,
        *,
        socket: Socket = Socket(),  # noqa: B008 (frozen)
        secured: Callable[[], TlsContext] | None = None,
        timers: Timers = Timers(),  # noqa: B008 (frozen)
    ) -> int:
        """Listen there from now on; the port (for 0: the kernel's choice). Raises OSError.
        `secured` gives the TLS context of each connection; None: plain TCP."""
        end = self.sockets.open(address, port, socket)
        door = _Door(end, socket, secured, timers)
        number: int = end.getsockname()[1]
        task = current_loop().start_background(self._accept(door), f"listener {address}:{port}")
        self._doors[address, number] = (door, task)
        return number

    def unbind(self, address: str, port: int) -> None:
        """Listen there no longer; associations go on."""
        door, task = self._doors.pop((address, port))
        task.cancel()
        self.sockets.close(door.end)

    def close_doors(self) -> None:
        """No new connections; associations go on."""
        for place in list(self._doors):
            self.unbind(*place)

    def close(self) -> None:
        """No new connections, and an end to all associations."""
        self.close_doors()
        for association in tuple(self.associations):
            association.abort()

    async def drain(self, seconds: float) -> None:
        """No new associations; those that run may end within the time, then they are aborted."""
        self._draining = True
        self.sockets.close_all()
        self.close_doors()
        try:
            with time_limit(seconds):
                while self.associations:
                    await next(iter(self.associations)).closed()
                    await sleep(0)
        except TimedOut:
            pass
        self.close()

    async def _accept(self, door: _Door) -> None:
        while True:
            if current_loop().turn_used:
                await sleep(0)
            try:
                end, address = door.end.accept()
            except BlockingIOError:
                await readable(door.end)
                continue
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    # Out of descriptors: those who wait in the backlog wait a little longer.
                    observation.warning("cannot accept", error=error)
                    await sleep(0.2)
                continue
            self._connections.value += 1
            host = place_of(address)[0]
            if not self.lets_in(host):
                refuse(end)
                continue
            limits = self.limits
            await self._pace.keep(limits.connections_per_second)
            if self._number_waiting >= limits.waiting or (
                limits.waiting_per_host and self._waiting.get(host, 0) >= limits.waiting_per_host
            ):
                refuse(end)
                continue
            self._number_waiting += 1
            self._waiting[host] = self._waiting.get(host, 0) + 1
            current_loop().start_background(self._serve(door, end, host), "connection")

    def _no_longer_waiting(self, host: str) -> None:
        self._number_waiting -= 1
        left = self._waiting.get(host, 0) - 1
        if left > 0:
            self._waiting[host] = left
        else:
            self._waiting.pop(host, None)

    async def _serve(self, door: _Door, end: socket.socket, host: str) -> None:
        waiting = True
        association: Association | None = None
        admission: list[Admission] = []
        try:
            end.setblocking(False)
            if not await says_something(end, door.timers.association):
                return
            prepare(end, door.options)
            local = place_of(end.getsockname())
            stream: Stream
            if door.secured is None:
                stream = PlainStream(end, quick=door.options.quick_acknowledge)
            else:
                from agent.network.tls_stream import accept_tls

                stream = await accept_tls(end, door.secured(), door.timers.association)
            association = Association(
                stream,
                UpperLayer(requestor=False, limits=self.limits.upper_layer),
                door.timers,
                command_limit=self.limits.command_set,
                response_limit=self.limits.response,
            )
            served = association

            def asked(request: AssociateRequest) -> None:
                nonlocal waiting
                if waiting:
                    waiting = False
                    self._no_longer_waiting(host)
                caller = Caller(host, served.port, stream.certificate, local[0], local[1])
                self._decide(served, request, caller, admission)

            association.on_request = asked
            await association.run()
            if association.associate_request is None and association.error is not None:
                raise association.error
        except TimedOut:
            observation.debug("nothing said", address=host)
        except GantryError as error:
            if isinstance(error, HandshakeFailed):  # That has been logged.
                if error.peers_fault:
                    self.failed(host)
            else:
                said = {"error": error, "way_out": error.way_out or None}
                observation.info("connection failed", address=host, **said)
        except OSError as error:
            observation.debug("connection lost", address=host, error=error)
        finally:
            if association is None and end.fileno() >= 0:
                current_loop().forget(end)
                end.close()
            if waiting:
                self._no_longer_waiting(host)
            if association is not None and association in self.associations:
                self._forget(association, admission)

    def _decide(
        self,
        association: Association,
        request: AssociateRequest,
        caller: Caller,
        admitted: list[Admission],
    ) -> None:
        full = self._draining or len(self.associations) >= self.limits.associations
        decision = LOCAL_LIMIT_EXCEEDED if full else self._admit(request, caller)

        def tell(found: Admission | AssociateReject) -> None:
            self._answer(association, without_secrets(request), caller, found, admitted)

        if isinstance(decision, (Admission, AssociateReject)):
            tell(decision)
        else:
            decide_later(association, decision, tell)

    def _answer(
        self,
        association: Association,
        request: AssociateRequest,
        caller: Caller,
        decision: Admission | AssociateReject,
        admitted: list[Admission],
    ) -> None:
        said = answer(request, decision.offer) if isinstance(decision, Admission) else decision
        upper = association.upper_layer
        association.associate_request = request
        if isinstance(said, AssociateReject):
            ASSOCIATIONS_TOTAL.of("acceptor", "rejected").add()
            observation.info(
                "association rejected",
                association=association.identification,
                calling=request.calling_ae_title,
                called=request.called_ae_title,
                address=caller.address,
                reason=Sentence(reject_text(said)),
            )
            upper.reject(said)
            return
        assert isinstance(decision, Admission)
        upper.accept(said)
        association.entity = decision.entity
        association.peer, association.user = decision.peer, decision.user
        association.set_timers(decision.timers)
        if decision.quick_acknowledge is not None:
            association.acknowledge_quickly(decision.quick_acknowledge)
        providers = decision.providers_for(request, said)
        association.providers = providers
        self.associations.add(association)
        admitted.append(decision)
        association.settle(request, said)
        ASSOCIATIONS.of("acceptor").add()
        ASSOCIATIONS_TOTAL.of("acceptor", "established").add()
        observation.info(
            "association accepted",
            association=association.identification,
            entity=decision.entity,
            calling=request.calling_ae_title,
            called=request.called_ae_title,
            address=caller.address,
            contexts=len(providers),
        )
        if decision.opened is not None:
            decision.opened(association)

    def _forget(self, association: Association, admitted: list[Admission]) -> None:
        self.associations.discard(association)
        ASSOCIATIONS.of("acceptor").add(-1)
        observation.info(
            "association ended",
            association=association.identification,
            how=association.ending,
            received=association.bytes_received,
            sent=association.bytes_sent,
            **(
                {"error": association.error}
                if association.error and not association.released
                else {}
            ),
        )
        for decision in admitted:
            if decision.closed is not None:
                decision.closed(association)
