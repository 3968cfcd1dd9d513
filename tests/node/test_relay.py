"""The main job, from outside: objects go in, are safe, and arrive at an archive of others."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.node.running import NodeProcess, free_port, peer_table
from tests.peers import dcmtk
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.raw_pdu import (
    associate_request,
    c_store_request,
    context_results,
    proposed_context,
    status_of,
)
from tests.peers.raw_peer import RawPeer
from tests.peers.sample_files import Sample, data_set_bytes, samples

pytestmark = pytest.mark.peer

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def _uid(text: str) -> bytes:
    data = text.encode()
    return data + b"\0" if len(data) % 2 else data


def made(number: int, size: int = 2000) -> tuple[str, bytes]:
    """A small CT object of explicit little endian: its UID and its data set."""
    uid = f"1.2.826.0.1.3680043.9.{number}"

    def element(tag: int, vr: bytes, value: bytes) -> bytes:
        head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr
        if vr in (b"OW", b"OB"):
            return head + bytes(2) + len(value).to_bytes(4, "little") + value
        return head + len(value).to_bytes(2, "little") + value

    return uid, b"".join(
        [
            element(0x00080016, b"UI", _uid(CT)),
            element(0x00080018, b"UI", _uid(uid)),
            element(0x00080060, b"CS", b"CT"),
            element(0x00100020, b"LO", b"P1"),
            element(0x0020000D, b"UI", _uid(f"1.2.826.0.1.3680043.8.{number % 7}")),
            element(0x0020000E, b"UI", _uid(f"1.2.826.0.1.3680043.7.{number % 7}")),
            element(0x00091001, b"LO", b"private "),
            element(0x7FE00010, b"OW", number.to_bytes(4, "little") * (size // 4)),
        ]
    )


def store(peer: RawPeer, number: int, data: bytes, uid: str) -> int:
    peer.send_message(1, c_store_request(CT, uid, number % 60000 + 1), data)
    return status_of(peer.receive_message().command)


def test_ps34_015_every_sample_is_relayed_byte_for_byte_to_dcmtk(
    tmp_path: Path, dcmtk_storescp: DcmtkStoreScp
) -> None:
    chosen: dict[str, Sample] = {}
    for each in samples():
        if each.meta_agrees and len(each.data_set()) % 2 == 0:
            chosen.setdefault(each.sop_instance_uid, each)
    sent = {}
    with NodeProcess(tmp_path / "node", peer_table("FAR", dcmtk_storescp.port)) as node:
        for each in chosen.values():
            with RawPeer.connect(node.port) as peer:
                accept = peer.associate(
                    proposed_context(1, each.sop_class_uid, each.transfer_syntax_uid)
                )
                if context_results(accept)[1][0] != 0:
                    continue
                peer.send_message(
                    1, c_store_request(each.sop_class_uid, each.sop_instance_uid), each.data_set()
                )
                assert status_of(peer.receive_message().command) == 0, each.path
                peer.release()
            sent[each.sop_instance_uid] = each.data_set()
        node.wait_until_delivered("FAR")
        assert node.ask("queue")["items"] == []
    received = {data_set_bytes(path) for path in dcmtk_storescp.received()}
    assert len(sent) > 100
    assert set(sent.values()) == received


def test_cd_18_the_same_instance_twice_is_one_file_and_an_altered_copy_is_kept_apart(
    tmp_path: Path,
) -> None:
    with NodeProcess(tmp_path / "node") as node:
        uid, data = made(1)
        with RawPeer.connect(node.port) as peer:
            peer.associate(proposed_context(1, CT, EXPLICIT))
            assert [store(peer, n, data, uid) for n in (1, 2)] == [0, 0]
            assert len(node.objects()) == 1
            altered = data[:-1] + b"\x99"
            assert store(peer, 3, altered, uid) == 0
            peer.release()
        kept = {data_set_bytes(path) for path in node.objects()}
        assert kept == {data, altered}


def test_rv_05_what_does_not_match_or_cannot_be_understood_is_refused(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node") as node:
        uid, data = made(1)
        with RawPeer.connect(node.port) as peer:
            peer.associate(proposed_context(1, CT, EXPLICIT))
            assert store(peer, 1, data, "1.2.3.4") == 0xA900
            assert store(peer, 2, b"\x08\0\x05\0CS\xff\x7f" + b"x" * 20, uid) & 0xF000 == 0xC000
            assert store(peer, 3, data, uid) == 0
            peer.release()
        assert len(node.objects()) == 1


def test_mx_09_a_calling_title_that_is_not_on_the_list_is_rejected(tmp_path: Path) -> None:
    accept = 'calling = "titles"\ncalling_titles = ["KNOWN"]'
    with NodeProcess(tmp_path / "node", accept=accept) as node:
        context = proposed_context(1, "1.2.840.10008.1.1", "1.2.840.10008.1.2")
        for calling, kind in (("KNOWN", 2), ("STRANGER", 3)):
            with RawPeer.connect(node.port) as peer:
                peer.send(associate_request(context, calling=calling))
                answer = peer.receive_pdu()
                assert answer.kind == kind
        assert answer.body == b"\0\x01\x01\x03"


def test_mx_12_dcmtk_verifies_us_and_a_wrong_title_is_told_apart(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node") as node:
        assert dcmtk.echoscu(node.port, called="GANTRY").returncode == 0
        assert dcmtk.echoscu(node.port, called="WRONG").returncode != 0


def test_a_reload_changes_the_rules_and_drops_no_association(
    tmp_path: Path, dcmtk_storescp: DcmtkStoreScp
) -> None:
    with NodeProcess(tmp_path / "node") as node:
        uid, data = made(1)
        with RawPeer.connect(node.port) as peer:
            peer.associate(proposed_context(1, CT, EXPLICIT))
            assert store(peer, 1, data, uid) == 0
            node.write(peer_table("FAR", dcmtk_storescp.port))
            node.reload()
            uid, data = made(2)
            assert store(peer, 2, data, uid) == 0
            peer.release()
        dcmtk_storescp.wait_for_files(1)
        assert node.stop() == 0


def test_a_broken_configuration_at_a_reload_changes_nothing(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node") as node:
        node.write("nonsense = [")
        assert node.process is not None
        os.kill(node.process.pid, signal.SIGHUP)
        end = time.monotonic() + 10
        while "configuration refused" not in node.log and time.monotonic() < end:
            time.sleep(0.05)
        assert dcmtk.echoscu(node.port, called="GANTRY").returncode == 0


def test_a_person_who_says_retry_does_not_wait_for_the_back_off(
    tmp_path: Path, start_peer: Any
) -> None:
    port = free_port()
    slow = peer_table("FAR", port).replace('"0.2 s"', '"600 s"').replace('"0.5 s"', '"600 s"')
    with NodeProcess(tmp_path / "node", slow) as node:
        uid, data = made(1)
        with RawPeer.connect(node.port) as peer:
            peer.associate(proposed_context(1, CT, EXPLICIT))
            assert store(peer, 1, data, uid) == 0
            peer.release()
        end = time.monotonic() + 10
        while "delivery failed" not in node.log and time.monotonic() < end:
            time.sleep(0.05)
        far = start_peer(DcmtkStoreScp(tmp_path / "far", port=port))
        (job,) = node.ask("queue")["items"]
        node.ask("retry", jobs=[job["id"]])
        far.wait_for_files(1)
        node.wait_until_delivered("FAR")


class _Sender(threading.Thread):
    """Stores objects whatever happens, and keeps the ledger of what was acknowledged."""

    def __init__(self, port: Callable[[], int], first: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._next = first
        self.acknowledged: dict[str, bytes] = {}
        self.ending = False

    def run(self) -> None:
        while not self.ending:
            try:
                with RawPeer.connect(self._port()) as peer:
                    peer.limit = 5
                    peer.associate(proposed_context(1, CT, EXPLICIT))
                    while not self.ending:
                        uid, data = made(self._next)
                        if store(peer, self._next, data, uid) == 0:
                            self.acknowledged[uid] = data
                            self._next += 1
            except (OSError, AssertionError, TimeoutError):
                time.sleep(0.02)


def test_ic_17_nothing_acknowledged_is_lost_by_kills_while_the_archive_comes_and_goes(
    tmp_path: Path, start_peer: Any, count: Any
) -> None:
    """Acceptance 4: kills at random moments under three senders, the archive unreliable."""
    far_port = free_port()
    node = NodeProcess(tmp_path / "node", peer_table("FAR", far_port)).start()
    far = DcmtkStoreScp(tmp_path / "far", "--fork", port=far_port)
    start_peer(far)
    senders = [_Sender(lambda: node.port, 1 + 1_000_000 * index) for index in range(3)]
    for sender in senders:
        sender.start()
    chance = random.Random(20)
    for kill in range(count(20, 200)):
        time.sleep(chance.uniform(0.05, 0.4))
        node.kill()
        if kill % 4 == 3:
            far.stop()
            far.start()
        node.start()
    for sender in senders:
        sender.ending = True
    for sender in senders:
        sender.join(15)
    node.wait_until_delivered("FAR", 120)
    acknowledged = {uid: data for sender in senders for uid, data in sender.acknowledged.items()}
    stored = {data_set_bytes(path) for path in node.objects()}
    received = {data_set_bytes(path) for path in far.received()}
    assert acknowledged
    missing = [uid for uid, data in acknowledged.items() if data not in stored]
    assert not missing, f"{len(missing)} of {len(acknowledged)} lost"
    undelivered = [uid for uid, data in acknowledged.items() if data not in received]
    assert not undelivered, f"{len(undelivered)} of {len(acknowledged)} not delivered"
    node.kill()
