"""Lines of the iConnect Access statement (IC) on what is announced, refused and recorded."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.checklists.far_archive import FarArchive, user_items
from tests.checklists.in_syntax import put, until
from tests.checklists.made import CT, EXPLICIT, instance_uid, made, store_all
from tests.node.running import NodeProcess, peer_table
from tests.peers.raw_pdu import proposed_context
from tests.peers.raw_peer import RawPeer

IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME = 0x52, 0x55
MR = "1.2.840.10008.5.1.4.1.1.4"


def test_ic_05_class_uid_and_version_name_are_our_own_in_request_and_accept(
    tmp_path: Path,
) -> None:
    with FarArchive() as far, NodeProcess(tmp_path, peer_table("FAR", far.port)) as node:
        with RawPeer.connect(node.port) as peer:
            accept = dict(user_items(peer.associate(proposed_context(1, CT, EXPLICIT))))
            assert put(peer, *made(1)) == 0
            peer.release()
        until(lambda: far.stored, lambda: node.log)
        request = dict(user_items(far.requests[0]))
    for said in (accept, request):
        assert said[IMPLEMENTATION_CLASS_UID].startswith(b"2.25.")
        assert said[IMPLEMENTATION_VERSION_NAME].startswith(b"GANTRY_")
        assert 1 <= len(said[IMPLEMENTATION_VERSION_NAME]) <= 16
    assert accept[IMPLEMENTATION_CLASS_UID] == request[IMPLEMENTATION_CLASS_UID]


def test_ic_16_each_kind_of_failure_has_its_status_and_the_association_stays(
    tmp_path: Path,
) -> None:
    uid, data = made(1)
    _, other_class = made(2, MR)
    with NodeProcess(tmp_path) as node, RawPeer.connect(node.port) as peer:
        peer.associate(proposed_context(1, CT, EXPLICIT))
        assert put(peer, instance_uid(2), other_class) == 0xA900
        assert put(peer, instance_uid(3), data) == 0xA900
        # A length that goes beyond what its sequence has left cannot be read.
        assert put(peer, uid, b"\x08\x00\x16\x00UI\xff\xff" + bytes(20)) & 0xF000 == 0xC000
        assert put(peer, uid, data) == 0
        peer.release()
        assert len(node.objects()) == 1


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_ic_18_a_warning_counts_as_stored_and_is_recorded(tmp_path: Path, status: int) -> None:
    far = FarArchive(status=lambda uid: status)
    with far, NodeProcess(tmp_path, peer_table("FAR", far.port)) as node:
        assert store_all(node.port, (1, CT)) == [0]
        node.wait_until_delivered("FAR")
        until(lambda: "stored with a warning" in node.log, lambda: node.log)
        (line,) = [line for line in node.log.splitlines() if "stored with a warning" in line]
        assert f"{status:04X}H" in line
        assert instance_uid(1) in line


@pytest.mark.parametrize("status", [0xA700, 0xA9FF, 0xC123, 0x0110, 0x0122])
def test_ic_18_any_other_status_counts_as_failed_and_is_recorded(
    tmp_path: Path, status: int
) -> None:
    far = FarArchive(status=lambda uid: status)
    with far:
        table = peer_table("FAR", far.port).replace('"0.2 s"', '"600 s"').replace("0.5", "600")
        with NodeProcess(tmp_path, table) as node:
            assert store_all(node.port, (1, CT)) == [0]
            until(lambda: any(each["status"] for each in node.ask("queue")["items"]))
            (job,) = node.ask("queue")["items"]
    assert (job["sop_instance_uid"], job["status"]) == (instance_uid(1), status)
    assert f"{status:04X}H" in job["reason"]


def test_ic_09_requests_above_the_limit_of_associations_wait_and_none_is_lost(
    tmp_path: Path,
) -> None:
    """Over all peers, as the limit is the entity's: two are held, the third comes after them."""
    free = threading.Event()

    def held(uid: str) -> int:
        free.wait(30)
        return 0

    with FarArchive(status=held) as one, FarArchive(status=held) as two, FarArchive() as three:
        table = "[delivery]\nassociations = 2\n"
        table += "".join(
            peer_table(name, far.port)
            for name, far in (("ONE", one), ("TWO", two), ("THREE", three))
        )
        with NodeProcess(tmp_path, table) as node:
            assert store_all(node.port, (1, CT)) == [0]
            until(lambda: len(one.requests) + len(two.requests) + len(three.requests) == 2)
            waiting = [each for each in (one, two, three) if not each.requests]
            free.set()
            for name in ("ONE", "TWO", "THREE"):
                node.wait_until_delivered(name)
    assert len(waiting) == 1
    assert [len(each.stored) for each in (one, two, three)] == [1, 1, 1]
