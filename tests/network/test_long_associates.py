"""A-ASSOCIATE PDUs that are long, and slow to come, are held for a few peers at a time only."""

from __future__ import annotations

import gc

from agent.network.events import AbortIndication, AssociateIndication
from agent.network.limits import ORDINARY_ASSOCIATE, UpperLayerLimits
from agent.network.upper_layer import UpperLayer
from tests.network.pdus import feed, item, raw_associate

NAME = item(0x10, b"1.2.840.10008.3.1.1.1")
CONTEXT = item(0x20, bytes((1, 0, 0, 0)) + item(0x30, b"1.2") + item(0x40, b"1.2"))
USER = item(0x50, item(0x51, bytes(4)) + item(0x52, b"1.2"))
# Items that nobody knows are passed over (PS3.8 9.3.1).
LONG = raw_associate(1, NAME, CONTEXT, USER, item(0xF0, bytes(65000)), item(0xF0, bytes(2000)))
SHORT = raw_associate(1, NAME, CONTEXT, USER)


def acceptors(number: int, limits: UpperLayerLimits) -> list[UpperLayer]:
    return [UpperLayer(requestor=False, limits=limits) for _ in range(number)]


def test_only_so_many_long_requests_are_held_at_once_and_others_go_through() -> None:
    limits = UpperLayerLimits(maximum_long_associates=3)
    assert len(LONG) > ORDINARY_ASSOCIATE
    slow = acceptors(3, limits)
    for each in slow:
        assert feed(each, LONG[:-1]) == []
    (late,) = acceptors(1, limits)
    (event,) = feed(late, LONG)
    assert isinstance(event, AbortIndication) and event.ours
    assert late.outgoing() == [bytes.fromhex("07000000000400000200")]
    (ordinary,) = acceptors(1, limits)
    assert isinstance(feed(ordinary, SHORT)[0], AssociateIndication)
    # One that is whole makes room for the next.
    assert isinstance(feed(slow[0], LONG[-1:])[0], AssociateIndication)
    (next_one,) = acceptors(1, limits)
    assert isinstance(feed(next_one, LONG)[0], AssociateIndication)


def test_whoever_leaves_makes_room() -> None:
    limits = UpperLayerLimits(maximum_long_associates=2)
    gone, timed_out = acceptors(2, limits)
    for each in (gone, timed_out):
        feed(each, LONG[:-1])
    assert len(limits.long_associates) == 2
    gone.end_of_stream()
    timed_out.artim_expired()
    assert len(limits.long_associates) == 0
    (forgotten,) = acceptors(1, limits)
    feed(forgotten, LONG[:-1])
    del forgotten
    gc.collect()
    assert len(limits.long_associates) == 0
