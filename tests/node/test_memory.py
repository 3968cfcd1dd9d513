"""The memory of a running node, all its processes together, and what peers can make of it.

Proportional set sizes (smaps_rollup), so what processes share counts once.
"""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from agent.dataset.transfer_syntaxes import JPEG_LOSSLESS_FIRST_ORDER
from tests.bench.objects import Load, make_objects
from tests.node.running import NodeProcess, peer_table
from tests.objects.test_transcoding import large
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.memory import MIB, describe_tree, processor_seconds, tree_memory
from tests.peers.process import free_port, process_tree
from tests.peers.programs import program, run
from tests.peers.raw_pdu import proposed_context
from tests.peers.raw_peer import RawPeer

IDLE = 30 * MIB
FOR_EACH_ASSOCIATION = 64 * 1024
IMPLICIT = "1.2.840.10008.1.2"
VERIFICATION = "1.2.840.10008.1.1"
RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    more = "[entity.limits]\nassociations = 0\n[limits]\nwaiting_connections = 2000\n"
    made = NodeProcess(tmp_path / "node", more)
    made.launch()
    try:
        until(lambda: "ready" in made.log, made)
        yield made
    finally:
        made.kill()


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    """Room for thousands of sockets in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20000)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def until(holds: Callable[[], bool], node: NodeProcess, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, node.log[-3000:]
        time.sleep(0.05)


def pid_of(node: NodeProcess) -> int:
    assert node.process is not None
    return node.process.pid


def memory_of(node: NodeProcess) -> int:
    return tree_memory(pid_of(node))


def settle(node: NodeProcess, limit: int, seconds: float) -> int:
    """The memory, once it is at most `limit`, or after so many seconds."""
    end = time.monotonic() + seconds
    while (used := memory_of(node)) > limit and time.monotonic() < end:
        time.sleep(0.5)
    return used


@dataclass
class Most:
    """The most memory that was seen, and whose it was."""

    used: int = 0
    who: str = ""


@contextlib.contextmanager
def watched(node: NodeProcess) -> Iterator[Most]:
    """Watch the node's memory while the block runs."""
    most, done = Most(), threading.Event()

    def watch() -> None:
        while not done.is_set():
            used = memory_of(node)
            if used > most.used:
                most.used, most.who = used, describe_tree(pid_of(node))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        done.set()
        watcher.join()


def echo(node: NodeProcess) -> None:
    with contextlib.closing(RawPeer.connect(node.port)) as peer:
        peer.associate(proposed_context(1, VERIFICATION, IMPLICIT), called="GANTRY")
        assert peer.echo() == 0
        peer.release()


def descriptors_of(node: NodeProcess) -> int:
    return len(list(Path(f"/proc/{pid_of(node)}/fd").iterdir()))


def test_an_idle_node_takes_at_most_30_mib(node: NodeProcess, capsys: object) -> None:
    echo(node)
    # Workers that are not needed any more end in half a minute.
    with contextlib.suppress(AssertionError):
        until(lambda: len(process_tree(pid_of(node))) <= 3, node, 45)
    used = settle(node, IDLE, 45)
    print(f"idle: {used / MIB:.1f} MiB\n{describe_tree(pid_of(node))}")
    assert used <= IDLE, describe_tree(pid_of(node))
    assert len(process_tree(pid_of(node))) <= 3


def test_100_idle_associations_cost_64_kib_each_and_next_to_no_processor_time(
    node: NodeProcess,
) -> None:
    echo(node)
    before = memory_of(node)
    peers = [RawPeer.connect(node.port) for _ in range(100)]
    for peer in peers:
        peer.associate(proposed_context(1, VERIFICATION, IMPLICIT), called="GANTRY")
    grown = memory_of(node) - before
    begun, used = time.monotonic(), processor_seconds(pid_of(node))
    time.sleep(4)
    part = (processor_seconds(pid_of(node)) - used) / (time.monotonic() - begun)
    print(f"100 associations: {grown / 100 / 1024:.1f} KiB each, {part:.2%} of a core")
    assert grown <= 100 * FOR_EACH_ASSOCIATION, describe_tree(pid_of(node))
    assert part <= 0.005
    for peer in peers:
        assert peer.echo() == 0
        peer.release()


def test_1000_connections_that_say_nothing_cost_little_and_others_are_served(
    node: NodeProcess,
) -> None:
    echo(node)
    before, open_before = memory_of(node), descriptors_of(node)
    silent = [
        socket.create_connection(
            ("127.0.0.1", node.port), 5, (f"127.0.{n // 250}.{n % 250 + 1}", 0)
        )
        for n in range(1000)
    ]
    # Less some that the start still held: the worker that read the configuration ends.
    until(lambda: descriptors_of(node) >= open_before + 990, node)
    echo(node)
    grown = memory_of(node) - before
    print(f"1,000 half-open connections: {grown / 1000 / 1024:.1f} KiB each")
    assert grown <= 1000 * FOR_EACH_ASSOCIATION
    for each in silent:
        # By reset: a thousand ports in TIME_WAIT would be in the way of later tests.
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        each.close()
    until(lambda: descriptors_of(node) <= open_before + 2, node)
    echo(node)


def test_who_connects_and_leaves_by_reset_leaves_nothing_behind(
    node: NodeProcess, count: Callable[[int, int], int]
) -> None:
    def come_and_go(number: int) -> None:
        for _ in range(number):
            source = ".".join(("127", *(str(random.randrange(1, 255)) for _ in range(3))))
            end = socket.socket()
            end.bind((source, 0))
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            with contextlib.suppress(OSError):
                end.connect(("127.0.0.1", node.port))
            end.close()

    come_and_go(1000)
    echo(node)
    before, open_before = memory_of(node), descriptors_of(node)
    come_and_go(count(20_000, 1_000_000))
    echo(node)
    until(lambda: descriptors_of(node) <= open_before + 2, node)
    grown = memory_of(node) - before
    print(f"connect and leave: {grown / MIB:+.2f} MiB")
    assert grown <= 2 * MIB, describe_tree(pid_of(node))


def test_an_object_of_any_size_passes_in_the_same_memory(
    tmp_path: Path, dcmtk_storescp: DcmtkStoreScp, count: Callable[[int, int], int]
) -> None:
    size = count(256, 4096) * MIB - (2 * MIB)
    (path,) = make_objects(tmp_path / "large", Load("large", size, 1)).iterdir()
    node = NodeProcess(tmp_path / "node", peer_table("PACS", dcmtk_storescp.port))
    node.launch()
    try:
        until(lambda: "ready" in node.log, node)
        settle(node, IDLE, 10)
        with watched(node) as most:
            run(
                [program("dcmtk", "storescu"), "-aec", "GANTRY", "127.0.0.1", str(node.port), path],
                seconds=3000,
                environment={"TCP_NODELAY": "1"},
            ).check()
            # Not asked of the node: a question takes a worker of its own.
            until(lambda: _is_whole(dcmtk_storescp, size), node, 3000)
        (arrived,) = dcmtk_storescp.received()
        assert arrived.stat().st_size > size
        print(f"{size / MIB:.0f} MiB relayed: at most {most.used / MIB:.1f} MiB\n{most.who}")
        # A large object is synced by a worker more, so that it does not hold up small ones.
        assert most.used <= IDLE + 8 * MIB, most.who
        node.wait_until_delivered("PACS", 60)
    finally:
        node.kill()


def _is_whole(peer: DcmtkStoreScp, size: int) -> bool:
    return any(each.stat().st_size > size for each in peer.received())


@pytest.mark.peer
def test_a_large_image_is_compressed_on_its_way_in_16_mib(
    tmp_path: Path,
    start_peer: Callable[[DcmtkStoreScp], DcmtkStoreScp],
    count: Callable[[int, int], int],
) -> None:
    """Of 10,000 columns by 2,500 rows, as memory does not depend on the rows; `--long` takes 10,000
    of them."""
    large(tmp_path / "large.dcm", count(2500, 10000), 10000)
    far = DcmtkStoreScp(tmp_path / "far", transfer_syntaxes=("+xs",), port=free_port())
    likes = f'transfer_syntaxes = ["{JPEG_LOSSLESS_FIRST_ORDER}"]\n'
    node = NodeProcess(tmp_path / "node", peer_table("PACS", far.port, likes))
    node.launch()
    try:
        until(lambda: "ready" in node.log, node)
        run(
            [
                program("dcmtk", "storescu"),
                *("-aec", "GANTRY", "127.0.0.1", str(node.port), tmp_path / "large.dcm"),
            ],
            seconds=300,
        ).check()
        before = settle(node, IDLE, 40)
        start_peer(far)
        with watched(node) as most:
            until(lambda: bool(far.received()), node, 300)
            size = -1
            while size != (size := sum(each.stat().st_size for each in far.received())):
                time.sleep(1)
        node.wait_until_delivered("PACS", 60)
        (arrived,) = far.received()
        compressed = pydicom.dcmread(arrived, stop_before_pixels=True)
        assert compressed.file_meta.TransferSyntaxUID == JPEG_LOSSLESS_FIRST_ORDER
        print(f"compressed: at most {most.used / MIB:.1f} MiB, before {before / MIB:.1f}")
        assert most.used <= IDLE + 16 * MIB, most.who
    finally:
        node.kill()
