"""P-DATA-TF: PDVs are streamed as views while bytes arrive; lengths are counters, never memory."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.network.events import AbortIndication, DataFragment, Event
from agent.network.upper_layer import UpperLayer, UpperLayerLimits
from tests.network.pdus import ACCEPT, REQUEST, acceptor_in, feed, pdv, raw_pdu

sizes = pytest.mark.parametrize(
    "size", [0, 1, 5, 7, 11, 13], ids=lambda size: f"by {size or 'all'}"
)


def fragments(events: list[Event]) -> list[tuple[int, bool, bool, bytes]]:
    found = []
    for event in events:
        assert isinstance(event, DataFragment)
        found.append((event.context, event.command, event.last, bytes(event.data)))
    return found


def only_abort(events: list[Event]) -> AbortIndication:
    event = events[-1]
    assert isinstance(event, AbortIndication)
    assert event.ours and event.error is not None
    assert (event.source, event.reason) == (2, 6)
    return event


def acceptor_with(maximum_length: int, **limits: bool) -> UpperLayer:
    layer = UpperLayer(requestor=False, limits=UpperLayerLimits(**limits))  # type: ignore[arg-type]
    feed(layer, REQUEST.encode())
    information = type(ACCEPT.user_information)(maximum_length, "1.2")
    layer.accept(
        type(ACCEPT)("A", "B", ACCEPT.application_context_name, (), information),
    )
    layer.outgoing()
    return layer


@sizes
def test_pdvs_of_several_pdus_and_several_pdvs_in_one(size: int) -> None:
    data = (
        raw_pdu(4, pdv(1, 1, b"command ") + pdv(1, 3, b"ends"))
        + raw_pdu(4, pdv(3, 0, b"data"))
        + raw_pdu(4, pdv(3, 2, b"x") + pdv(255, 3, b"next") + pdv(1, 2, b""))
    )
    assert fragments(feed(acceptor_in(6), data, size)) == [
        (1, True, True, b"command ends"),
        (3, False, True, b"datax"),
        (255, True, True, b"next"),
        (1, False, True, b""),
    ]


def test_a_whole_pdu_in_the_buffer_is_one_view_into_it() -> None:
    data = bytearray(raw_pdu(4, pdv(3, 2, b"payload")) * 2)
    layer = acceptor_in(6)
    events = list(layer.receive(memoryview(data)))
    assert len(events) == 2
    data[12:19] = b"PAYLOAD"
    assert fragments(events)[0] == (3, False, True, b"PAYLOAD")


def test_a_value_comes_as_it_arrives_and_last_only_with_its_end() -> None:
    layer = acceptor_in(6)
    data = raw_pdu(4, pdv(3, 2, bytes(100)))
    first = list(layer.receive(memoryview(data[:50])))
    second = list(layer.receive(memoryview(data[50:])))
    assert fragments(first) == [(3, False, False, bytes(38))]
    assert fragments(second) == [(3, False, True, bytes(62))]


@sizes
def test_pdvs_of_one_byte(size: int) -> None:
    text = b"one byte at a time"
    data = b"".join(raw_pdu(4, pdv(1, 0, bytes((byte,)))) for byte in text)
    assert fragments(feed(acceptor_in(6), data, size)) == [(1, False, False, text)]


@sizes
def test_odd_lengths_reserved_bits_and_empty_pdus_are_taken(size: int) -> None:
    data = raw_pdu(4, b"") + raw_pdu(4, pdv(1, 0xFE, b"odd")) + raw_pdu(4, pdv(1, 0, b""))
    assert fragments(feed(acceptor_in(6), data, size)) == [(1, False, True, b"odd")]


@settings(max_examples=100)
@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 255), st.integers(0, 3), st.binary(max_size=30)),
            min_size=1,
            max_size=4,
        ),
        max_size=6,
    ),
    st.integers(1, 40),
)
def test_any_cutting_of_the_stream_gives_the_same_data(
    pdus: list[list[tuple[int, int, bytes]]], size: int
) -> None:
    data = b"".join(raw_pdu(4, b"".join(pdv(*one) for one in pdu)) for pdu in pdus)
    assert feed(acceptor_in(6), data, size) == feed(acceptor_in(6), data)
    assert feed(acceptor_in(6), data, 1) == feed(acceptor_in(6), data)


@sizes
@pytest.mark.parametrize(
    "body",
    [
        bytes.fromhex("000000000103"),
        bytes.fromhex("000000010103"),
        bytes.fromhex("ffffffff0103"),
        bytes.fromhex("000000060103") + b"one",
        pdv(1, 0, b"whole") + bytes(5),
        bytes(5),
        b"\0",
    ],
)
def test_a_pdv_that_does_not_fit_its_pdu_aborts(body: bytes, size: int) -> None:
    layer = acceptor_in(6)
    event = only_abort(feed(layer, raw_pdu(4, body) + bytes(20), size))
    assert event.error is not None and event.error.clause.startswith("PS3.8 9.3.5")
    assert layer.outgoing() == [bytes.fromhex("07000000000400000206")]
    assert layer.state == 13
    assert feed(layer, b"\x04" * 1000, size) == []


@sizes
def test_a_pdu_longer_than_announced_aborts(size: int) -> None:
    value = bytes(994)
    layer = acceptor_with(1000)
    assert len(feed(layer, raw_pdu(4, pdv(1, 2, value)), size)) == 1
    event = only_abort(feed(layer, raw_pdu(4, pdv(1, 2, value + b"+")), size))
    assert event.error is not None
    assert (event.error.value, event.error.limit) == (1001, 1000)


@sizes
@pytest.mark.parametrize(("announced", "tolerant"), [(0, False), (1000, True)])
def test_a_long_pdu_is_taken_where_no_limit_was_announced_or_it_is_tolerated(
    announced: int, tolerant: bool, size: int
) -> None:
    layer = acceptor_with(announced, tolerate_longer_pdus=tolerant)
    assert len(feed(layer, raw_pdu(4, pdv(1, 2, bytes(5000))), size)) == 1


def test_a_pdu_of_4_gib_is_a_counter() -> None:
    layer = acceptor_with(0)
    piece = bytes(65536)
    header = bytes.fromhex("0400fffffffffffffffb0102")
    tracemalloc.start()
    feed(layer, header)
    taken = 0
    for _ in range(64):
        for event in layer.receive(memoryview(piece)):
            assert isinstance(event, DataFragment)
            assert not event.last
            taken += len(event.data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken == 64 * 65536
    assert peak < 16384


def test_after_our_abort_the_rest_of_a_pdu_is_dropped_and_the_peers_abort_is_seen() -> None:
    layer = acceptor_in(6)
    data = raw_pdu(4, pdv(3, 2, bytes(100)))
    assert len(list(layer.receive(memoryview(data[:50])))) == 1
    layer.abort()
    abort = bytes.fromhex("07000000000400000000")
    events = list(layer.receive(memoryview(data[50:] + abort)))
    assert [type(event).__name__ for event in events] == ["TransportClosed"]
    assert layer.closing


def test_a_control_pdu_whose_body_begins_like_data_is_not_taken_for_data() -> None:
    layer = acceptor_in(6)
    assert feed(layer, bytes.fromhex("050000000004")) == []
    body = bytes.fromhex("04000000")
    events = feed(
        layer, body + bytes.fromhex("0400 0000000a 00000006 0102".replace(" ", "")) + b"late"
    )
    assert [type(event).__name__ for event in events] == ["ReleaseIndication", "AbortIndication"]
