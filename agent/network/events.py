"""What the upper layer tells its user: the indications and confirmations of PS3.8 7.

Not frozen, for speed: `DataFragment` is made once for each piece of a PDV.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import PeerError
from agent.network.pdu import AssociateAccept, AssociateReject, AssociateRequest


@dataclass(slots=True)
class AssociateIndication:
    """The peer asks for an association; answer with `accept`, `reject` or `abort`."""

    request: AssociateRequest


@dataclass(slots=True)
class AssociateConfirmation:
    """The peer accepted our request, or what of it `accept` says."""

    accept: AssociateAccept


@dataclass(slots=True)
class RejectIndication:
    """The peer rejected our request; the transport connection shall be closed."""

    reject: AssociateReject


@dataclass(slots=True)
class ProviderRejection:
    """We rejected the peer's request below the service user (AE-6); for the log only."""

    request: AssociateRequest
    reject: AssociateReject


@dataclass(slots=True)
class DataFragment:
    """A piece of the value of one PDV.

    `last` is true only with the final piece of a PDV whose «last fragment» bit is set. `data` may
    be empty then; it is a view that is valid until the next call of `UpperLayer.receive`.
    """

    context: int
    command: bool
    last: bool
    data: memoryview


@dataclass(slots=True)
class ReleaseIndication:
    """The peer asks for release: answer with `release_response` when no data is left to be sent."""


@dataclass(slots=True)
class ReleaseConfirmation:
    """The peer agreed to our release.

    After a collision on the acceptor's side (Sta12) it is our turn: `release_response`.
    """


@dataclass(slots=True)
class ReleaseCollision:
    """Both sides asked for release at once (AR-8).

    The requestor of the association calls `release_response` now; its acceptor first waits for the
    `ReleaseConfirmation`.
    """

    requestor: bool


@dataclass(slots=True)
class AbortIndication:
    """The association is no more: A-ABORT (source 0) or A-P-ABORT (source 2).

    `ours` says that we found the fault and aborted; then `error` says what the peer did wrong. It
    is not `ours` when the peer aborted or the transport connection was lost.
    """

    source: int
    reason: int
    ours: bool
    why: str
    error: PeerError | None = None


@dataclass(slots=True)
class TransportClosed:
    """The transport connection ended, or shall be ended, while there was no association."""

    why: str = ""


Event = (
    AssociateIndication
    | AssociateConfirmation
    | RejectIndication
    | ProviderRejection
    | DataFragment
    | ReleaseIndication
    | ReleaseConfirmation
    | ReleaseCollision
    | AbortIndication
    | TransportClosed
)
