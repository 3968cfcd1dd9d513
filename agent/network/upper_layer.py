"""The upper layer of one transport connection: bytes in, events out; primitives in, PDUs out.

No sockets and no clocks: whoever owns the connection feeds `receive`, writes `outgoing()`, looks at
`artim` and `closing` after each call, and reports the end of the stream or of the timer.

Memory: control PDUs are gathered whole, at most `UpperLayerLimits.maximum_associate_length` bytes
and only while an A-ASSOCIATE PDU arrives; P-DATA-TF PDUs are streamed and never gathered, but for a
header that is split between two reads. A claimed length is compared with its limit first.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.errors import PeerError
from agent.network import pdu
from agent.network.events import DataFragment, Event
from agent.network.item import (
    REASON_NOT_SPECIFIED,
    SERVICE_USER,
    UNEXPECTED_PDU,
    invalid,
)
from agent.network.limits import ORDINARY_ASSOCIATE, UpperLayerLimits
from agent.network.other_protocols import unrecognized_pdu
from agent.network.pdu import (
    P_DATA_HEADER,
    P_DATA_TF,
    PDU_HEADER,
    PDU_NAMES,
    PDV_HEADER,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ReleaseRequest,
    ReleaseResponse,
)
from agent.network.state_machine import StateMachine, Subject
from agent.network.state_table import DATA_STATES, TRANSITIONS, ProtocolEvent

__all__ = ["UpperLayer", "UpperLayerLimits"]

_UNLIMITED = 1 << 32

_PDU_EVENTS = {
    pdu.A_ASSOCIATE_RQ: ProtocolEvent.A_ASSOCIATE_RQ_PDU,
    pdu.A_ASSOCIATE_AC: ProtocolEvent.A_ASSOCIATE_AC_PDU,
    pdu.A_ASSOCIATE_RJ: ProtocolEvent.A_ASSOCIATE_RJ_PDU,
    pdu.P_DATA_TF: ProtocolEvent.P_DATA_TF_PDU,
    pdu.A_RELEASE_RQ: ProtocolEvent.A_RELEASE_RQ_PDU,
    pdu.A_RELEASE_RP: ProtocolEvent.A_RELEASE_RP_PDU,
    pdu.A_ABORT: ProtocolEvent.A_ABORT_PDU,
}

# The actions that answer a PDU without looking into it.
_UNEXPECTED = frozenset(("AA-1", "AA-6", "AA-7", "AA-8"))

# Bytes 7 to 74 of A-ASSOCIATE-RQ and -AC (9.3.2, 9.3.3): no such PDU is shorter.
_SHORTEST_ASSOCIATE = 68


class UpperLayer(StateMachine):
    """The protocol machine of one transport connection.

    With `connected` (the usual case: the transport connection is there) an acceptor starts in
    Sta2 with ARTIM running, and `associate` of a requestor goes from Sta1 through Sta4 to Sta5.
    Without it, `transport_connected` reports the connection (events 2 and 5).
    """

    def __init__(
        self, *, requestor: bool, limits: UpperLayerLimits | None = None, connected: bool = True
    ) -> None:
        super().__init__(requestor=requestor)
        self._limits = limits if limits is not None else UpperLayerLimits()
        self._connected = connected
        self._longest_pdu = _UNLIMITED
        # What is being received: a unit of `_need` bytes gathers in `_held`. It is the body of the
        # control PDU `_control`, or a PDV header when `_pdu_left`, or else a PDU header.
        self._held = bytearray()
        self._need = PDU_HEADER.size
        self._control = 0
        # Bytes left of the P-DATA-TF PDU, and of the value of its PDV, that is being streamed.
        self._pdu_left = 0
        self._value_left = 0
        self._context = 0
        self._command = False
        self._last = False
        # Bytes left of a PDU that nobody wants; and that framing is lost for good.
        self._skip = 0
        self._deaf = False
        if connected and not requestor:
            self.happen(ProtocolEvent.TRANSPORT_CONNECTION_INDICATION)

    # Primitives of the user. Each raises LocalError where Table 9-10 has no cell.

    def transport_connected(self) -> None:
        """Events 2 and 5: the connection that we asked for, or that the peer opened, is there."""
        self._connected = True
        if self.requestor:
            self.happen(ProtocolEvent.TRANSPORT_CONNECT_CONFIRMATION)
        else:
            self.happen(ProtocolEvent.TRANSPORT_CONNECTION_INDICATION)

    def associate(self, request: AssociateRequest) -> None:
        """A-ASSOCIATE request (7.1). Also raises LocalError for what the PDU cannot say."""
        request.encode()
        self._announce(request.user_information.maximum_length)
        self.happen(ProtocolEvent.A_ASSOCIATE_REQUEST, request)
        if self._connected:
            self.happen(ProtocolEvent.TRANSPORT_CONNECT_CONFIRMATION)

    def accept(self, accept: AssociateAccept) -> None:
        """A-ASSOCIATE response, accepted (7.1). Also raises LocalError as `associate` does."""
        accept.encode()
        self.happen(ProtocolEvent.A_ASSOCIATE_RESPONSE_ACCEPT, accept)
        self._announce(accept.user_information.maximum_length)

    def reject(self, reject: AssociateReject) -> None:
        """A-ASSOCIATE response, rejected (7.1); `rejection` names the combinations."""
        self.happen(ProtocolEvent.A_ASSOCIATE_RESPONSE_REJECT, reject)

    def data_request(self) -> None:
        """P-DATA request (7.6): P-DATA-TF PDUs may be written now (Sta6, Sta8)."""
        self.happen(ProtocolEvent.P_DATA_REQUEST)

    def release(self) -> None:
        """A-RELEASE request (7.2)."""
        self.happen(ProtocolEvent.A_RELEASE_REQUEST)

    def release_response(self) -> None:
        """A-RELEASE response (7.2)."""
        self.happen(ProtocolEvent.A_RELEASE_RESPONSE)

    def abort(self, source: int = SERVICE_USER, reason: int = 0) -> None:
        """A-ABORT request (7.3). The reason is sent only with source 2 (9.3.8)."""
        self.happen(ProtocolEvent.A_ABORT_REQUEST, Abort(source, reason))

    # What the owner of the connection reports, and what he has to do.

    def end_of_stream(self) -> list[Event]:
        """Event 17: the transport connection is closed or lost."""
        if not self.expects(ProtocolEvent.TRANSPORT_CONNECTION_CLOSED):
            return []
        why = "the peer closed the connection" + (" in the middle of a PDU" if self.in_pdu else "")
        self._forget()
        return _as_list(self.happen(ProtocolEvent.TRANSPORT_CONNECTION_CLOSED, why))

    def artim_expired(self) -> list[Event]:
        """Event 18; nothing when the timer should not have been running."""
        if not (self.artim and self.expects(ProtocolEvent.ARTIM_EXPIRED)):
            return []
        waited = "for a request" if self.state == 2 else "for the peer to close the connection"
        self._forget()
        return _as_list(
            self.happen(ProtocolEvent.ARTIM_EXPIRED, f"the ARTIM timer ended the wait {waited}")
        )

    def outgoing(self) -> list[bytes]:
        """The control PDUs to be written now, in order; each is given once."""
        taken, self._outgoing = self._outgoing, []
        return taken

    def receive(self, data: memoryview) -> Iterator[Event]:
        """The events that `data` completes, in order.

        Take them all before the next call: bytes are consumed as events are taken. Primitives may
        be called between two events. Never raises PeerError: a fault of the peer is an
        `AbortIndication` with `ours`, and the A-ABORT PDU is in `outgoing()`.
        """
        position, end = 0, len(data)
        while position < end:
            if self._value_left:
                take = end - position
                if take > self._value_left:
                    take = self._value_left
                self._value_left -= take
                self._pdu_left -= take
                start, position = position, position + take
                if self.state in DATA_STATES:
                    yield DataFragment(
                        self._context,
                        self._command,
                        self._last and not self._value_left,
                        data[start:position],
                    )
                continue
            if (
                end - position >= 12
                and data[position] == P_DATA_TF
                and self.state in DATA_STATES
                and not (self._held or self._pdu_left or self._control)
            ):
                # The hot path: one whole PDU with one PDV, as nearly every sender makes them.
                _, length, value_length, context, control = P_DATA_HEADER.unpack_from(
                    data, position
                )
                following = position + 6 + length
                if (
                    value_length + 4 == length <= self._longest_pdu
                    and length >= 6
                    and following <= end
                ):
                    start, position = position + 12, following
                    if length > 6 or control & 2:
                        yield DataFragment(
                            context, control & 1 == 1, control & 2 == 2, data[start:position]
                        )
                    continue
            if self._skip:
                take = min(self._skip, end - position)
                self._skip -= take
                position += take
                continue
            if self._deaf or self.state in (1, 4):
                return
            take = min(self._need - len(self._held), end - position)
            self._held += data[position : position + take]
            position += take
            if len(self._held) == self._need:
                event = self._unit()
                if event is not None:
                    yield event

    @property
    def in_pdu(self) -> bool:
        """Whether a PDU has begun to arrive and is not complete."""
        return bool(self._held or self._control or self._pdu_left or self._skip)

    def _announce(self, maximum_length: int) -> None:
        # PS3.8 D.1: 0 is no limit; the length is that of the PDU's variable field.
        if maximum_length and not self._limits.tolerate_longer_pdus:
            self._longest_pdu = maximum_length
        else:
            self._longest_pdu = _UNLIMITED

    def _forget(self) -> None:
        self._held = bytearray()
        self._need = PDU_HEADER.size
        self._control = self._pdu_left = self._value_left = self._skip = 0
        self._limits.long_associates.discard(self)

    def _unit(self) -> Event | None:
        """What was gathered is complete: a PDV header, a control PDU's body, or a PDU header."""
        held, self._held = self._held, bytearray()
        self._need = PDU_HEADER.size
        try:
            if self._pdu_left:
                return self._pdv_header(held)
            if self._control:
                control, self._control = self._control, 0
                self._limits.long_associates.discard(self)
                return self._control_body(control, held)
            return self._pdu_header(held)
        except PeerError as error:
            return self._fault(error)

    def _fault(self, error: PeerError) -> Event | None:
        self._forget()
        self._deaf = True
        return self.happen(ProtocolEvent.INVALID_PDU, error)

    def _pdu_header(self, header: bytearray) -> Event | None:
        kind, length = PDU_HEADER.unpack(header)
        event = _PDU_EVENTS.get(kind)
        if event is None:
            raise unrecognized_pdu(header)
        action = TRANSITIONS[event, self.state].action
        if action in _UNEXPECTED:
            self._skip = length
            self._deaf = action == "AA-7"
            return self.happen(
                event,
                invalid(
                    f"{PDU_NAMES[kind]} PDU is not expected in Sta{self.state}",
                    clause="PS3.8 Table 9-10",
                    value=kind,
                    reason=UNEXPECTED_PDU,
                ),
            )
        if kind == P_DATA_TF:
            if length > self._longest_pdu:
                raise invalid(
                    "the P-DATA-TF PDU is longer than the maximum length that was announced",
                    clause="PS3.8 D.1.1",
                    value=length,
                    limit=self._longest_pdu,
                )
            if 0 < length < PDV_HEADER.size:
                raise invalid(
                    "the P-DATA-TF PDU is too short for a PDV",
                    clause="PS3.8 9.3.5",
                    value=length,
                    limit=PDV_HEADER.size,
                )
            self._pdu_left = length
            self._need = PDV_HEADER.size
            return self.happen(event)
        self._check_control_length(kind, length)
        self._control = kind
        self._need = length
        return None

    def _check_control_length(self, kind: int, length: int) -> None:
        if kind in (pdu.A_ASSOCIATE_RQ, pdu.A_ASSOCIATE_AC):
            least, most = _SHORTEST_ASSOCIATE, self._limits.maximum_associate_length
        else:
            least = most = 4
        if not least <= length <= most:
            raise invalid(
                f"{PDU_NAMES[kind]} PDU has a length that is not allowed",
                clause="PS3.8 9.3",
                value=length,
                limit=least if length < least else most,
            )
        if length > ORDINARY_ASSOCIATE:
            holding = self._limits.long_associates
            if len(holding) >= self._limits.maximum_long_associates:
                raise invalid(
                    f"more long {PDU_NAMES[kind]} PDUs are coming in than are held at once",
                    clause="PS3.8 9.3",
                    value=length,
                    limit=ORDINARY_ASSOCIATE,
                    reason=REASON_NOT_SPECIFIED,
                )
            holding.add(self)

    def _pdv_header(self, header: bytearray) -> Event | None:
        # 9.3.5.1: the item length counts the context identifier and the message control header.
        length, context, control = PDV_HEADER.unpack(header)
        if length < 2:
            raise invalid(
                "a PDV is too short for its own header",
                clause="PS3.8 9.3.5.1",
                value=length,
                limit=2,
            )
        if length + 4 > self._pdu_left:
            raise invalid(
                "a PDV reaches beyond the end of its P-DATA-TF PDU",
                clause="PS3.8 9.3.5.1",
                value=length,
                limit=self._pdu_left - 4,
            )
        self._pdu_left -= 6
        self._value_left = length - 2
        self._context = context
        self._command = control & 1 == 1
        self._last = control & 2 == 2
        rest = self._pdu_left - self._value_left
        if 0 < rest < PDV_HEADER.size:
            raise invalid(
                "a P-DATA-TF PDU ends in the middle of a PDV header",
                clause="PS3.8 9.3.5",
                value=rest,
                limit=PDV_HEADER.size,
            )
        if not self._value_left and self._last and self.state in DATA_STATES:
            return DataFragment(context, self._command, True, memoryview(b""))
        return None

    def _control_body(self, kind: int, body: bytearray) -> Event | None:
        subject: Subject = None
        if kind == pdu.A_ASSOCIATE_RQ:
            subject = AssociateRequest.decode(body, self._limits)
        elif kind == pdu.A_ASSOCIATE_AC:
            subject = AssociateAccept.decode(body, self._limits)
        elif kind == pdu.A_ASSOCIATE_RJ:
            subject = AssociateReject.decode(body)
        elif kind == pdu.A_ABORT:
            subject = Abort.decode(body)
        elif kind == pdu.A_RELEASE_RQ:
            ReleaseRequest.decode(body)
        else:
            ReleaseResponse.decode(body)
        return self.happen(_PDU_EVENTS[kind], subject)


def _as_list(event: Event | None) -> list[Event]:
    return [] if event is None else [event]
