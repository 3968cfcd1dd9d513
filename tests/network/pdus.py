"""PDUs, strategies for them, and ways to feed bytes, for the tests of the upper layer."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from agent.network.events import DataFragment, Event
from agent.network.pdu import (
    DICOM_APPLICATION_CONTEXT_NAME,
    AssociateAccept,
    AssociateRequest,
)
from agent.network.presentation_context import (
    PresentationContextProposal,
    PresentationContextResult,
)
from agent.network.upper_layer import UpperLayer
from agent.network.user_identity import UserIdentity
from agent.network.user_information import (
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserInformation,
)

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"

INFORMATION = UserInformation(16384, "1.2.3.4", "GANTRY")
REQUEST = AssociateRequest(
    "CALLED",
    "CALLING",
    DICOM_APPLICATION_CONTEXT_NAME,
    (PresentationContextProposal(1, VERIFICATION, (IMPLICIT, EXPLICIT)),),
    INFORMATION,
)
ACCEPT = AssociateAccept(
    "CALLED",
    "CALLING",
    DICOM_APPLICATION_CONTEXT_NAME,
    (PresentationContextResult(1, 0, IMPLICIT),),
    INFORMATION,
)


def proposing(
    *contexts: tuple[int, str, tuple[str, ...]], information: UserInformation = INFORMATION
) -> AssociateRequest:
    """A request with these presentation contexts."""
    return AssociateRequest(
        "CALLED",
        "CALLING",
        DICOM_APPLICATION_CONTEXT_NAME,
        tuple(PresentationContextProposal(*context) for context in contexts),
        information,
    )


def item(kind: int, value: bytes) -> bytes:
    """An item by hand."""
    return bytes((kind, 0)) + len(value).to_bytes(2, "big") + value


def raw_pdu(kind: int, body: bytes, *, claimed: int | None = None) -> bytes:
    """A PDU by hand; `claimed` lies about its length."""
    length = len(body) if claimed is None else claimed
    return bytes((kind, 0)) + length.to_bytes(4, "big") + body


def raw_associate(kind: int, *parts: bytes, version: int = 1) -> bytes:
    """An A-ASSOCIATE-RQ or -AC by hand, from its items."""
    fixed = version.to_bytes(2, "big") + bytes(2) + b"CALLED".ljust(16) + b"CALLING".ljust(16)
    return raw_pdu(kind, fixed + bytes(32) + b"".join(parts))


def pdv(context: int, control: int, value: bytes) -> bytes:
    """A presentation-data-value item by hand."""
    return (len(value) + 2).to_bytes(4, "big") + bytes((context, control)) + value


def pieces(data: bytes, size: int) -> Iterable[bytes]:
    """`data` cut into pieces of `size` bytes; 0 leaves it whole."""
    size = size or max(len(data), 1)
    return (data[start : start + size] for start in range(0, len(data), size))


def feed(layer: UpperLayer, data: bytes, size: int = 0) -> list[Event]:
    """The events of `data`, given in pieces of `size` bytes, with the pieces of a PDV joined."""
    events: list[Event] = []
    for piece in pieces(data, size):
        for event in layer.receive(memoryview(piece)):
            if not isinstance(event, DataFragment):
                events.append(event)
                continue
            joinable = events[-1] if events else None
            copy = bytes(event.data)
            if (
                isinstance(joinable, DataFragment)
                and not joinable.last
                and (joinable.context, joinable.command) == (event.context, event.command)
            ):
                joinable.data = memoryview(bytes(joinable.data) + copy)
                joinable.last = event.last
            else:
                events.append(
                    DataFragment(event.context, event.command, event.last, memoryview(copy))
                )
    return events


def acceptor_in(state: int) -> UpperLayer:
    """An acceptor brought to Sta2, 3, 6, 7, 8 or 13 by what really happens on the way."""
    layer = UpperLayer(requestor=False)
    if state != 2:
        feed(layer, REQUEST.encode())
    if state not in (2, 3):
        layer.accept(ACCEPT)
    if state == 7:
        layer.release()
    elif state == 8:
        feed(layer, bytes.fromhex("05000000000400000000"))
    elif state == 13:
        layer.abort()
    layer.outgoing()
    assert layer.state == state
    return layer


def requestor_in(state: int) -> UpperLayer:
    """A requestor brought to Sta5, 6 or 7."""
    layer = UpperLayer(requestor=True)
    layer.associate(REQUEST)
    if state != 5:
        feed(layer, ACCEPT.encode())
    if state == 7:
        layer.release()
    layer.outgoing()
    assert layer.state == state
    return layer


uids = st.lists(st.integers(0, 99999), min_size=2, max_size=8).map(lambda n: ".".join(map(str, n)))
titles = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"),
    min_size=1,
    max_size=16,
)
identities = st.builds(
    UserIdentity,
    st.integers(1, 5),
    st.binary(max_size=40),
    st.binary(max_size=40),
    st.booleans(),
)
roles = st.builds(RoleSelection, uids, st.booleans(), st.booleans())
extended = st.builds(ExtendedNegotiation, uids, st.binary(max_size=20))
common_extended = st.builds(
    CommonExtendedNegotiation, uids, uids, st.lists(uids, max_size=3).map(tuple)
)
user_information = st.builds(
    UserInformation,
    st.integers(0, 0xFFFFFFFF),
    uids,
    titles,
    st.none() | st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    st.lists(roles, max_size=3).map(tuple),
    st.lists(extended, max_size=3).map(tuple),
    st.lists(common_extended, max_size=3).map(tuple),
    st.none() | identities,
    st.none() | st.binary(max_size=40),
    st.lists(st.tuples(st.integers(0x60, 0xFF), st.binary(max_size=9)), max_size=2).map(tuple),
)
identifiers = st.lists(st.integers(0, 127).map(lambda n: 2 * n + 1), max_size=8, unique=True)
syntaxes = st.lists(uids, max_size=5).map(tuple)
requests = st.builds(
    AssociateRequest,
    titles,
    titles,
    uids,
    identifiers.flatmap(
        lambda numbers: st.tuples(
            *(st.builds(PresentationContextProposal, st.just(n), uids, syntaxes) for n in numbers)
        )
    ),
    user_information,
    st.integers(0, 0xFFFF),
)
accepts = st.builds(
    AssociateAccept,
    titles,
    titles,
    uids,
    identifiers.flatmap(
        lambda numbers: st.tuples(
            *(
                st.builds(PresentationContextResult, st.just(n), st.integers(0, 4), uids)
                for n in numbers
            )
        )
    ),
    user_information,
    st.integers(0, 0xFFFF),
)
