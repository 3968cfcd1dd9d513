"""Lines of the C-DAC SDK statement (CD): what is stored, in which syntaxes, how it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.checklists.far_archive import FarArchive
from tests.checklists.in_syntax import (
    BIG_ENDIAN,
    DEFLATED,
    IMPLICIT,
    RLE,
    jpeg,
    made_in,
    put,
    send,
    store_pairs,
    until,
)
from tests.checklists.made import CT, EXPLICIT, instance_uid, made, store_all
from tests.node.running import NodeProcess, peer_table
from tests.peers.dcmtk import DcmtkStoreScp, echoscu
from tests.peers.memory import tree_memory
from tests.peers.raw_pdu import A_ASSOCIATE_RJ, associate_request, proposed_context
from tests.peers.raw_peer import RawPeer
from tests.peers.sample_files import data_set_bytes

STORAGE = "1.2.840.10008.5.1.4.1.1."
# All 49 storage classes: Table 1.1, the union with tables 1.1.1 and A, and the two that it names
# without a UID.
CLASSES = (
    *(STORAGE + end for end in ("1", "1.1", "1.1.1", "2", "2.1", "3.1", "4", "4.1", "4.2")),
    *(STORAGE + end for end in ("6.1", "6.2", "11.1")),
    *(STORAGE + end for end in ["12.1", "12.1.1", "12.2", "13.1.1", "13.1.2", "13.1.3"]),
    *(STORAGE + f"78.{end}" for end in (1, 2, 3, 4, 5)),
    *(STORAGE + f"88.{end}" for end in (11, 4, 22, 33, 34, 35, 40, 50, 59, 65, 67, 68, 69, 70)),
    *(STORAGE + f"481.{end}" for end in (1, 2, 3, 4, 5, 6, 7)),
    *(f"1.2.840.10008.5.1.4.{end}" for end in ("38.1", "39.1", "43.1", "44.1", "45.1")),
)
# Table 4.2.1-4 without its last two, with the UIDs of JPIP as PS3.6 has them.
SYNTAXES = (
    *(EXPLICIT, IMPLICIT, DEFLATED),
    *map(jpeg, (50, 51, 57, 70, 80, 81, 90, 91)),
    RLE,
    *map(jpeg, (100, 93, 92, 94, 95, 101, 102, 103, 104, 105, 106)),
)


@pytest.fixture
def two_hundred(tmp_path: Path) -> Iterator[tuple[NodeProcess, list[RawPeer], int]]:
    """A node that takes any called title, 200 associations with it, its memory before them."""
    more = "called_title = false\n[entity.limits]\nassociations = 200\n"
    with NodeProcess(tmp_path / "node", more) as node:
        assert node.process is not None
        before = tree_memory(node.process.pid)
        peers = [RawPeer.connect(node.port) for _ in range(200)]
        for number, each in enumerate(peers):
            each.associate(called=f"ANY{number}", calling=f"CALLER{number}")
        yield node, peers, before
        for each in peers:
            each.close()


def test_cd_01_two_hundred_associations_at_once_with_any_title_all_get_their_echo(
    two_hundred: tuple[NodeProcess, list[RawPeer], int],
) -> None:
    node, peers, _ = two_hundred
    assert len(node.ask("status")["associations"]) == 200
    assert [each.echo(message_id=number) for number, each in enumerate(peers)] == [0] * 200
    peers.pop().release()
    until(lambda: len(node.ask("status")["associations"]) == 199)
    echoscu(node.port, called="ANY", calling="ANYBODY").check()


def test_cd_57_two_hundred_idle_associations_stay_within_their_memory(
    two_hundred: tuple[NodeProcess, list[RawPeer], int],
) -> None:
    node, peers, before = two_hundred
    assert [each.echo() for each in peers] == [0] * 200
    assert node.process is not None
    assert tree_memory(node.process.pid) - before < 200 * 64 << 10


def test_cd_17_each_of_49_classes_is_kept_byte_for_byte_in_each_of_23_syntaxes(
    tmp_path: Path,
) -> None:
    assert len(set(CLASSES)) == 49
    assert len(set(SYNTAXES)) == 23
    more = (
        '[[entity.service]]\nname = "storage"\nsop_classes = ["storage-all", "non-patient-all"]\n'
    )
    pairs = [(sop_class, syntax) for sop_class in CLASSES for syntax in (*SYNTAXES, BIG_ENDIAN)]
    with NodeProcess(tmp_path / "node", more) as node:
        sent = store_pairs(node.port, pairs)
        assert len(sent) == 49 * 24
        kept: dict[str, list[bytes]] = {}
        for path in node.objects():
            meta = dcmread(path, stop_before_pixels=True).file_meta
            kept.setdefault(str(meta.MediaStorageSOPInstanceUID), []).append(data_set_bytes(path))
        assert kept == {uid: [data] for uid, data in sent.items()}


def test_cd_19_each_file_goes_out_in_its_own_syntax_where_that_is_taken(
    tmp_path: Path, start_peer: Any
) -> None:
    far = start_peer(DcmtkStoreScp(tmp_path / "far"))
    syntaxes = (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED, jpeg(50), jpeg(70), jpeg(91), RLE)
    with NodeProcess(tmp_path / "node", peer_table("FAR", far.port)) as node:
        sent = send(node.port, *((at, CT, syntax) for at, syntax in enumerate(syntaxes, 1)))
        received = far.wait_for_files(len(syntaxes))
        node.wait_until_delivered("FAR")
    assert {data_set_bytes(path) for path in received} == set(sent.values())
    by_uid = {str(each.SOPInstanceUID): each for each in map(dcmread, received)}
    assert [
        str(by_uid[instance_uid(at)].file_meta.TransferSyntaxUID)
        for at in range(1, len(syntaxes) + 1)
    ] == list(syntaxes)


def test_cd_19_else_in_another_native_one_or_it_is_not_sendable_and_the_rest_goes_on(
    tmp_path: Path, start_peer: Any
) -> None:
    far = start_peer(DcmtkStoreScp(tmp_path / "far", transfer_syntaxes=("+xi",)))
    # JPEG XL and a video: nothing here takes them apart.
    syntaxes = (jpeg(110), EXPLICIT, jpeg(102), BIG_ENDIAN, DEFLATED, IMPLICIT)
    with NodeProcess(tmp_path / "node", peer_table("FAR", far.port)) as node:
        send(node.port, *((at, CT, syntax) for at, syntax in enumerate(syntaxes, 1)))
        received = far.wait_for_files(4)
        until(lambda: node.queue("FAR").get("held") == 2, lambda: node.log)
        jobs = {each["sop_instance_uid"]: each for each in node.ask("queue")["items"]}
    wanted = {made_in(at, CT, IMPLICIT)[1] for at in (2, 4, 5, 6)}
    assert {data_set_bytes(path) for path in received} == wanted
    assert set(jobs) == {instance_uid(1), instance_uid(3)}
    for job in jobs.values():
        assert "does not take this SOP class in this transfer syntax" in job["reason"]


def test_cd_20_store_goes_on_after_warnings_and_lists_them(tmp_path: Path) -> None:
    statuses = {instance_uid(1): 0xB000, instance_uid(2): 0xB006, instance_uid(3): 0xB007}
    more = '[delivery]\ngather = "1 s"\non_failure = "stop"\n'
    far = FarArchive(status=lambda uid: statuses.get(uid, 0))
    with far, NodeProcess(tmp_path / "node", more + peer_table("FAR", far.port)) as node:
        assert store_all(node.port, *((number, CT) for number in range(1, 5))) == [0] * 4
        until(lambda: len(far.stored) == 4, lambda: node.log)
        node.wait_until_delivered("FAR")
        assert len(far.requests) == 1
        assert node.ask("queue")["items"] == []
        listed = [line for line in node.log.splitlines() if "stored with a warning" in line]
        assert [status for status in ("B000H", "B006H", "B007H") if status in str(listed)] == [
            "B000H",
            "B006H",
            "B007H",
        ]


@pytest.mark.parametrize("status", [0x0110, 0x0122, 0xC000, 0xA700, 0xA9FF])
def test_cd_20_store_ends_after_a_failure_and_keeps_the_object(tmp_path: Path, status: int) -> None:
    far = FarArchive(status=lambda uid: status if uid == instance_uid(1) else 0)
    with far:
        table = peer_table("FAR", far.port).replace('"0.2 s"', '"600 s"').replace("0.5", "600")
        more = '[delivery]\ngather = "1 s"\non_failure = "stop"\n' + table
        with NodeProcess(tmp_path / "node", more) as node:
            assert store_all(node.port, (1, CT), (2, CT)) == [0, 0]
            until(lambda: len(far.stored) == 2, lambda: node.log)
            until(lambda: len(node.ask("queue")["items"]) == 1, lambda: node.log)
            node_queue = node.ask("queue")["items"]
            # One object on the association that was ended for its failure, the next on another.
            assert len(far.requests) == 2
            assert [each.status for each in far.stored] == [status, 0]
            (job,) = node_queue
            assert (job["sop_instance_uid"], job["status"]) == (instance_uid(1), status)
            assert made(1)[1] in {data_set_bytes(path) for path in node.objects()}


def test_cd_54_a_private_element_without_a_creator_is_kept_and_sent_again_unchanged(
    tmp_path: Path, start_peer: Any
) -> None:
    uid, data = made(1)
    # (0009,0009) SH: no creator element, and below the block numbers (PS3.5 7.8.1).
    illegal = b"\x09\x00\x09\x00SH\x06\x00SIEMEN"
    creator = b"\x09\x00\x10\x00LO"
    assert data.count(creator) == 1
    data = data.replace(creator, illegal + creator)
    far = start_peer(DcmtkStoreScp(tmp_path / "far"))
    with NodeProcess(tmp_path / "node", peer_table("FAR", far.port)) as node:
        with RawPeer.connect(node.port) as peer:
            peer.associate(proposed_context(1, CT, EXPLICIT))
            assert put(peer, uid, data) == 0
            peer.release()
        (kept,) = node.objects()
        assert data_set_bytes(kept) == data
        (received,) = far.wait_for_files(1)
        assert data_set_bytes(received) == data


def test_cd_57_the_log_tells_of_each_association_context_status_and_reason(
    tmp_path: Path,
) -> None:
    with NodeProcess(tmp_path / "node") as node:
        with RawPeer.connect(node.port) as peer:
            peer.associate(
                proposed_context(1, CT, EXPLICIT),
                proposed_context(3, CT, "1.2.840.10008.1.2.6.1"),
                calling="CT1",
            )
            assert put(peer, instance_uid(9), made(1)[1]) == 0xA900
            assert put(peer, *made(1)) == 0
            peer.release()
        with RawPeer.connect(node.port) as peer:
            peer.send(associate_request(called="NOBODY"))
            peer.receive_pdu(A_ASSOCIATE_RJ)
        until(lambda: "association rejected" in node.log, lambda: node.log)
        (accepted,) = [line for line in node.log.splitlines() if "association accepted" in line]
        (ended,) = [line for line in node.log.splitlines() if "association ended" in line]
        (rejected,) = [line for line in node.log.splitlines() if "association rejected" in line]
        (refused,) = [line for line in node.log.splitlines() if "operation refused" in line]
    assert "calling=CT1" in accepted
    assert "contexts=1" in accepted
    assert "how=released" in ended
    assert "called-AE-title-not-recognized" in rejected
    assert "operation=C-STORE status=A900H" in refused
