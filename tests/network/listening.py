"""A listener of ours on a loop, with a script of blocking peers beside it in a child process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.configuration.connection import Timers
from agent.errors import LocalError, StatusReaction
from agent.loop import Event, Loop, readable, timeout
from agent.network.association import Association, IncomingRequest, Response
from agent.network.data_set import FileSink
from agent.network.negotiation import AcceptorOffer, SyntaxOffer
from agent.network.pdu import AssociateReject, AssociateRequest
from agent.network.transport import Admission, Caller, Listener, ListenerLimits
from agent.services.verification import VerificationProvider
from tests.peers.child_script import in_child

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


@dataclass
class Received:
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes


class Storage:
    """A storage provider that remembers what came; `hold` makes it answer out of order."""

    def __init__(self, status: int = 0, *, refuse: int = 0, hold: int = 0) -> None:
        self.received: list[Received] = []
        self.status = status
        self.refuse = refuse
        self._hold = hold
        self._release = Event()

    def begin(self, request: IncomingRequest) -> FileSink:
        if self.refuse:
            raise LocalError("refused", reaction=StatusReaction(self.refuse, "Refused by the test"))
        return FileSink(os.open("/tmp", os.O_TMPFILE | os.O_RDWR))

    async def perform(self, request: IncomingRequest) -> Response:
        sink = request.sink
        assert isinstance(sink, FileSink)
        data = os.pread(sink.descriptor, sink.length, 0)
        os.close(sink.descriptor)
        self.received.append(
            Received(
                request.command.affected_sop_class_uid,
                request.command.affected_sop_instance_uid,
                request.context.transfer_syntax,
                data,
            )
        )
        if len(self.received) < self._hold:
            await self._release.wait()
        else:
            self._release.set()
        return Response(self.status)


@dataclass
class Outcome:
    """What a script came to: its result, and the associations that were accepted."""

    result: Any = None
    associations: list[Association] = field(default_factory=list)


def offer(syntaxes: Mapping[str, tuple[str, ...]] | None = None, **more: Any) -> AcceptorOffer:
    offered = syntaxes or {VERIFICATION: (IMPLICIT, EXPLICIT), CT: (EXPLICIT, IMPLICIT)}
    return AcceptorOffer(
        {uid: SyntaxOffer(each) for uid, each in offered.items()}, "1.2.826.0.1.3680043.2", **more
    )


def against_listener(
    script: Callable[..., Any],
    *arguments: Any,
    storage: Storage | None = None,
    offered: AcceptorOffer | None = None,
    timers: Timers | None = None,
    limits: ListenerLimits | None = None,
    decide: Callable[[AssociateRequest, Caller], AssociateReject | None] | None = None,
    secured: Any = None,
    seconds: float = 30.0,
) -> Outcome:
    """Run `script(port, *arguments)` in a child against a listener of ours in this process."""
    outcome = Outcome()
    keeper = storage or Storage()
    used = offered or offer()
    providers: dict[str, Any] = dict.fromkeys(used.syntaxes, keeper)
    providers[VERIFICATION] = VerificationProvider()
    providers["1.2.840.10008.4.2"] = providers[""] = keeper

    def admit(request: AssociateRequest, caller: Caller) -> Admission | AssociateReject:
        rejected = decide(request, caller) if decide is not None else None
        if rejected is not None:
            return rejected
        return Admission(used, providers, timers or Timers(), opened=outcome.associations.append)

    async def main() -> None:
        listener = Listener(admit, limits=limits)
        port = listener.bind("127.0.0.1", 0, timers=timers or Timers(), secured=secured)
        with in_child(script, port, *arguments) as child:
            with timeout(seconds):
                await readable(child._result)
            outcome.result = child.result()
        listener.close()

    Loop().run(main())
    return outcome
