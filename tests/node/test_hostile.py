"""Hostile peers against a running node: nothing escapes, nothing grows, and others are served."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from tests.node.hostile import BEFORE, CT, IMPLICIT, VERIFICATION, WITHIN
from tests.node.running import NodeProcess
from tests.peers.memory import MIB, describe_tree, tree_memory
from tests.peers.programs import program, run
from tests.peers.raw_pdu import associate_request, proposed_context
from tests.peers.raw_peer import PeerClosed, RawPeer

_CONTEXTS = (proposed_context(1, VERIFICATION, IMPLICIT), proposed_context(3, CT, IMPLICIT))
_REQUEST = associate_request(*_CONTEXTS)
_FILE = Path(str(get_testdata_file("CT_small.dcm")))

# What only a defect of ours, or an exception that escaped, would log.
_DEFECTS = (
    "Traceback",
    "provider failed",
    "question failed",
    "failed error=",
    "never awaited",
    "object not stored",
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    timers = "[entity.timers]\nassociation = 2\nprogress = 2\nidle = 3\ndimse = 5\n"
    with NodeProcess(tmp_path_factory.mktemp("hostile") / "node", timers) as made:
        yield made
        assert made.process is not None
        assert made.process.poll() is None
        assert made.stop() == 0
        for word in _DEFECTS:
            assert word not in made.log, [each for each in made.log.splitlines() if word in each][
                :5
            ]


def memory_of(node: NodeProcess) -> int:
    assert node.process is not None
    return tree_memory(node.process.pid)


def give(node: NodeProcess, content: bytes, *, within: bool, seconds: float = 0.1) -> bytes:
    """Send it, hear what comes back for a moment, and leave."""
    with contextlib.suppress(OSError), contextlib.closing(RawPeer.connect(node.port)) as peer:
        if within:
            peer.associate(*_CONTEXTS, called="GANTRY")
        with contextlib.suppress(OSError, TimeoutError):
            peer.send(content)
        peer.socket.settimeout(seconds)
        heard = b""
        with contextlib.suppress(OSError, TimeoutError):
            while piece := peer.socket.recv(65536):
                heard += piece
        return heard
    return b""


def is_well(node: NodeProcess) -> None:
    with contextlib.closing(RawPeer.connect(node.port)) as peer:
        peer.associate(*_CONTEXTS, called="GANTRY")
        assert peer.echo() == 0
        peer.release()


@pytest.mark.parametrize("name", BEFORE)
def test_what_comes_instead_of_a_request_harms_nobody(node: NodeProcess, name: str) -> None:
    give(node, BEFORE[name], within=False)
    is_well(node)


@pytest.mark.parametrize("name", WITHIN)
def test_what_comes_on_an_association_harms_nobody(node: NodeProcess, name: str) -> None:
    give(node, WITHIN[name], within=True)
    is_well(node)


def test_others_are_served_meanwhile_and_memory_stays(
    node: NodeProcess, count: Callable[[int, int], int]
) -> None:
    is_well(node)
    before = memory_of(node)
    done = threading.Event()
    chosen = random.Random(7)
    everything = [(each, False) for each in BEFORE.values()]
    everything += [(each, True) for each in WITHIN.values()]

    def attack() -> None:
        while not done.is_set():
            content, within = chosen.choice(everything)
            give(node, content, within=within, seconds=0.02)

    attackers = [threading.Thread(target=attack) for _ in range(4)]
    for each in attackers:
        each.start()
    try:
        for _ in range(count(10, 500)):
            sender = [program("dcmtk", "storescu"), "-aec", "GANTRY", "-to", "20"]
            run([*sender, "127.0.0.1", str(node.port), _FILE]).check()
    finally:
        done.set()
        for each in attackers:
            each.join()
    grown = memory_of(node) - before
    assert grown <= 24 * MIB, describe_tree(node.process.pid if node.process else 0)


pieces = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(sorted(BEFORE.values())).map(lambda each: each[:4000]),
    st.sampled_from(sorted(WITHIN.values())).map(lambda each: each[:4000]),
    st.just(_REQUEST),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A valid beginning, pieces of anything behind it, and a few bytes turned."""
    content = bytearray(_REQUEST if draw(st.booleans()) else b"")
    for piece in draw(st.lists(pieces, max_size=4)):
        content += piece
    for _ in range(draw(st.integers(0, 6))):
        if content:
            content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content)


def _hold(node: NodeProcess, content: bytes) -> None:
    give(node, content, within=False, seconds=0.01)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(streams())
def test_any_stream_of_bytes_harms_nobody(node: NodeProcess, content: bytes) -> None:
    _hold(node, content)


LINES = {
    "nothing": b"\n",
    "no json": b"{do: status}\n",
    "no object": b"[1]\n",
    "nested without end": b"[" * 65_000 + b"\n",
    "no such question": b'{"do": "shutdown"}\n',
    "a question that is a list": b'{"do": ["status"]}\n',
    "a number that nothing holds": b'{"do": "queue", "after": 1' + b"0" * 40 + b"}\n",
    "a number of too many digits": b'{"do": "queue", "after": ' + b"9" * 9000 + b"}\n",
    "infinity": b'{"do": "studies", "limit": 1e999}\n',
    "a state that is a number": b'{"do": "queue", "state": 5}\n',
    "keys that are a list": b'{"do": "worklist", "keys": ["a"]}\n',
    "changes that are a text": b'{"do": "re-identify", "changes": "x"}\n',
    "half a character": b'{"do": "instances", "study_instance_uid": "\\ud800"}\n',
    "more than a line may be": b'{"do": "status", "x": "' + b"a" * 70_000 + b'"}\n',
}


@pytest.mark.parametrize("name", LINES)
def test_what_cannot_be_asked_is_told_on_the_control_socket(node: NodeProcess, name: str) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(10)
        end.connect(str(node.control))
        with contextlib.suppress(BrokenPipeError):
            end.sendall(LINES[name])
        end.shutdown(socket.SHUT_WR)
        said = json.loads(end.makefile("rb").readline())
    assert said["ok"] is False and "failed to answer" not in said["error"]
    assert node.ask("status")["version"]


def test_after_all_of_it_the_node_is_well_and_small(node: NodeProcess) -> None:
    is_well(node)
    end = time.monotonic() + 60
    while node.ask("status")["associations"] and time.monotonic() < end:
        time.sleep(0.2)
    assert node.ask("status")["associations"] == []
    assert memory_of(node) < 72 * MIB


@pytest.mark.fuzz
def test_a_search_for_streams_that_harm(node: NodeProcess, fuzz_minutes: int) -> None:
    end = time.monotonic() + fuzz_minutes * 60

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(streams())
    def search(content: bytes) -> None:
        _hold(node, content)

    while time.monotonic() < end:
        search()
        is_well(node)


def test_a_peer_that_never_reads_and_one_that_drips_are_let_go_and_hold_up_nobody(
    node: NodeProcess,
) -> None:
    silent = RawPeer.connect(node.port)
    deaf = RawPeer.connect(node.port)
    deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.associate(*_CONTEXTS, called="GANTRY")
    with contextlib.suppress(OSError, TimeoutError):
        deaf.socket.settimeout(1)
        for _ in range(2000):
            deaf.send(WITHIN["values of one byte"])
    is_well(node)
    dripping = RawPeer.connect(node.port)
    begun = time.monotonic()
    with contextlib.suppress(OSError, PeerClosed):
        dripping.drip(_REQUEST, size=1, pause=0.05)
        dripping.socket.settimeout(5)
        dripping.receive_pdu()
    assert time.monotonic() - begun < 10
    for peer in (silent, deaf, dripping):
        peer.socket.settimeout(12)
        with contextlib.suppress(OSError):
            while peer.socket.recv(65536):
                pass
        peer.close()
    is_well(node)
