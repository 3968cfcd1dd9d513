"""A thousand connections that say what they have to say byte by byte, or read what they asked for
byte by byte: others are served, memory stays, and all of them are let go."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from tests.node.hostile import CT, IMPLICIT, VERIFICATION
from tests.node.running import NodeProcess
from tests.peers.certificates import Certificates
from tests.peers.memory import MIB, describe_tree, tree_memory
from tests.peers.process import free_port, wait_until
from tests.peers.programs import program, run
from tests.peers.raw_pdu import (
    COMMAND,
    LAST,
    associate_request,
    c_echo_request,
    c_store_request,
    data,
    proposed_context,
    value,
)
from tests.peers.raw_peer import RawPeer

READERS, STORERS, WAITING = 30, 100, 435
ALL = READERS + STORERS + 2 * WAITING
_ATTACKERS = ("127.66.0.1", "127.66.0.3")
# 64 KiB for each, as for an idle association, and what workers and handshakes of OpenSSL take.
MOST_MEMORY = 88 * MIB
_TICK = 0.25
_CONTEXTS = (proposed_context(1, VERIFICATION, IMPLICIT), proposed_context(3, CT, IMPLICIT))
_REQUEST = associate_request(*_CONTEXTS)
_STORE = data(value(3, COMMAND | LAST, c_store_request(CT, "1.2.3"))) + data(
    value(3, 0, bytes(10_000))
)
_FILE = Path(str(get_testdata_file("CT_small.dcm")))


def client_hello() -> bytes:
    """What a client of TLS says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="gantry")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


class Dripping:
    """Connections that send, or read, a byte in each tick, until they are closed."""

    def __init__(self) -> None:
        self._sending: list[tuple[RawPeer, bytes]] = []
        self._reading: list[RawPeer] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Dripping:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for each in [*(peer for peer, _ in self._sending), *self._reading]:
            # A thousand ports in TIME_WAIT would be in the way of later tests.
            with contextlib.suppress(OSError):
                each.reset()

    def send(self, peer: RawPeer, content: bytes) -> None:
        peer.socket.setblocking(False)
        self._sending.append((peer, content))

    def read(self, peer: RawPeer) -> None:
        peer.socket.setblocking(False)
        self._reading.append(peer)

    def _run(self) -> None:
        at = 0
        while not self._over.wait(_TICK):
            for peer, content in list(self._sending):
                with contextlib.suppress(OSError):
                    peer.socket.send(content[at : at + 1] or b"\0")
            for peer in list(self._reading):
                with contextlib.suppress(OSError):
                    peer.socket.recv(1)
            at += 1


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[tuple[NodeProcess, int]]:
    secure = free_port()
    timers = "association = 10\nprogress = 6\nidle = 10\n"
    own = certificates.server
    more = (
        f"[entity.timers]\n{timers}[entity.socket]\nsend_buffer = 4096\n"
        f"[entity.limits]\nassociations = 0\n[limits]\nassociations = {ALL}\n"
        f'[[entity]]\nname = "SECURE"\nport = {secure}\naddresses = ["127.0.0.1"]\n'
        f"[entity.timers]\n{timers}"
        f'[entity.accept]\ncalling = "any"\n[entity.tls]\ncertificate = "{own.certificate}"\n'
        f'private_key = "{own.key}"\ntrust = ["{certificates.authority}"]\n'
        '[[entity.service]]\nname = "verification"\nroles = ["scp"]\n'
    )
    with NodeProcess(tmp_path_factory.mktemp("loris") / "node", more) as made:
        yield made, secure


def associated(port: int) -> RawPeer:
    peer = RawPeer.connect(port, source=_ATTACKERS[0])
    peer.associate(*_CONTEXTS, called="GANTRY", calling="LORIS")
    return peer


def is_served(node: NodeProcess) -> None:
    sender = [program("dcmtk", "storescu"), "-aec", "GANTRY", "-to", "10"]
    run([*sender, "127.0.0.1", str(node.port), _FILE]).check()


def is_refused(peer: RawPeer) -> bool:
    """Whether the connection was reset at once."""
    peer.socket.setblocking(False)
    try:
        return not peer.socket.recv(1)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def attackers(node: NodeProcess) -> int:
    found: list[dict[str, object]] = node.ask("status")["associations"]
    return sum(each["calling"] == "LORIS" for each in found)


def attack(dripping: Dripping, port: int, secure: int) -> None:
    hello = client_hello()
    for _ in range(READERS):
        peer = associated(port)
        # More answers than the buffers of both ends hold.
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        peer.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            peer.socket.send(data(value(1, COMMAND | LAST, c_echo_request())) * 400)
        dripping.read(peer)
    for _ in range(STORERS):
        peer = associated(port)
        peer.send(_STORE[:-9_000])
        dripping.send(peer, bytes(9_000))
    for _ in range(WAITING):
        dripping.send(RawPeer.connect(port, source=_ATTACKERS[0]), _REQUEST)
        dripping.send(RawPeer.connect(secure, source=_ATTACKERS[1]), hello)


@pytest.mark.peer
def test_a_thousand_slow_peers_hold_up_nobody_and_are_let_go(
    node: tuple[NodeProcess, int],
) -> None:
    running, secure = node
    assert running.process is not None
    is_served(running)
    before = tree_memory(running.process.pid)
    with Dripping() as dripping:
        attack(dripping, running.port, secure)
        pid = running.process.pid
        wait_until(lambda: descriptors(pid) >= 0.95 * ALL, "all of them are there")
        for _ in range(3):
            is_served(running)
        grown = tree_memory(running.process.pid) - before
        print(f"{ALL} slow connections: {grown / MIB:.1f} MiB")
        assert grown <= MOST_MEMORY, describe_tree(running.process.pid)
        end = time.monotonic() + 60
        while attackers(running) and time.monotonic() < end:
            time.sleep(0.2)
        assert attackers(running) == 0, running.ask("status")["associations"][:3]
        is_served(running)
    assert "Traceback" not in running.log


def test_one_host_takes_only_its_share_of_those_that_wait(node: tuple[NodeProcess, int]) -> None:
    running, _ = node
    with contextlib.ExitStack() as held:
        waiting = []
        for _ in range(560):
            with contextlib.suppress(ConnectionResetError):
                peer = held.enter_context(RawPeer.connect(running.port, source="127.66.0.2"))
                waiting.append(peer)
                peer.send(_REQUEST[:1])
        other = held.enter_context(RawPeer.connect(running.port))
        other.associate(*_CONTEXTS, called="GANTRY")
        assert other.echo() == 0
        other.release()
        assert len(waiting) - sum(map(is_refused, waiting)) == 512
