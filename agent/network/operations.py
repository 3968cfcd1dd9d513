"""The DIMSE operations of one association, in both roles (PS3.7 7.5, 8.1).

Requests of ours are sent whole, one after the other, and wait for their responses side by side, as
many as the asynchronous operations window allows. Each operation that the peer asks for runs in a
task of its own, so that responses may go out in any order.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent import observation
from agent.errors import GantryError, LocalError, PeerError, StatusReaction
from agent.loop import Event, Limit, Promise, Task, current_loop
from agent.network.accepted_contexts import AcceptedContexts, OperationsWindow, PresentationContext
from agent.network.command import Command
from agent.network.commands import (
    C_CANCEL_RQ,
    MESSAGES,
    N_EVENT_REPORT_RQ,
    RESPONSE,
    c_cancel_rq,
)
from agent.network.data_set import (
    ArrivingSource,
    BytesSource,
    DataSetSink,
    DataSetSource,
    MemorySink,
)
from agent.network.exchange import IncomingRequest, Response, ServiceProvider, response_to
from agent.network.pdu import Abort
from agent.network.sending import command_parts, data_parts, fragment_length, messages
from agent.network.status import (
    PROCESSING_FAILURE,
    SOP_CLASS_NOT_SUPPORTED,
    Category,
    category,
)
from agent.network.stream import ConnectionLost
from agent.network.upper_layer import UpperLayer
from agent.network.watch import Watch

if TYPE_CHECKING:
    from agent.network.association import Association

_UNBOUNDED = 64  # operations performed at once where the window sets no bound


class _Outstanding:
    """A request of ours that waits for its responses."""

    __slots__ = ("on_response", "promise", "timeout")

    def __init__(self, on_response: Callable[[Response], None] | None, limit: float | None) -> None:
        self.promise: Promise[Response] = Promise()
        self.on_response = on_response
        self.timeout = limit


class Operations(ABC):
    """What an association does once it is there; `Association` adds its beginning and its end."""

    def __init__(
        self,
        upper_layer: UpperLayer,
        watch: Watch,
        *,
        response_limit: int,
        longest_sent_pdu: int,
    ) -> None:
        self.identification = ""
        self.error: GantryError | None = None
        self.contexts: AcceptedContexts = AcceptedContexts(
            {}, {}, window=OperationsWindow(), peer_maximum_length=0
        )
        self.providers: Mapping[int, ServiceProvider] = {}
        self._upper = upper_layer
        self._watch = watch
        self._response_limit = response_limit
        self._longest_sent_pdu = longest_sent_pdu
        self._fragment = 16378
        self._message_ids = itertools.count(1)
        self._outstanding: dict[int, _Outstanding] = {}
        self._performing: dict[Task[Any], IncomingRequest] = {}
        self._performed = Event()
        self._incoming: IncomingRequest | None = None
        self._line = Limit(1)
        self._room: Limit | None = None
        self._gone = Event()

    @property
    @abstractmethod
    def is_open(self) -> bool: ...

    @abstractmethod
    async def _write(self, parts: list[Any]) -> None: ...

    @abstractmethod
    def _fail(self, error: GantryError, abort: Abort | None) -> None: ...

    @abstractmethod
    def _rest(self) -> None: ...

    @abstractmethod
    def _association(self) -> Association: ...

    @property
    def most_performed(self) -> int:
        """Operations that the peer may have outstanding with us."""
        return self.contexts.window.performed or _UNBOUNDED

    def _use(self, contexts: AcceptedContexts) -> None:
        """The association is established with these contexts."""
        self.contexts = contexts
        self._fragment = fragment_length(contexts.peer_maximum_length, self._longest_sent_pdu)
        self._room = Limit(contexts.window.invoked) if contexts.window.invoked else None

    def next_message_id(self) -> int:
        """1 to 65535 and again from 1 (US), none that is outstanding."""
        while True:
            number = next(self._message_ids) % 65536
            if number and number not in self._outstanding:
                return number

    async def request(
        self,
        context: PresentationContext,
        command: Command,
        data_set: DataSetSource | None = None,
        *,
        on_response: Callable[[Response], None] | None = None,
        timeout: float | None = None,
    ) -> Response:
        """Ask the peer for an operation; its final response.

        Pending responses go to `on_response`. Waits while the window is full. Raises PeerError when
        the association ends before, with the reason; LocalError when it is not open.
        """
        if self._room is not None:
            await self._room.acquire()
        try:
            if not self.is_open:
                raise self.error or LocalError("the association is not open", clause="PS3.8 7.6")
            limit = timeout if timeout is not None else (self._watch.timers.dimse or None)
            outstanding = _Outstanding(on_response, limit)
            number = command.message_id
            self._outstanding[number] = outstanding
            self._watch.idle_since = None
            try:
                await self._send(context.identifier, command, data_set)
                if limit is not None:
                    due = self._watch.responses[number] = self._watch.now() + limit
                    self._watch.begin(due)
                return await outstanding.promise.wait()
            finally:
                self._outstanding.pop(number, None)
                self._watch.responses.pop(number, None)
                self._rest()
        finally:
            if self._room is not None:
                self._room.release()

    async def cancel(self, context: PresentationContext, message_id: int) -> None:
        """C-CANCEL: the responses of that operation keep coming until it ends (PS3.7 9.3.2.3)."""
        await self._send(context.identifier, c_cancel_rq(message_id), None)

    # Messages that come in (the assembler calls these).

    def begin(self, context: int, command: Command) -> DataSetSink | None:
        found = self.contexts.get(context)
        if found is None:
            raise PeerError(
                f"a message came on presentation context {context}, which was not accepted",
                clause="PS3.8 7.6",
                value=context,
            )
        if command.field & RESPONSE:
            return MemorySink(self._response_limit) if command.data_set_present else None
        if command.field == C_CANCEL_RQ:
            return None
        request = self._incoming = IncomingRequest(self._association(), found, command)
        self._watch.idle_since = None
        provider = self.providers.get(context)
        # A notification is the SCP's to send (PS3.7 10.1.1), everything else the SCU's.
        role = found.scu_role if command.field == N_EVENT_REPORT_RQ else found.scp_role
        if provider is None or not role:
            raise _refused(SOP_CLASS_NOT_SUPPORTED, "SOP class not supported")
        try:
            request.sink = provider.begin(request)
        except GantryError:
            raise
        except Exception as error:
            observation.error(
                "provider failed", association=self.identification, **observation.unforeseen(error)
            )
            raise _refused(PROCESSING_FAILURE, "Processing failure") from error
        return request.sink

    def complete(
        self, context: int, command: Command, sink: DataSetSink | None, error: GantryError | None
    ) -> None:
        if command.field & RESPONSE:
            self._complete_response(command, sink, error)
            return
        if command.field == C_CANCEL_RQ:
            for running in self._performing.values():
                if running.message_id == command.message_id_responded:
                    running.cancel()
            return
        request = self._incoming
        assert request is not None
        self._incoming = None
        request.error = error
        task = current_loop().start(self._perform(request), f"operation {self.identification}")
        self._performing[task] = request
        task.when_done(self._performed_one)

    def _complete_response(
        self, command: Command, sink: DataSetSink | None, error: GantryError | None
    ) -> None:
        number = command.message_id_responded
        outstanding = self._outstanding.get(number)
        if outstanding is None:
            observation.warning(
                "response to nothing", association=self.identification, message_id=number
            )
            return
        if error is not None:
            outstanding.promise.fail(error)
            return
        data = sink.value if isinstance(sink, MemorySink) else None
        response = Response.received(command, data)
        if category(response.status) is Category.PENDING:
            if outstanding.timeout is not None:
                self._watch.responses[number] = self._watch.now() + outstanding.timeout
            if outstanding.on_response is not None:
                outstanding.on_response(response)
        else:
            outstanding.promise.keep(response)

    async def _perform(self, request: IncomingRequest) -> None:
        response: Response | None
        if request.error is not None:
            response = response_to(request.error)
        else:
            provider = self.providers[request.context.identifier]
            try:
                response = await provider.perform(request)
            except Exception as error:
                if not isinstance(error, GantryError):
                    observation.error(
                        "provider failed",
                        association=self.identification,
                        **observation.unforeseen(error),
                    )
                response = response_to(error)
        if response is not None and response.category is Category.FAILURE:
            observation.warning(
                "operation refused",
                association=self.identification,
                operation=MESSAGES[request.command.field].name.removesuffix("-RQ"),
                status=f"{response.status:04X}H",
                reason=response.comment,
            )
            observation.occasion("request refused", request=request, response=response)
        if response is not None and not self._gone.is_set():
            try:
                await self.send_response(request, response)
            except GantryError as error:
                self._fail(error, None)

    async def send_response(self, request: IncomingRequest, response: Response) -> None:
        """Send a response of the performer; `IncomingRequest.respond` is the way to call it."""
        data = response.data_set
        source = BytesSource(data) if isinstance(data, bytes) else data
        await self._send(request.context.identifier, response.command_for(request.command), source)

    async def send_responses(
        self, request: IncomingRequest, response: Response, data_sets: Sequence[bytes]
    ) -> None:
        """The same response with one data set after the other: messages of their own, which go out
        in as few system calls as they can. `IncomingRequest.respond_each` is the way to call it.
        """
        command = response.command_for(request.command).encode(data_set=True)
        parts = messages(request.context.identifier, command, data_sets, self._fragment)
        if not self._line.try_acquire():
            await self._line.acquire()
        whole = False
        try:
            self._upper.data_request()
            await self._write(parts)
            whole = True
        except ConnectionLost as lost:
            raise self.error or lost from lost
        finally:
            if not whole:
                self._fail(PeerError("messages were not sent to their end"), Abort(0, 0))
            self._line.release()

    def _performed_one(self, task: Task[Any]) -> None:
        self._performing.pop(task, None)
        self._performed.set()
        self._rest()

    async def _send(self, context: int, command: Command, source: DataSetSource | None) -> None:
        """One whole message; no other gets in between (PS3.8 E.1)."""
        encoded = command.encode(data_set=source is not None)
        if not self._line.try_acquire():
            await self._line.acquire()
        whole = False
        try:
            self._upper.data_request()
            parts = command_parts(context, encoded, self._fragment)
            if source is None:
                await self._write(parts)
            else:
                arriving = source if isinstance(source, ArrivingSource) else None
                if arriving is not None:
                    await arriving.arrive()
                for group in data_parts(context, source, self._fragment, parts):
                    await self._write(group)
                    if arriving is not None:
                        await arriving.arrive()
            whole = True
        except ConnectionLost as lost:
            # Why it was closed says more than that it was.
            raise self.error or lost from lost
        finally:
            if not whole:
                # Half a message cannot be taken back: the association is of no use any more.
                self._fail(PeerError("a message was not sent to its end"), Abort(0, 0))
            self._line.release()


def _refused(status: int, comment: str) -> LocalError:
    return LocalError(comment, reaction=StatusReaction(status, comment))
