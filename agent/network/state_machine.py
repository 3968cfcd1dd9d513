"""The upper layer's state machine: the actions of PS3.8 Tables 9-6 to 9-9, driven by Table 9-10.

Everything that changes the state, the ARTIM timer or what control PDUs are sent is in this module.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.errors import AbortReaction, LocalError, PeerError
from agent.network.events import (
    AbortIndication,
    AssociateConfirmation,
    AssociateIndication,
    Event,
    ProviderRejection,
    RejectIndication,
    ReleaseCollision,
    ReleaseConfirmation,
    ReleaseIndication,
    TransportClosed,
)
from agent.network.item import REASON_NOT_SPECIFIED, SERVICE_PROVIDER, SERVICE_USER
from agent.network.pdu import (
    PROTOCOL_VERSION,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ReleaseRequest,
    ReleaseResponse,
    abort_text,
)
from agent.network.rejection import PROTOCOL_VERSION_NOT_SUPPORTED
from agent.network.state_table import EVENTS, STATES, TRANSITIONS, ProtocolEvent

# What comes with an event: the PDU, the primitive's parameters, the peer's fault, or a reason.
Subject = AssociateRequest | AssociateAccept | AssociateReject | Abort | PeerError | str | None


class StateMachine:
    """State, ARTIM and outgoing control PDUs of one association."""

    def __init__(self, *, requestor: bool) -> None:
        self.requestor = requestor
        self.state = 1
        # The timer shall be running. `artim_starts` grows with each start and restart, so that
        # whoever owns the clock can tell a restart from a timer that runs on.
        self.artim = False
        self.artim_starts = 0
        self.closing = False
        self._outgoing: list[bytes] = []
        self._request: AssociateRequest | None = None

    def happen(self, event: ProtocolEvent, subject: Subject = None) -> Event | None:
        """Take the action of the cell, go to its next state, and return what it indicates.

        Raises LocalError for an empty cell; the state stays.
        """
        cell = TRANSITIONS.get((event, self.state))
        if cell is None:
            raise LocalError(
                f"{EVENTS[event]} is not allowed in Sta{self.state} ({STATES[self.state]})",
                clause="PS3.8 Table 9-10",
                value=(int(event), self.state),
            )
        # An action that chooses between two states sets the other one itself.
        self.state = cell.next_states[0]
        return _ACTIONS[cell.action](self, subject)

    def expects(self, event: ProtocolEvent) -> bool:
        """Table 9-10 has a cell for this event in this state."""
        return (event, self.state) in TRANSITIONS

    def _send(self, pdu: bytes) -> None:
        self._outgoing.append(pdu)

    def _start_artim(self) -> None:
        self.artim = True
        self.artim_starts += 1

    # Table 9-6: association establishment.

    def _ae_1(self, subject: Subject) -> Event | None:
        assert isinstance(subject, AssociateRequest)
        self._request = subject
        return None

    def _ae_2(self, subject: Subject) -> Event | None:
        assert self._request is not None
        self._send(self._request.encode())
        self._request = None
        return None

    def _ae_3(self, subject: Subject) -> Event | None:
        assert isinstance(subject, AssociateAccept)
        return AssociateConfirmation(subject)

    def _ae_4(self, subject: Subject) -> Event | None:
        assert isinstance(subject, AssociateReject)
        self.closing = True
        return RejectIndication(subject)

    def _ae_5(self, subject: Subject) -> Event | None:
        self._start_artim()
        return None

    def _ae_6(self, subject: Subject) -> Event | None:
        assert isinstance(subject, AssociateRequest)
        self.artim = False
        # 9.3.2: an implementation of version 1 alone shall only test that bit 0 is set.
        if subject.protocol_version & PROTOCOL_VERSION:
            return AssociateIndication(subject)
        self.state = 13
        self._send(PROTOCOL_VERSION_NOT_SUPPORTED.encode())
        self._start_artim()
        return ProviderRejection(subject, PROTOCOL_VERSION_NOT_SUPPORTED)

    def _ae_7(self, subject: Subject) -> Event | None:
        assert isinstance(subject, AssociateAccept)
        self._send(subject.encode())
        return None

    def _ae_8(self, subject: Subject) -> Event | None:
        assert isinstance(subject, AssociateReject)
        self._send(subject.encode())
        self._start_artim()
        return None

    # Table 9-7: data transfer. The PDUs are streamed past the table: `UpperLayer.receive` issues
    # the indications, `fragmentation` writes the PDUs.

    def _dt_1(self, subject: Subject) -> Event | None:
        return None

    def _dt_2(self, subject: Subject) -> Event | None:
        return None

    # Table 9-8: association release.

    def _ar_1(self, subject: Subject) -> Event | None:
        self._send(ReleaseRequest().encode())
        return None

    def _ar_2(self, subject: Subject) -> Event | None:
        return ReleaseIndication()

    def _ar_3(self, subject: Subject) -> Event | None:
        self.closing = True
        return ReleaseConfirmation()

    def _ar_4(self, subject: Subject) -> Event | None:
        self._send(ReleaseResponse().encode())
        self._start_artim()
        return None

    def _ar_5(self, subject: Subject) -> Event | None:
        self.artim = False
        self.closing = True
        return TransportClosed("the peer closed the connection")

    def _ar_6(self, subject: Subject) -> Event | None:
        return None

    def _ar_7(self, subject: Subject) -> Event | None:
        return None

    def _ar_8(self, subject: Subject) -> Event | None:
        self.state = 9 if self.requestor else 10
        return ReleaseCollision(self.requestor)

    def _ar_9(self, subject: Subject) -> Event | None:
        self._send(ReleaseResponse().encode())
        return None

    def _ar_10(self, subject: Subject) -> Event | None:
        return ReleaseConfirmation()

    # Table 9-9: association abort.

    def _aa_1(self, subject: Subject) -> Event | None:
        self._start_artim()
        return self._abort(subject, SERVICE_USER)

    def _aa_2(self, subject: Subject) -> Event | None:
        self.artim = False
        self.closing = True
        if isinstance(subject, Abort):
            return TransportClosed(
                f"the peer aborted ({abort_text(subject.source, subject.reason)})"
            )
        return TransportClosed(subject if isinstance(subject, str) else "")

    def _aa_3(self, subject: Subject) -> Event | None:
        assert isinstance(subject, Abort)
        self.closing = True
        text = abort_text(subject.source, subject.reason)
        return AbortIndication(
            subject.source, subject.reason, ours=False, why=f"the peer aborted ({text})"
        )

    def _aa_4(self, subject: Subject) -> Event | None:
        self.closing = True
        why = subject if isinstance(subject, str) else "the transport connection was lost"
        return AbortIndication(SERVICE_PROVIDER, REASON_NOT_SPECIFIED, ours=False, why=why)

    def _aa_5(self, subject: Subject) -> Event | None:
        self.artim = False
        self.closing = True
        return TransportClosed("the peer closed the connection without a request")

    def _aa_6(self, subject: Subject) -> Event | None:
        return None

    def _aa_7(self, subject: Subject) -> Event | None:
        self._abort(subject, SERVICE_PROVIDER)
        return None

    def _aa_8(self, subject: Subject) -> Event | None:
        self._start_artim()
        return self._abort(subject, SERVICE_PROVIDER)

    def _abort(self, subject: Subject, source: int) -> Event | None:
        """Send A-ABORT; indicate it when a fault of the peer led to it."""
        if isinstance(subject, Abort):
            self._send(subject.encode())
            return None
        if isinstance(subject, PeerError) and isinstance(subject.reaction, AbortReaction):
            reaction = subject.reaction
            self._send(Abort(reaction.source, reaction.reason).encode())
            return AbortIndication(
                reaction.source, reaction.reason, ours=True, why=str(subject), error=subject
            )
        self._send(Abort(source, REASON_NOT_SPECIFIED).encode())
        return None


_ACTIONS: dict[str, Callable[[StateMachine, Subject], Event | None]] = {
    "AE-1": StateMachine._ae_1,
    "AE-2": StateMachine._ae_2,
    "AE-3": StateMachine._ae_3,
    "AE-4": StateMachine._ae_4,
    "AE-5": StateMachine._ae_5,
    "AE-6": StateMachine._ae_6,
    "AE-7": StateMachine._ae_7,
    "AE-8": StateMachine._ae_8,
    "DT-1": StateMachine._dt_1,
    "DT-2": StateMachine._dt_2,
    "AR-1": StateMachine._ar_1,
    "AR-2": StateMachine._ar_2,
    "AR-3": StateMachine._ar_3,
    "AR-4": StateMachine._ar_4,
    "AR-5": StateMachine._ar_5,
    "AR-6": StateMachine._ar_6,
    "AR-7": StateMachine._ar_7,
    "AR-8": StateMachine._ar_8,
    "AR-9": StateMachine._ar_9,
    "AR-10": StateMachine._ar_10,
    "AA-1": StateMachine._aa_1,
    "AA-2": StateMachine._aa_2,
    "AA-3": StateMachine._aa_3,
    "AA-4": StateMachine._aa_4,
    "AA-5": StateMachine._aa_5,
    "AA-6": StateMachine._aa_6,
    "AA-7": StateMachine._aa_7,
    "AA-8": StateMachine._aa_8,
}
