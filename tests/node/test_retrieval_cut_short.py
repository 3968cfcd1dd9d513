"""Retrievals that are cut short: nodes killed in the midst of them, cancels at random points.

Whatever is left tells what it came to, nothing is half-written, and the next one is whole.
"""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.checklists.retrieving import (
    CANCELLED,
    COMPLETED,
    FAILED,
    IMPLICIT,
    REMAINING,
    SERVICES,
    STUDY_ROOT_MOVE,
    WARNING,
    Answers,
    Destination,
    Made,
    answers_of,
    associate_for_get,
    cancel_request,
    get,
    get_request,
    identifier,
    move,
    move_request,
    number,
    peer_table,
    store,
    wait_until_calm,
)
from tests.node.running import NodeProcess
from tests.node.test_fetch import over, source, stored
from tests.peers.dcmtk import DcmtkQueryRetrieveScp
from tests.peers.process import PeerFailed, wait_until
from tests.peers.raw_pdu import proposed_context, response
from tests.peers.raw_peer import PeerClosed, RawPeer

pytestmark = pytest.mark.peer

STUDY = "1.2.826.0.1.3680043.9.61"
COUNT = 30
OBJECTS = [Made(f"{STUDY}.{n}", STUDY, size=60_000) for n in range(1, COUNT + 1)]
KEYS = identifier("STUDY", study=STUDY)


@pytest.fixture(scope="module")
def far() -> Iterator[Destination]:
    with Destination() as made:
        yield made


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, far: Destination) -> Iterator[NodeProcess]:
    made = NodeProcess(
        tmp_path_factory.mktemp("cut") / "node", SERVICES + peer_table("FAR", far.port)
    )
    with made:
        store(made.port, OBJECTS)
        yield made


def is_whole(node: NodeProcess, far: Destination) -> None:
    """Nothing is left of what was cut short, and the same once more brings all of it."""
    wait_until_calm(node)
    assert len(node.objects()) == COUNT and not list((node.folder / "state").rglob("incoming/*"))
    far.clear()
    assert move(node.port, "FAR", KEYS).counts() == (None, COUNT, 0, 0)
    assert sorted(far.uids) == sorted(each.uid for each in OBJECTS)
    assert get(node.port, KEYS).counts() == (None, COUNT, 0, 0)
    assert "an error that" not in node.log and "provider failed" not in node.log


@pytest.mark.parametrize("at", [1, 17])
def test_a_node_killed_in_the_midst_of_a_move_leaves_nothing_and_serves_the_next_whole(
    node: NodeProcess, far: Destination, at: int
) -> None:
    reached, killed = threading.Event(), threading.Event()

    def before(count: int) -> None:
        if count == at:
            reached.set()
            killed.wait(20)

    far.clear()
    far.before = before
    with RawPeer.connect(node.port) as peer:
        peer.associate(proposed_context(1, STUDY_ROOT_MOVE, IMPLICIT))
        peer.send_message(1, move_request("FAR"), KEYS)
        assert reached.wait(20)
        node.kill()
        killed.set()
        # The requester hears of it, and does not wait for ever.
        with pytest.raises((PeerClosed, ConnectionError)):
            answers_of(peer)
    assert len(far.requests) == at
    node.start()
    is_whole(node, far)


def test_a_node_killed_in_the_midst_of_a_get_leaves_nothing_and_serves_the_next_whole(
    node: NodeProcess, far: Destination
) -> None:
    def killing(count: int) -> int:
        if count == 9:
            node.kill()
        return 0

    with RawPeer.connect(node.port) as peer:
        associate_for_get(peer)
        peer.send_message(1, get_request(), KEYS)
        with pytest.raises((PeerClosed, ConnectionError)):
            answers_of(peer, killing)
    node.start()
    is_whole(node, far)


def test_a_node_killed_again_and_again_in_a_retrieval_of_its_own_goes_on_to_its_end(
    tmp_path: Path,
) -> None:
    archive = DcmtkQueryRetrieveScp(tmp_path / "far")
    near = NodeProcess(tmp_path / "near")
    with archive:
        store(archive.port, OBJECTS, window=1, called=archive.ae_title)
        near.write(source("FAR", archive.port, '"query", "get"', title=archive.ae_title))
        near.start()
        (begun,) = near.ask("fetch-begin", peer="FAR", studies=[STUDY])["items"]
        for some in (2, COUNT // 2):
            wait_until(lambda n=some: len(near.objects()) >= n, f"{some} objects came")  # type: ignore[misc]
            near.kill()
            near.start()
        done = over(near, begun["id"])
        assert (done["state"], done["done"]) == ("COMPLETED", COUNT), done
        assert stored(near, STUDY) == {each.uid for each in OBJECTS}
        # Each of them once, and no file that is none of them.
        assert len(near.objects()) == COUNT
        near.stop()


def _check(answers: Answers, sent: int) -> None:
    """Counters tell what was sent, whatever was cut (C.4.2.1.6 to C.4.2.1.9)."""
    final = answers.final
    said = [number(final, each) for each in (REMAINING, COMPLETED, FAILED, WARNING)]
    counts = [each or 0 for each in said]
    assert sum(counts) == COUNT and counts[2:] == [0, 0], said
    # The destination may have had one whose answer came too late to be counted.
    assert counts[1] <= sent <= counts[1] + 1
    if counts[0]:
        assert answers.status == CANCELLED
    else:
        assert answers.status == 0 and said[0] is None
    for each in answers.responses[:-1]:
        pending = [number(each, which) for which in (REMAINING, COMPLETED, FAILED, WARNING)]
        assert None not in pending and sum(filter(None, pending)) == COUNT


def random_points(far: Destination, seed: int, times: int, *, least: int = 1) -> Iterator[int]:
    """How many objects have come when something happens; the destination has none before each."""
    chance = random.Random(seed)
    for _ in range(times):
        far.clear()
        yield chance.randint(least, COUNT)


def test_cancels_at_random_points_leave_counters_that_are_right(
    node: NodeProcess, far: Destination, before: dict[str, object]
) -> None:
    for at in random_points(far, 20, 12, least=0):
        with RawPeer.connect(node.port) as peer:
            peer.associate(proposed_context(1, STUDY_ROOT_MOVE, IMPLICIT))
            if not at:
                peer.send_message(1, move_request("FAR"), KEYS)
                peer.send_message(1, cancel_request())
            else:
                # Sent by the thread of the destination, between two of its answers.
                def cancel(count: int, at: int = at, peer: RawPeer = peer) -> None:
                    if count == at:
                        peer.send_message(1, cancel_request())

                far.before = cancel
                peer.send_message(1, move_request("FAR"), KEYS)
            answers = answers_of(peer)
            peer.release()
        _check(answers, len(far.requests))
    for at in random_points(far, 23, 12):
        with RawPeer.connect(node.port) as peer:
            associate_for_get(peer)
            peer.send_message(1, get_request(), KEYS)

            def cancelling(count: int, at: int = at, peer: RawPeer = peer) -> int:
                if count == at:
                    peer.send_message(1, cancel_request())
                return 0

            answers = answers_of(peer, cancelling)
            peer.release()
        _check(answers, len(answers.stored))
    leaves_nothing(node, before)
    is_whole(node, far)


def held(node: NodeProcess) -> dict[str, object]:
    """All that a retrieval takes of a node: open files, connections, tasks, and rows."""
    assert node.process is not None
    targets = []
    for each in Path(f"/proc/{node.process.pid}/fd").iterdir():
        with suppress(OSError):
            targets.append(str(each.readlink()))
    lines = Path(f"/proc/{node.process.pid}/net/tcp").read_text().splitlines()[1:]
    connections = {f"socket:[{line.split()[9]}]" for line in lines}
    found: dict[str, object] = {
        "files": sorted(each for each in targets if each.startswith("/")),
        "connections": sum(each in connections for each in targets),
        # The reader of each worker's answers is one; workers end when they are idle for long.
        "tasks": node.ask("status")["loop"]["tasks"] - workers(node),
    }
    (path,) = (node.folder / "state").rglob("index.sqlite")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as index:
        names = index.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            found[name] = index.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
    return found


def workers(node: NodeProcess) -> int:
    """How many general workers it has now, idle ones among them."""
    found = 0
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_its = (each / "cwd").readlink() == node.folder
            found += is_its and (each / "comm").read_text().startswith("general")
    return found


def leaves_nothing(node: NodeProcess, before: dict[str, object]) -> None:
    """Waits for what ends by itself: a release that goes on, a study's use that is noted."""
    wait_until_calm(node)
    with suppress(PeerFailed):
        wait_until(lambda: held(node) == before, "nothing is left", seconds=10)
    assert held(node) == before


@pytest.fixture
def before(node: NodeProcess) -> dict[str, object]:
    """What the node holds when one retrieval of each kind has been, and all is calm."""
    assert move(node.port, "FAR", KEYS).status == get(node.port, KEYS).status == 0
    wait_until_calm(node)
    seen: list[dict[str, object]] = []

    def calm() -> bool:
        seen.append(held(node))
        return seen[-3:] == [seen[-1]] * 3

    wait_until(calm, "all is calm", every=0.1)
    return seen[-1]


def test_disconnects_at_random_points_leave_nothing_open(
    node: NodeProcess, far: Destination, before: dict[str, object]
) -> None:
    for turn, at in enumerate(random_points(far, 21, 20)):
        with RawPeer.connect(node.port) as peer, suppress(PeerClosed, OSError):
            end = peer.reset if turn % 2 else peer.close
            if turn % 4 < 2:
                peer.associate(proposed_context(1, STUDY_ROOT_MOVE, IMPLICIT))
                far.before = lambda count, at=at, end=end: end() if count == at else None  # type: ignore[misc]
                peer.send_message(1, move_request("FAR"), KEYS)
                answers_of(peer)
            else:
                associate_for_get(peer)
                peer.send_message(1, get_request(), KEYS)
                for _ in range(at):
                    message = peer.receive_message()
                    if number(message, 0x0100) == 1:
                        peer.send_message(message.context, response(message.command, 0))
                end()
    leaves_nothing(node, before)
    is_whole(node, far)


def test_a_destination_that_goes_away_at_random_points_leaves_counters_that_are_right(
    node: NodeProcess, far: Destination, before: dict[str, object]
) -> None:
    for at in random_points(far, 22, 6):

        def gone(count: int, at: int = at) -> None:
            if count == at:
                raise ConnectionResetError

        far.before = gone
        answers = move(node.port, "FAR", KEYS)
        remaining, completed, failed, warning = answers.counts()
        assert (remaining, warning) == (None, 0)
        # It is called once more where some had been sent, and then has the rest.
        assert (completed or 0) + (failed or 0) == COUNT
        assert set(far.uids) == {each.uid for each in OBJECTS} or failed
        assert answers.status == (0 if not failed else 0xB000 if completed else 0xA702)
    far.clear()
    leaves_nothing(node, before)
    is_whole(node, far)
