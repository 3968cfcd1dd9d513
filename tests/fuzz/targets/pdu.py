"""PDUs of a peer, in every state that a connection can be in, and what they negotiate (PS3.8 9)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.network.events import AssociateIndication, DataFragment
from agent.network.negotiation import AcceptorOffer, SyntaxOffer, answer
from agent.network.pdu import AssociateAccept
from agent.network.upper_layer import UpperLayer
from tests.fuzz.structure import change_pdus
from tests.fuzz.target import Target
from tests.network.pdus import CT_IMAGE_STORAGE, EXPLICIT, IMPLICIT, VERIFICATION
from tests.network.pdus import acceptor_in as acceptor
from tests.network.pdus import requestor_in as requestor
from tests.network.test_pdu_hostile import CORPUS
from tests.node.hostile import BEFORE, WITHIN
from tests.peers.raw_pdu import associate_accept, associate_reject

_STATES = (
    *((acceptor, state) for state in (2, 3, 6, 7, 8, 13)),
    *((requestor, state) for state in (5, 6, 7)),
)
_PIECES = (1, 7, 64, 1 << 16)
_OFFER = AcceptorOffer(
    {
        VERIFICATION: SyntaxOffer((IMPLICIT, EXPLICIT)),
        CT_IMAGE_STORAGE: SyntaxOffer((EXPLICIT, IMPLICIT), extended=lambda asked: asked[:6]),
    },
    "1.2.3.4",
)


def run(data: bytes) -> None:
    """The first byte chooses the state, the second how the rest is cut."""
    if len(data) < 2:
        return
    make, state = _STATES[data[0] % len(_STATES)]
    layer = make(state)
    size = _PIECES[data[1] % len(_PIECES)]
    for start in range(2, len(data), size):
        _take(layer, memoryview(data)[start : start + size])
    layer.end_of_stream()
    layer.outgoing()


def _take(layer: UpperLayer, piece: memoryview) -> None:
    for event in layer.receive(piece):
        if isinstance(event, DataFragment):
            assert len(event.data) <= len(piece)
        elif isinstance(event, AssociateIndication) and layer.state == 3:
            said = answer(event.request, _OFFER)
            if isinstance(said, AssociateAccept):
                layer.accept(said)
            else:
                layer.reject(said)
    for each in layer.outgoing():
        assert len(each) < 1 << 20


def seeds() -> Iterator[bytes]:
    """What the other tests of hostile peers send."""
    for each in (*BEFORE.values(), *CORPUS.values()):
        yield b"\x00\x03" + each[: 1 << 14]
    for each in WITHIN.values():
        yield b"\x02\x03" + each[: 1 << 14]
    yield b"\x06\x01" + associate_accept()
    yield b"\x06\x00" + associate_reject(1, 1, 3)


TARGET = Target(run, seeds, mutate=change_pdus)
