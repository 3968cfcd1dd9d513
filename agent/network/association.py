"""An association on the loop, from its first PDU to its end, in both roles (PS3.8 7).

One task reads; `agent.network.operations` has what is done meanwhile. Whatever ends the association
ends all of that too, with an error that says why.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from agent import observation
from agent.configuration.connection import Timers
from agent.errors import GantryError, LocalError, PeerError
from agent.loop import Cancelled, Event, Task, current_loop, timeout, turn
from agent.network import events
from agent.network.accepted_contexts import AcceptedContexts, OperationsWindow
from agent.network.exchange import AssociationRejected, IncomingRequest, Response, ServiceProvider
from agent.network.message import MessageAssembler
from agent.network.negotiation import without_secrets
from agent.network.operations import Operations
from agent.network.pdu import Abort, AssociateAccept, AssociateRequest
from agent.network.stream import PlainStream, Stream
from agent.network.upper_layer import UpperLayer
from agent.network.watch import Watch

__all__ = ["Association", "AssociationRejected", "IncomingRequest", "Response", "ServiceProvider"]

_numbers = itertools.count(1)
_ABORT_LINGERS = 2.0

BYTES = observation.metrics.counter(
    "gantry_network_bytes_total", "Bytes of associations", "direction"
)
_BYTES_IN = BYTES.of("in")
_BYTES_OUT = BYTES.of("out")


class Association(Operations):
    """One association. Made by `agent.network.transport` and nowhere else."""

    def __init__(
        self,
        stream: Stream,
        upper_layer: UpperLayer,
        timers: Timers,
        *,
        command_limit: int = 65536,
        response_limit: int = 1 << 20,
        longest_sent_pdu: int = 0,
    ) -> None:
        super().__init__(
            upper_layer,
            Watch(timers, self._expired),
            response_limit=response_limit,
            longest_sent_pdu=longest_sent_pdu,
        )
        self.identification = f"{next(_numbers):x}"
        self.requestor = upper_layer.requestor
        self.address, self.port = stream.address
        self.associate_request: AssociateRequest | None = None
        self.associate_accept: AssociateAccept | None = None
        self.entity = ""
        self.peer = ""
        self.user = ""
        self.deliberation: Task[None] | None = None
        self.established = Event()
        self.bytes_received = 0
        self.bytes_sent = 0
        self.on_request: Callable[[AssociateRequest], None] | None = None
        self._stream = stream
        self._assembler = MessageAssembler(self, limit=command_limit)
        self._ending = ""
        self._artim_starts = -1

    def _association(self) -> Association:
        return self

    # What users call.

    @property
    def is_open(self) -> bool:
        """Whether operations can be asked for."""
        return self.established.is_set() and not self._gone.is_set() and self._upper.state == 6

    @property
    def window(self) -> OperationsWindow:
        return self.contexts.window

    @property
    def calling_ae_title(self) -> str:
        return self.associate_request.calling_ae_title.strip() if self.associate_request else ""

    @property
    def called_ae_title(self) -> str:
        return self.associate_request.called_ae_title.strip() if self.associate_request else ""

    @property
    def implementation_version_name(self) -> str:
        """The peer's."""
        said = self.associate_accept if self.requestor else self.associate_request
        return said.user_information.implementation_version_name if said else ""

    @property
    def operations(self) -> int:
        """Operations that run now, in both directions."""
        return len(self._outstanding) + len(self._performing)

    async def release(self) -> None:
        """End the association in order; does nothing when it is gone. Never raises PeerError."""
        if self._gone.is_set() or not self.established.is_set():
            self._finish("")
            return
        try:
            with timeout(self._watch.timers.association):
                await self._line.acquire()
                try:
                    if self._upper.state == 6:
                        self._upper.release()
                        await self._write(list(self._upper.outgoing()))
                finally:
                    self._line.release()
                await self._gone.wait()
        except GantryError as error:
            self.abort()
            observation.warning("release failed", association=self.identification, error=error)

    def abort(self, source: int = 0, reason: int = 0) -> None:
        """End the association at once (A-ABORT)."""
        self._fail(LocalError("the association was aborted here"), Abort(source, reason))

    async def closed(self) -> None:
        """Until it is gone; never raises."""
        await self._gone.wait()

    # The reading task.

    async def run(self) -> None:
        """Read until the end; the one who opened or accepted the connection starts this."""
        try:
            await self._flush()
            while not self._stream.closed:
                data = await self._stream.receive(unfinished=self._peer_is_unfinished)
                if not data:
                    self._handle_all(self._upper.end_of_stream())
                    break
                watch = self._watch
                count = len(data)
                self.bytes_received += count
                _BYTES_IN.value += count
                watch.bytes_received += count
                watch.received = watch.now()
                for event in self._upper.receive(data):
                    if type(event) is events.DataFragment:
                        self._take(event)
                    else:
                        self._handle(event)
                del data
                self._note_receiving()
                await self._flush()
                if self._upper.closing:
                    break
                while len(self._performing) > self.most_performed:
                    self._performed.clear()
                    await self._performed.wait()
                await turn()
        except GantryError as error:
            self._fail(error, None)
        except Cancelled:
            self._fail(LocalError("the association was ended here"), Abort(0, 0))
            raise
        finally:
            self._finish("")

    @property
    def _peer_is_unfinished(self) -> bool:
        # With several operations at once, the next request may wait for an acknowledgement while
        # the answer to the last is still being worked on.
        return (
            self._assembler.under_way
            or self._upper.in_pdu
            or (bool(self._performing) and self.most_performed > 1)
        )

    def _take(self, fragment: events.DataFragment) -> None:
        try:
            self._assembler.take(fragment)
        except GantryError as error:
            self._fail(error, Abort(0, 0))

    def _handle_all(self, found: list[events.Event]) -> None:
        for event in found:
            self._handle(event)

    def _handle(self, event: events.Event) -> None:
        if isinstance(event, events.AssociateIndication):
            if self.on_request is not None:
                self.on_request(event.request)
        elif isinstance(event, events.AssociateConfirmation):
            assert self.associate_request is not None
            self.settle(without_secrets(self.associate_request), event.accept)
        elif isinstance(event, events.RejectIndication):
            self.error = AssociationRejected(event.reject)
        elif isinstance(event, events.ReleaseIndication):
            self._ending = "released"
            if self._performing:
                # PS3.8 7.2: no release is confirmed before what was asked for is done.
                current_loop().start_background(self._release_later(), "release")
            else:
                self._upper.release_response()
        elif isinstance(event, events.ReleaseCollision):
            if event.requestor:
                self._upper.release_response()
        elif isinstance(event, events.ReleaseConfirmation):
            self._ending = "released"
            if self._upper.state == 12:
                self._upper.release_response()
        elif isinstance(event, events.AbortIndication):
            if self.error is None:
                said = "" if event.ours else "the peer aborted the association: "
                self.error = event.error or PeerError(f"{said}{event.why}", clause="PS3.8 9.3.8")
            self._ending = "aborted here" if event.ours else "aborted by the peer"
        elif isinstance(event, events.TransportClosed) and not (self.error or self._ending):
            self.error = PeerError(event.why or "the peer closed the connection")

    async def _release_later(self) -> None:
        while self._performing:
            self._performed.clear()
            await self._performed.wait()
        if self._upper.state == 8 and not self._gone.is_set():
            self._upper.release_response()
            await self._flush()

    # Negotiation.

    def settle(self, request: AssociateRequest, accept: AssociateAccept) -> None:
        """Both PDUs are known: the association is established."""
        self.associate_request, self.associate_accept = request, accept
        self._use(AcceptedContexts.from_pair(request, accept, requestor=self.requestor))
        self._watch.negotiating = None
        self._rest()
        self.established.set()

    def start_associate(self, request: AssociateRequest) -> None:
        """As requestor: ask for the association."""
        self.associate_request = request
        self._upper.associate(request)
        self.await_negotiation()

    def await_negotiation(self) -> None:
        """The association has to be there within the association timer."""
        self._watch.negotiating = self._watch.now() + self._watch.timers.association
        self._watch.look()

    @property
    def upper_layer(self) -> UpperLayer:
        return self._upper

    def set_timers(self, timers: Timers) -> None:
        """The timers of the entity that was called."""
        self._watch.timers = timers

    def acknowledge_quickly(self, quick: bool) -> None:
        """Whether TCP_QUICKACK is armed while a message comes in; TLS leaves that to the kernel."""
        if isinstance(self._stream, PlainStream):
            self._stream.quick = quick

    async def _write(self, parts: list[Any]) -> None:
        watch = self._watch
        watch.sent = watch.now()
        watch.sending = True
        try:
            watch.begin(watch.sent + watch.timers.progress)
            count = await self._stream.send(parts)
        finally:
            watch.sending = False
        self.bytes_sent += count
        _BYTES_OUT.value += count

    async def tell(self) -> None:
        """Write the answer that was decided outside of the reading task. Raises ConnectionLost."""
        await self._flush()

    async def _flush(self) -> None:
        """Write control PDUs, and follow the ARTIM timer (PS3.8 9.1.5)."""
        upper = self._upper
        outgoing = upper.outgoing()
        if outgoing and not self._gone.is_set():
            await self._line.acquire()
            try:
                await self._write(list(outgoing))
            finally:
                self._line.release()
        if upper.artim_starts != self._artim_starts:
            self._artim_starts = upper.artim_starts
            if upper.artim:
                self._watch.artim = self._watch.now() + self._watch.timers.association
                self._watch.look()
        if not upper.artim:
            self._watch.artim = None

    # Time, and the end.

    def _note_receiving(self) -> None:
        watch = self._watch
        under_way = self._assembler.under_way
        if under_way and not watch.receiving:
            watch.receiving_since = watch.now()
            watch.receiving = True
            watch.begin(watch.receiving_since + watch.timers.progress)
        elif not under_way:
            watch.receiving = False

    def _rest(self) -> None:
        if not self._outstanding and not self._performing and not self.requestor:
            watch = self._watch
            watch.idle_since = watch.now()
            watch.begin(watch.idle_since + watch.timers.idle)

    def _expired(self, what: str, limit: float) -> None:
        if what == "artim":
            found = self._upper.artim_expired()
            self._handle_all(found)
            self._finish("closed by the ARTIM timer")
            return
        self._fail(PeerError(f"the peer kept us waiting for {what}", limit=limit), Abort(0, 0))

    def _fail(self, error: GantryError, abort: Abort | None) -> None:
        """The association ends here and now, and everyone who waits for it learns why."""
        if self._gone.is_set():
            return
        if self.error is None:
            self.error = error
        if abort is not None and self._watch.sending:
            # In the middle of a PDU an A-ABORT would be read as its data: only a reset is clear.
            self._ending = self._ending or "aborted here"
            self._stream.reset()
        elif abort is not None:
            try:
                self._upper.abort(abort.source, abort.reason)
            except LocalError:
                pass  # Table 9-10 has no A-ABORT in this state: the connection is just closed.
            else:
                for data in self._upper.outgoing():
                    self._stream.send_now(data)
            self._ending = self._ending or "aborted here"
        self._finish("", linger=abort is not None)

    def _finish(self, how: str, *, linger: bool = False) -> None:
        if self._gone.is_set():
            if not linger:
                self._stream.close()
            return
        self._watch.stop()
        if self.deliberation is not None:
            self.deliberation.cancel()
        if linger and not self._stream.closed:
            # Sta13: closing while bytes come in would reset the connection, and the peer might
            # never see the A-ABORT. The reading task goes on until the peer closes, or this rings.
            loop = current_loop()
            loop.at(loop.clock.now() + _ABORT_LINGERS, self._stream.reset)
        else:
            self._stream.close()
        self._assembler.discard()
        self._ending = self._ending or how or "connection lost"
        error = self.error or PeerError("the association has ended")
        for outstanding in list(self._outstanding.values()):
            outstanding.promise.fail(error)
        for task in list(self._performing):
            task.cancel()
        self._gone.set()
        self.established.set()

    @property
    def released(self) -> bool:
        """Whether it ended in order."""
        return self._ending == "released"

    @property
    def ending(self) -> str:
        """How it ended, in a word or two for the log."""
        return self._ending
