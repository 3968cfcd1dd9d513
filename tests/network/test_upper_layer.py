"""The upper layer by what goes in and out: establishment, release, aborts, and what is not DICOM.

Each piece of input is given whole and byte by byte.
"""

from __future__ import annotations

import pytest

from agent.errors import LocalError
from agent.network.events import (
    AbortIndication,
    AssociateConfirmation,
    AssociateIndication,
    ProviderRejection,
    RejectIndication,
    ReleaseCollision,
    ReleaseConfirmation,
    ReleaseIndication,
    TransportClosed,
)
from agent.network.pdu import AssociateReject, AssociateRequest
from agent.network.rejection import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
)
from agent.network.upper_layer import UpperLayer, UpperLayerLimits
from tests.network.pdus import (
    ACCEPT,
    REQUEST,
    acceptor_in,
    feed,
    item,
    pdv,
    raw_associate,
    raw_pdu,
    requestor_in,
)

RELEASE_RQ = bytes.fromhex("05000000000400000000")
RELEASE_RP = bytes.fromhex("06000000000400000000")
ABORT_USER = bytes.fromhex("07000000000400000000")
P_DATA = raw_pdu(4, pdv(1, 3, b"data"))

sizes = pytest.mark.parametrize("size", [0, 1], ids=["whole", "byte by byte"])


@sizes
def test_an_association_from_request_to_release(size: int) -> None:
    requestor, acceptor = UpperLayer(requestor=True), UpperLayer(requestor=False)
    assert (requestor.state, acceptor.state) == (1, 2)
    assert acceptor.artim
    requestor.associate(REQUEST)
    assert requestor.state == 5
    assert not requestor.artim
    assert feed(acceptor, b"".join(requestor.outgoing()), size) == [AssociateIndication(REQUEST)]
    assert acceptor.state == 3
    assert not acceptor.artim
    acceptor.accept(ACCEPT)
    assert feed(requestor, b"".join(acceptor.outgoing()), size) == [AssociateConfirmation(ACCEPT)]
    assert (requestor.state, acceptor.state) == (6, 6)
    requestor.release()
    assert feed(acceptor, b"".join(requestor.outgoing()), size) == [ReleaseIndication()]
    acceptor.release_response()
    assert acceptor.artim
    assert not acceptor.closing
    assert feed(requestor, b"".join(acceptor.outgoing()), size) == [ReleaseConfirmation()]
    assert requestor.closing
    assert acceptor.end_of_stream() == [TransportClosed("the peer closed the connection")]
    assert acceptor.closing
    assert not acceptor.artim
    assert (requestor.state, acceptor.state) == (1, 1)


def test_without_a_connection_yet_the_states_before_it_are_passed_one_by_one() -> None:
    requestor = UpperLayer(requestor=True, connected=False)
    requestor.associate(REQUEST)
    assert requestor.state == 4
    assert requestor.outgoing() == []
    requestor.transport_connected()
    assert requestor.state == 5
    assert requestor.outgoing() == [REQUEST.encode()]
    acceptor = UpperLayer(requestor=False, connected=False)
    assert (acceptor.state, acceptor.artim) == (1, False)
    acceptor.transport_connected()
    assert (acceptor.state, acceptor.artim) == (2, True)


def test_giving_up_while_connecting_closes_the_connection() -> None:
    requestor = UpperLayer(requestor=True, connected=False)
    requestor.associate(REQUEST)
    requestor.abort()
    assert (requestor.state, requestor.closing, requestor.outgoing()) == (1, True, [])


@sizes
def test_ic_02_a_rejection_reaches_the_requestor_who_closes(size: int) -> None:
    requestor, acceptor = requestor_in(5), acceptor_in(3)
    acceptor.reject(CALLED_AE_TITLE_NOT_RECOGNIZED)
    assert acceptor.artim
    sent = b"".join(acceptor.outgoing())
    assert feed(requestor, sent, size) == [RejectIndication(AssociateReject(1, 1, 7))]
    assert (requestor.state, requestor.closing) == (1, True)
    assert acceptor.artim_expired()
    assert (acceptor.state, acceptor.closing) == (1, True)


@sizes
@pytest.mark.parametrize(
    ("version", "accepted"), [(1, True), (3, True), (0x8001, True), (2, False), (0, False)]
)
def test_only_bit_0_of_the_protocol_version_is_tested(
    version: int, accepted: bool, size: int
) -> None:
    acceptor = acceptor_in(2)
    (event,) = feed(acceptor, raw_associate(1, item(0x10, b"1.2"), version=version), size)
    if accepted:
        assert isinstance(event, AssociateIndication)
        assert event.request.protocol_version == version
        return
    assert isinstance(event, ProviderRejection)
    assert event.reject == PROTOCOL_VERSION_NOT_SUPPORTED
    assert acceptor.outgoing() == [bytes.fromhex("03000000000400010202")]
    assert (acceptor.state, acceptor.artim) == (13, True)


@sizes
def test_a_release_collision_ends_well_on_both_sides(size: int) -> None:
    requestor, acceptor = requestor_in(7), acceptor_in(7)
    assert feed(requestor, RELEASE_RQ, size) == [ReleaseCollision(requestor=True)]
    assert feed(acceptor, RELEASE_RQ, size) == [ReleaseCollision(requestor=False)]
    assert (requestor.state, acceptor.state) == (9, 10)
    with pytest.raises(LocalError):
        acceptor.release_response()
    requestor.release_response()
    assert requestor.state == 11
    assert feed(acceptor, b"".join(requestor.outgoing()), size) == [ReleaseConfirmation()]
    assert acceptor.state == 12
    acceptor.release_response()
    assert (acceptor.state, acceptor.artim) == (13, True)
    assert feed(requestor, b"".join(acceptor.outgoing()), size) == [ReleaseConfirmation()]
    assert (requestor.state, requestor.closing) == (1, True)


@sizes
def test_data_that_was_under_way_is_taken_after_our_release_request(size: int) -> None:
    layer = requestor_in(7)
    events = feed(layer, P_DATA + RELEASE_RP, size)
    assert [type(event).__name__ for event in events] == ["DataFragment", "ReleaseConfirmation"]


def test_data_may_be_sent_until_the_release_is_answered() -> None:
    layer = acceptor_in(8)
    layer.data_request()
    layer.release_response()
    with pytest.raises(LocalError):
        layer.data_request()


@sizes
@pytest.mark.parametrize(("source", "reason"), [(0, 0), (2, 0), (2, 6), (1, 9)])
def test_an_abort_of_the_peer_is_indicated_and_closes(source: int, reason: int, size: int) -> None:
    layer = acceptor_in(6)
    (event,) = feed(layer, raw_pdu(7, bytes((0, 0, source, reason))), size)
    assert isinstance(event, AbortIndication)
    assert (event.source, event.reason, event.ours, event.error) == (source, reason, False, None)
    assert (layer.state, layer.closing, layer.outgoing()) == (1, True, [])


def test_our_abort_starts_artim_and_waits_for_the_peer_to_close() -> None:
    layer = acceptor_in(6)
    layer.abort()
    assert layer.outgoing() == [ABORT_USER]
    assert (layer.state, layer.artim, layer.closing) == (13, True, False)
    (event,) = layer.artim_expired()
    assert isinstance(event, TransportClosed)
    assert layer.closing


def test_an_abort_for_the_provider_carries_its_reason() -> None:
    layer = acceptor_in(3)
    layer.abort(2, 6)
    assert layer.outgoing() == [bytes.fromhex("07000000000400000206")]


@sizes
def test_what_comes_after_our_abort_is_ignored(size: int) -> None:
    layer = acceptor_in(13)
    for data in (
        P_DATA,
        RELEASE_RQ,
        RELEASE_RP,
        ACCEPT.encode(),
        bytes.fromhex("03000000000400010101"),
    ):
        assert feed(layer, data, size) == []
    assert layer.outgoing() == []
    (event,) = feed(layer, ABORT_USER, size)
    assert isinstance(event, TransportClosed)
    assert (layer.state, layer.closing) == (1, True)


@sizes
def test_a_request_after_our_abort_is_answered_once(size: int) -> None:
    layer = acceptor_in(13)
    assert feed(layer, REQUEST.encode() * 3, size) == []
    assert len(layer.outgoing()) == 1
    assert layer.state == 13


@sizes
def test_a_loss_of_the_connection_is_an_abort_by_nobody(size: int) -> None:
    layer = acceptor_in(6)
    assert feed(layer, P_DATA[:9], size) == []
    (event,) = layer.end_of_stream()
    assert isinstance(event, AbortIndication)
    assert (event.source, event.ours) == (2, False)
    assert "in the middle of a PDU" in event.why
    assert layer.closing
    assert layer.end_of_stream() == []


def test_who_connects_and_leaves_costs_nothing() -> None:
    layer = acceptor_in(2)
    (event,) = layer.end_of_stream()
    assert isinstance(event, TransportClosed)
    assert (layer.state, layer.artim, layer.closing, layer.outgoing()) == (1, False, True, [])


def test_artim_ends_the_wait_for_a_request() -> None:
    layer = acceptor_in(2)
    (event,) = layer.artim_expired()
    assert isinstance(event, TransportClosed)
    assert "for a request" in event.why
    assert (layer.state, layer.artim, layer.closing) == (1, False, True)


def test_a_timer_that_comes_late_changes_nothing() -> None:
    layer = acceptor_in(6)
    assert layer.artim_expired() == []
    assert layer.state == 6


UNEXPECTED = {
    (2, "A-ASSOCIATE-AC"): ACCEPT.encode(),
    (2, "A-ASSOCIATE-RJ"): bytes.fromhex("03000000000400010101"),
    (2, "P-DATA-TF"): P_DATA,
    (2, "A-RELEASE-RQ"): RELEASE_RQ,
    (3, "P-DATA-TF"): P_DATA,
    (3, "A-ASSOCIATE-RQ"): REQUEST.encode(),
    (6, "A-ASSOCIATE-RQ"): REQUEST.encode(),
    (6, "A-RELEASE-RP"): RELEASE_RP,
    (8, "P-DATA-TF"): P_DATA,
    (8, "A-RELEASE-RQ"): RELEASE_RQ,
}


@sizes
@pytest.mark.parametrize(("state", "name"), UNEXPECTED)
def test_an_unexpected_pdu_is_answered_with_reason_2(state: int, name: str, size: int) -> None:
    layer = acceptor_in(state)
    (event,) = feed(layer, UNEXPECTED[state, name], size)
    assert isinstance(event, AbortIndication)
    assert (event.source, event.reason, event.ours) == (2, 2, True)
    assert name in event.why
    assert layer.outgoing() == [bytes.fromhex("07000000000400000202")]
    assert (layer.state, layer.artim) == (13, True)


@sizes
@pytest.mark.parametrize("state", [2, 3, 6, 7, 8])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes.fromhex("080000000004"), 1),
        (bytes.fromhex("000000000000"), 1),
        (bytes.fromhex("0700000000030000000000"), 6),
        (bytes.fromhex("07000000ffff"), 6),
    ],
)
def test_an_unrecognized_or_invalid_pdu_is_answered_with_its_reason(
    state: int, data: bytes, reason: int, size: int
) -> None:
    layer = acceptor_in(state)
    (event,) = feed(layer, data + bytes(100), size)
    assert isinstance(event, AbortIndication)
    assert (event.source, event.reason, event.ours) == (2, reason, True)
    assert event.error is not None and event.error.clause
    assert [pdu[8:] for pdu in layer.outgoing()] == [bytes((2, reason))]
    assert layer.state == 13


@sizes
@pytest.mark.parametrize(
    ("data", "name"),
    [
        (bytes.fromhex("16030102000100"), "TLS hello"),
        (bytes.fromhex("15030100020228"), "TLS alert"),
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP request"),
        (b"POST /dicom-web", "HTTP request"),
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH banner"),
        (b"PROXY TCP4 1.2.3.4", "PROXY protocol"),
    ],
)
@pytest.mark.parametrize("requestor", [True, False], ids=["requestor", "acceptor"])
def test_what_is_not_dicom_is_named_with_a_way_out(
    data: bytes, name: str, requestor: bool, size: int
) -> None:
    layer = requestor_in(5) if requestor else acceptor_in(2)
    (event,) = feed(layer, data, size)
    assert isinstance(event, AbortIndication)
    assert event.error is not None
    assert name in event.why
    assert event.error.way_out
    assert (event.source, event.reason) == (2, 1)


@pytest.mark.parametrize(
    ("state", "call"),
    [
        (2, lambda layer: layer.accept(ACCEPT)),
        (2, lambda layer: layer.abort()),
        (2, lambda layer: layer.release()),
        (3, lambda layer: layer.release()),
        (3, lambda layer: layer.data_request()),
        (6, lambda layer: layer.accept(ACCEPT)),
        (6, lambda layer: layer.release_response()),
        (6, lambda layer: layer.reject(CALLED_AE_TITLE_NOT_RECOGNIZED)),
        (6, lambda layer: layer.associate(REQUEST)),
        (7, lambda layer: layer.release()),
        (13, lambda layer: layer.abort()),
    ],
)
def test_a_primitive_in_the_wrong_state_is_our_fault_and_changes_nothing(
    state: int,
    call: object,
) -> None:
    layer = acceptor_in(state)
    with pytest.raises(LocalError):
        call(layer)  # type: ignore[operator]
    assert (layer.state, layer.outgoing()) == (state, [])


def test_a_request_that_cannot_be_encoded_changes_nothing() -> None:
    layer = UpperLayer(requestor=True)
    with pytest.raises(LocalError):
        layer.associate(AssociateRequest("", "", "", (), REQUEST.user_information))
    assert (layer.state, layer.outgoing()) == (1, [])


@sizes
def test_a_request_longer_than_the_limit_is_refused_at_its_header(size: int) -> None:
    layer = UpperLayer(requestor=False, limits=UpperLayerLimits(maximum_associate_length=100))
    (event,) = feed(layer, raw_pdu(1, b"", claimed=101), size)
    assert isinstance(event, AbortIndication)
    assert event.error is not None
    assert (event.reason, event.error.value, event.error.limit) == (6, 101, 100)


@sizes
def test_primitives_may_be_called_between_two_events_of_one_read(size: int) -> None:
    del size
    layer = acceptor_in(2)
    seen = []
    for event in layer.receive(memoryview(REQUEST.encode() + P_DATA + RELEASE_RQ)):
        seen.append(type(event).__name__)
        if isinstance(event, AssociateIndication):
            layer.accept(ACCEPT)
    assert seen == ["AssociateIndication", "DataFragment", "ReleaseIndication"]


def test_a_restart_of_artim_is_told_from_a_timer_that_runs_on() -> None:
    layer = acceptor_in(2)
    starts = layer.artim_starts
    feed(layer, RELEASE_RQ)
    assert layer.artim
    assert layer.artim_starts == starts + 1
