"""Retrievals of very many objects: what they take of the node, and what others get meanwhile."""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from agent.archive.index import Index
from agent.archive.layout import object_path
from tests.checklists.retrieving import (
    CANCELLED,
    COMPLETED,
    CT,
    IMPLICIT,
    REMAINING,
    SERVICES,
    STUDY_ROOT_MOVE,
    Made,
    answers_of,
    cancel_request,
    identifier,
    move,
    move_request,
    number,
    peer_table,
    store,
)
from tests.node.running import NodeProcess
from tests.node.test_fetch import peak
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.raw_pdu import proposed_context
from tests.peers.raw_peer import RawPeer

pytestmark = [pytest.mark.peer, pytest.mark.long, pytest.mark.timeout(600)]

STUDY, SMALL = "1.2.826.0.1.3680043.9.71", "1.2.826.0.1.3680043.9.72"
VERIFICATION = '[[entity.service]]\nname = "verification"\n'
MOST_MORE = 6 << 10
"""KiB that a retrieval may take of the node's process, whatever it is about."""


def multiply(folder: Path, count: int, files: int) -> None:
    """So many instances of the first object's study: rows, and `files` of them have its file."""
    index = Index.open(folder)
    index.execute("PRAGMA synchronous = OFF")
    names = [row[1] for row in index.execute("PRAGMA table_info(instance)").fetchall()]
    new = {"id": "n + 1000", "sop_instance_uid": f"'{STUDY}.9.' || n"}
    values = ", ".join(new.get(each, f"instance.{each}") for each in names)
    with index.transaction():
        index.execute(
            "INSERT INTO instance WITH RECURSIVE number (n) AS"
            " (SELECT 1 UNION ALL SELECT n + 1 FROM number LIMIT ?)"
            f" SELECT {values} FROM number, instance WHERE instance.id = 1",
            (count,),
        )
        index.set_state(last_number=count + 1000)
    index.close()
    first = object_path(folder, 1)
    for each in range(1001, files + 1001):
        path = object_path(folder, each)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(first)


def filled(folder: Path, far: DcmtkStoreScp, count: int, files: int) -> NodeProcess:
    """A node with one study of so many instances and a small one."""
    node = NodeProcess(folder, SERVICES + VERIFICATION + peer_table("FAR", far.port))
    route = node.configuration.read_text().partition("[[route]]")[0]
    node.configuration.write_text(route)
    with node:
        store(node.port, [Made(f"{STUDY}.1", STUDY, CT), Made(f"{SMALL}.1", SMALL, CT)])
        node.stop()
    multiply(folder / "state" / "archive" / "main", count - 1, files)
    return node


class Others:
    """Somebody who asks for C-ECHO again and again; `took` is how long each of them was."""

    def __init__(self, port: int) -> None:
        self.took: list[float] = []
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Others:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        with RawPeer.connect(self._port) as peer:
            peer.associate()
            while not self._over.wait(0.02):
                begun = time.monotonic()
                peer.echo()
                self.took.append(time.monotonic() - begun)
            peer.release()


def longest_turn(node: NodeProcess) -> float:
    """Seconds of CPU; its start counts as well."""
    return float(node.ask("status")["loop"]["longest_turn"])


def served_well(node: NodeProcess, others: Others, turn_before: float) -> None:
    """Others waited for none of it, and no turn of the loop was long, whatever else runs here."""
    assert len(others.took) > 20 and statistics.median(others.took) < 0.1
    assert longest_turn(node) <= max(turn_before, 0.05)


def test_a_hundred_thousand_instances_are_moved_in_little_memory_and_others_are_served(
    tmp_path: Path,
) -> None:
    with DcmtkStoreScp(tmp_path / "far", "--ignore", "--fork") as far:
        node = filled(tmp_path / "node", far, 100_000, files=99_999)
        with node:
            assert move(node.port, "FAR", identifier("STUDY", study=SMALL)).status == 0
            before, turn_before = peak(node), longest_turn(node)
            with Others(node.port) as others, RawPeer.connect(node.port) as peer:
                peer.associate(proposed_context(1, STUDY_ROOT_MOVE, IMPLICIT))
                peer.send_message(1, move_request("FAR"), identifier("STUDY", study=STUDY))
                first = peer.receive_message()
                # Counters are of two bytes: there are so many at least.
                assert number(first, REMAINING) == 0xFFFF and number(first, COMPLETED) == 0
                small = move(node.port, "FAR", identifier("STUDY", study=SMALL), calling="OTHER")
                assert small.status == 0
                peer.socket.settimeout(60)
                final = answers_of(peer).final
                peer.release()
            assert number(final, 0x0900) == 0 and number(final, COMPLETED) == 0xFFFF
            assert "completed=100000 failed=0" in node.log, node.log[-2000:]
            assert peak(node) - before < MOST_MORE
            served_well(node, others, turn_before)


def test_a_million_instances_are_counted_and_the_move_of_them_is_cancelled(tmp_path: Path) -> None:
    with DcmtkStoreScp(tmp_path / "far", "--ignore", "--fork") as far:
        node = filled(tmp_path / "node", far, 1_000_000, files=20_000)
        with node:
            assert move(node.port, "FAR", identifier("STUDY", study=SMALL)).status == 0
            before, turn_before = peak(node), longest_turn(node)
            with Others(node.port) as others, RawPeer.connect(node.port) as peer:
                peer.associate(proposed_context(1, STUDY_ROOT_MOVE, IMPLICIT))
                peer.send_message(1, move_request("FAR"), identifier("STUDY", study=STUDY))
                peer.socket.settimeout(60)
                assert number(peer.receive_message(), REMAINING) == 0xFFFF
                while not number(peer.receive_message(), COMPLETED):
                    pass
                peer.send_message(1, cancel_request())
                with suppress(TimeoutError):
                    final = answers_of(peer).final
                peer.release()
            assert number(final, 0x0900) == CANCELLED and number(final, REMAINING) == 0xFFFF
            assert peak(node) - before < MOST_MORE
            served_well(node, others, turn_before)
