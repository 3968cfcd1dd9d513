"""PS3.4 Annex GG as SCP: objects of no patient, stored without any change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.dataset.sop_classes import NON_PATIENT
from tests.checklists.far_archive import COMMON_EXTENDED, EXTENDED, user_items
from tests.checklists.made import EXPLICIT, made, store_all
from tests.checklists.test_ps34_verification_and_negotiation import extended
from tests.node.running import NodeProcess
from tests.peers.raw_pdu import (
    c_store_request,
    context_results,
    proposed_context,
    status_of,
    user_information,
)
from tests.peers.raw_peer import RawPeer
from tests.peers.sample_files import data_set_bytes

HANGING_PROTOCOL = "1.2.840.10008.5.1.4.38.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
# Three ways to take these classes: by their service, listed under storage, and with all the rest.
TITLES = ("OWN", "LISTED", "ANY")
OFFENDING, COMMENT = 0x0901, 0x0902


def _entities(port: int) -> str:
    head = (
        'port = {port}\naddresses = ["127.0.0.1"]\n[entity.accept]\ncalling = "any"\n'
        '[entity.storage]\ncoercion = 1\nunknown_sop_classes = "{unknown}"\n'
        '[entity.status]\nunparsable = "C0FE"\nmismatch = "A9FE"\ndisk_full = "A7FE"\n'
        '[[entity.service]]\nname = "{service}"\nroles = ["scp"]\nsop_classes = [{classes}]\n'
    )
    rows = (
        ("OWN", "non-patient-object-storage", '"non-patient-all"', "announced"),
        ("LISTED", "storage", f'"{CT}", "non-patient-all"', "announced"),
        ("ANY", "storage", f'"{CT}"', "accept"),
    )
    return "".join(
        f'[[entity]]\nname = "{title}"\n'
        + head.format(port=port, service=service, classes=classes, unknown=unknown)
        for title, service, classes, unknown in rows
    )


def _node(folder: Path, more: str = "") -> NodeProcess:
    node = NodeProcess(folder)
    change = '[[route]]\nname = "coerce"\non_receipt = [{ attribute = "PatientID", set = "NEW" }]\n'
    only = '[route.match]\nentity = ["OWN", "LISTED", "ANY"]\n'
    node.write(_entities(node.port) + change + only + more)
    return node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with _node(tmp_path_factory.mktemp("non-patient") / "node") as running:
        yield running


def sent(port: int, called: str, uid: str, data: bytes) -> dict[int, bytes]:
    """The command set of the response to a hanging protocol."""
    with RawPeer.connect(port) as peer:
        peer.associate(proposed_context(1, HANGING_PROTOCOL, EXPLICIT), called=called)
        peer.send_message(1, c_store_request(HANGING_PROTOCOL, uid), data)
        command = peer.receive_message().command
        peer.release()
        return command


@pytest.mark.parametrize("called", TITLES)
def test_ps34_029_every_class_of_annex_gg_is_stored_without_any_change(
    node: NodeProcess, called: str
) -> None:
    before = set(node.objects())
    first = 100 * (1 + TITLES.index(called))
    numbered = list(enumerate(sorted(NON_PATIENT), first))
    assert len(numbered) == 9
    assert store_all(node.port, *numbered, called=called) == [0] * 9
    kept = {data_set_bytes(path) for path in set(node.objects()) - before}
    assert kept == {made(number, uid)[1] for number, uid in numbered}


def test_ps34_029_what_is_changed_of_other_classes_is_not_of_these(node: NodeProcess) -> None:
    assert store_all(node.port, (50, CT), (51, HANGING_PROTOCOL), called="ANY") == [0xB000, 0]
    kept = {data_set_bytes(path) for path in node.objects()}
    assert made(51, HANGING_PROTOCOL)[1] in kept
    assert made(50, CT)[1] not in kept


@pytest.mark.parametrize("called", TITLES)
def test_ps34_029_extended_negotiation_is_not_answered(node: NodeProcess, called: str) -> None:
    with RawPeer.connect(node.port) as peer:
        accept = peer.associate(
            proposed_context(1, HANGING_PROTOCOL, EXPLICIT),
            called=called,
            user=user_information(extended(HANGING_PROTOCOL, bytes.fromhex("030000000200"))),
        )
        peer.release()
    assert context_results(accept)[1] == (0, EXPLICIT)
    assert not {EXTENDED, COMMON_EXTENDED} & {kind for kind, _ in user_items(accept)}


@pytest.mark.parametrize("called", TITLES)
def test_ps34_029_failures_are_the_values_of_table_gg_4_1_whatever_is_configured(
    node: NodeProcess, called: str
) -> None:
    before = node.objects()
    uid, data = made(60, HANGING_PROTOCOL)
    mismatch = sent(node.port, called, "1.2.3.4", data)
    assert status_of(mismatch) == 0xA900
    assert OFFENDING in mismatch or COMMENT in mismatch
    broken = sent(node.port, called, uid, data[:60])
    assert status_of(broken) == 0xC000
    assert COMMENT in broken
    invalid = sent(node.port, called, "1.2..3", data)
    assert status_of(invalid) == 0xC000
    assert node.objects() == before


@pytest.mark.parametrize("called", TITLES)
def test_ps34_029_no_room_is_a700_with_a_comment_whatever_is_configured(
    tmp_path: Path, called: str
) -> None:
    full = '[[archive]]\nname = "main"\nquota = "1 MiB"\n'
    statuses = []
    with _node(tmp_path / "node", full) as node:
        for number in range(8):
            uid, data = made(number, HANGING_PROTOCOL, size=300_000)
            answer = sent(node.port, called, uid, data)
            statuses.append(status_of(answer))
            if statuses[-1]:
                break
        assert set(statuses) == {0, 0xA700}
        assert answer[COMMENT].strip()
        assert len(node.objects()) == statuses.count(0)
