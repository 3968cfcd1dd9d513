"""PS3.4 Annex B as SCP: what the node answers, and what is kept behind the answer."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from agent.dataset.sop_classes import FULL_STORAGE_REQUIRED
from tests.checklists.far_archive import FarArchive, extended_items_of
from tests.checklists.made import CT, EXPLICIT, instance_uid, made, store
from tests.checklists.test_ps34_verification_and_negotiation import extended
from tests.node.running import NodeProcess, free_port, peer_table
from tests.peers import dcmtk
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.pynetdicom_peer import pynetdicom_store, statuses
from tests.peers.raw_pdu import (
    abort,
    c_store_request,
    proposed_context,
    status_of,
    user_information,
)
from tests.peers.raw_peer import RawPeer
from tests.peers.sample_files import data_set_bytes, samples

VERIFICATION, IMPLICIT = "1.2.840.10008.1.1", "1.2.840.10008.1.2"
OFFENDING, COMMENT = 0x0901, 0x0902
PATIENT_ID = b"\x10\0\x20\0"


def until(holds: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def kept_by(node: NodeProcess) -> list[bytes]:
    return [data_set_bytes(path) for path in node.objects()]


def test_ps34_013_a_full_archive_answers_a7xx_with_a_comment_and_the_association_survives(
    tmp_path: Path,
) -> None:
    full = '[entity.status]\ndisk_full = "A7C1"\n[[archive]]\nname = "main"\nquota = "1 MiB"\n'
    with NodeProcess(tmp_path / "node", full) as node, RawPeer.connect(node.port) as peer:
        peer.associate(
            proposed_context(1, CT, EXPLICIT), proposed_context(3, VERIFICATION, IMPLICIT)
        )
        stored = 0
        while (status := store(peer, stored, size=300_000)) == 0:
            stored += 1
            assert stored < 10
        assert stored >= 3
        assert status == 0xA7C1
        uid, data = made(99, size=300_000)
        peer.send_message(1, c_store_request(CT, uid), data)
        refusal = peer.receive_message().command
        assert status_of(refusal) == 0xA7C1
        assert refusal[COMMENT].strip() == b"Archive quota is used up"
        assert peer.echo(3) == 0
        assert len(node.objects()) == stored
        assert node.ask("delete", level="study", uid="1.2.826.0.1.3680043.9.8.0", force=True)
        until(lambda: store(peer, 99, size=300_000) == 0)
        peer.release()
        assert data in kept_by(node)


@pytest.mark.parametrize("number", range(5))
def test_ps34_014_what_got_success_is_there_after_a_kill_right_behind_the_answer(
    tmp_path: Path, number: int
) -> None:
    port = free_port()
    with NodeProcess(tmp_path / "node", peer_table("FAR", port)) as node:
        with RawPeer.connect(node.port) as peer:
            peer.associate(proposed_context(1, CT, EXPLICIT))
            uid, data = made(number, size=200_000)
            peer.send_message(1, c_store_request(CT, uid), data)
            assert status_of(peer.receive_message().command) == 0
            node.kill()
        node.start()
        assert kept_by(node) == [data]
        (study,) = node.ask("studies")["items"]
        assert study["study_instance_uid"] == f"1.2.826.0.1.3680043.9.8.{number}"
        with DcmtkStoreScp(tmp_path / "far", port=port) as far:
            (arrived,) = far.wait_for_files(1)
            node.wait_until_delivered("FAR")
            assert data_set_bytes(arrived) == data


def test_ps34_016_level_2_holds_for_each_class_that_demands_it_of_who_forwards(
    tmp_path: Path,
) -> None:
    classes = sorted(FULL_STORAGE_REQUIRED)
    assert len(classes) >= 30
    offer = bytes.fromhex("030000000200")
    with (
        FarArchive() as far,
        NodeProcess(tmp_path / "node", peer_table("FAR", far.port)) as node,
    ):
        sent = {uid: made(number, uid) for number, uid in enumerate(classes)}
        with RawPeer.connect(node.port) as peer:
            accept = peer.associate(
                *(proposed_context(2 * n + 1, uid, EXPLICIT) for n, uid in enumerate(classes)),
                user=user_information(*(extended(uid, offer) for uid in classes)),
            )
            level_2 = bytes.fromhex("020003000000")
            assert dict(extended_items_of(accept)) == dict.fromkeys(classes, level_2)
            for number, uid in enumerate(classes):
                assert store(peer, number, uid, context=2 * number + 1) == 0
            peer.release()
        until(lambda: len(far.stored) == len(classes))
        for each in far.stored:
            assert (each.sop_instance_uid, each.data_set) == sent[each.sop_class_uid]
        assert len({each.sop_class_uid for each in far.stored}) == len(classes)


COERCION = (
    "[entity.storage]\ncoercion = 1\n"
    '[[route]]\nname = "coerce"\n'
    'on_receipt = [{ attribute = "PatientID", map = { "A17" = "4711" } }]\n'
)


def test_ps34_017_what_is_changed_on_receipt_is_answered_b000_and_only_that(
    tmp_path: Path,
) -> None:
    with NodeProcess(tmp_path / "node", COERCION) as node, RawPeer.connect(node.port) as peer:
        accept = peer.associate(
            proposed_context(1, CT, EXPLICIT),
            user=user_information(extended(CT, bytes.fromhex("030000000200"))),
        )
        assert extended_items_of(accept) == [(CT, bytes.fromhex("020001000100"))]
        uid, data = made(1, patient_id=b"A17 ")
        peer.send_message(1, c_store_request(CT, uid), data)
        answer = peer.receive_message().command
        assert status_of(answer) == 0xB000
        assert answer[OFFENDING] == PATIENT_ID
        assert answer[COMMENT].strip()
        assert store(peer, 2) == 0
        peer.release()
        kept = {dcmread(path).SOPInstanceUID: path for path in node.objects()}
        assert data_set_bytes(kept[instance_uid(2)]) == made(2)[1]
        changed = dcmread(kept[uid])
        assert changed.PatientID == "4711"
        (record,) = changed.OriginalAttributesSequence
        assert record.ModifiedAttributesSequence[0].PatientID == "A17"
        assert changed[0x00091001].value == bytes(range(10))


@pytest.mark.peer
def test_ps34_017_others_see_the_warning_too(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node", COERCION.replace('"A17"', '"1CT1"')) as node:
        chosen = next(each for each in samples() if each.path.name == "CT_small.dcm")
        told = statuses(pynetdicom_store(node.port, chosen.path))
        assert told == [0xB000]
        sent = dcmtk.storescu(node.port, chosen.path).check()
        assert "B000" in sent.output or "Coercion" in sent.output


def test_ps34_025_over_several_associations_in_any_order_everything_is_stored(
    tmp_path: Path,
) -> None:
    """Two studies mixed over four associations, two of them open at once, one ends by an abort."""

    def study_of(number: int) -> str:
        return f"1.2.826.0.1.3680043.9.8.{number % 2}"

    def send(peer: RawPeer, number: int) -> None:
        uid, data = made(number, study=number % 2)
        peer.send_message(1, c_store_request(CT, uid), data)
        assert status_of(peer.receive_message().command) == 0

    with NodeProcess(tmp_path / "node") as node:
        one, two = RawPeer.connect(node.port), RawPeer.connect(node.port)
        for peer in (one, two):
            peer.associate(proposed_context(1, CT, EXPLICIT))
        for number in (8, 3, 6):
            send(one, number)
            send(two, number + 10)
        one.release()
        send(two, 1)
        two.send(abort())
        two.close()
        for numbers in ((5, 2), (4, 20, 7)):
            with RawPeer.connect(node.port) as peer:
                peer.associate(proposed_context(1, CT, EXPLICIT))
                for number in numbers:
                    send(peer, number)
                peer.release()
        wanted = (8, 3, 6, 18, 13, 16, 1, 5, 2, 4, 20, 7)
        assert sorted(kept_by(node)) == sorted(made(n, study=n % 2)[1] for n in wanted)
        counts: dict[str, int] = defaultdict(int)
        for number in wanted:
            counts[study_of(number)] += 1
        listed = node.ask("studies")["items"]
        assert {each["study_instance_uid"]: each["instances"] for each in listed} == counts
