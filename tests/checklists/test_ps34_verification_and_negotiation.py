"""PS3.4 Annex A, and B.3 as acceptor: what is on the wire when an association is negotiated."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.dataset.sop_classes import IMPLIED_AS_SCP, SOP_CLASSES
from tests.checklists.far_archive import (
    COMMON_EXTENDED,
    EXTENDED,
    FarArchive,
    contexts_of,
    extended_items_of,
    user_items,
)
from tests.checklists.made import CT, EXPLICIT, IMPLICIT, made
from tests.node.running import ENVIRONMENT, NodeProcess
from tests.peers import dcmtk
from tests.peers.raw_pdu import (
    Pdu,
    c_echo_request,
    c_store_request,
    context_results,
    item,
    proposed_context,
    status_of,
    user_information,
)
from tests.peers.raw_peer import RawPeer
from tests.peers.sample_files import data_set_bytes

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_SERVICE_CLASS = "1.2.840.10008.4.2"
PRIVATE = "1.2.826.0.1.3680043.9.1.1"
GRAYSCALE_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
ACCEPTED, NOT_SUPPORTED = 0, 3


def extended(sop_class: str, information: bytes) -> bytes:
    """Sub-item 56H (PS3.7 D.3.3.5)."""
    uid = sop_class.encode()
    return item(EXTENDED, struct.pack(">H", len(uid)) + uid + information)


def announced(sop_class: str, service_class: str, *related: str) -> bytes:
    """Sub-item 57H (PS3.7 D.3.3.6)."""

    def counted(text: str) -> bytes:
        return struct.pack(">H", len(text)) + text.encode()

    general = b"".join(counted(uid) for uid in related)
    return item(
        COMMON_EXTENDED,
        counted(sop_class) + counted(service_class) + struct.pack(">H", len(general)) + general,
    )


def entity(port: int, title: str, *storage: str, sop_classes: str = '"storage-all"') -> str:
    """An entity beside the one of the node, on its port, told apart by the called title."""
    behaviour = "\n".join(storage)
    return (
        f'[[entity]]\nname = "{title}"\nport = {port}\naddresses = ["127.0.0.1"]\n'
        f'[entity.accept]\ncalling = "any"\n[entity.storage]\n{behaviour}\n'
        f'[[entity.service]]\nname = "storage"\nroles = ["scp"]\nsop_classes = [{sop_classes}]\n'
    )


def negotiated(port: int, called: str, *sub_items: bytes, sop_class: str = CT) -> Pdu:
    """The A-ASSOCIATE-AC for one storage class, with these sub-items."""
    with RawPeer.connect(port) as peer:
        accept = peer.associate(
            proposed_context(1, sop_class, EXPLICIT, IMPLICIT),
            called=called,
            user=user_information(*sub_items),
        )
        peer.release()
        return accept


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node whose entities differ in what they say of themselves, and in what they take."""
    made_node = NodeProcess(tmp_path_factory.mktemp("node") / "node")
    port = made_node.port
    parts = [
        entity(port, "COERCES", "coercion = 1", "signature_level = 1"),
        entity(port, "BASE", "level = 1"),
        entity(port, "LOCAL", "level = 0", 'unknown_sop_classes = "accept"'),
        entity(port, "REFUSES", 'unknown_sop_classes = "refuse"'),
        entity(port, "CT-ONLY", sop_classes=f'"{CT}"'),
    ]
    for number, uid in enumerate(IMPLIED_AS_SCP):
        parts.append(entity(port, f"IMPLIES{number}", sop_classes=f'"{uid}"'))
    made_node.write("".join(parts))
    with made_node:
        yield made_node


@pytest.mark.peer
def test_ps34_008_echoes_are_answered_on_their_context_and_the_association_stays_open(
    node: NodeProcess,
) -> None:
    dcmtk.echoscu(node.port, "--repeat", "3").check()
    with RawPeer.connect(node.port) as peer:
        peer.associate(
            proposed_context(3, CT, EXPLICIT), proposed_context(7, VERIFICATION, IMPLICIT)
        )
        for message_id in (1, 2):
            peer.send_message(7, c_echo_request(message_id))
            answer = peer.receive_message()
            assert answer.context == 7
            assert answer.command[0x0100] == b"\x30\x80"
            assert answer.command[0x0120] == message_id.to_bytes(2, "little")
            assert status_of(answer.command) == 0
        peer.release()


def test_ps34_009_a_request_for_verification_has_no_extended_negotiation(tmp_path: Path) -> None:
    with FarArchive() as far:
        words = ["-m", "agent.cli.main", "echo", f"127.0.0.1:{far.port}"]
        subprocess.run([sys.executable, *words], check=True, env=ENVIRONMENT, cwd=tmp_path)
        (request,) = far.requests
        assert [each.abstract_syntaxes for each in contexts_of(request)] == [(VERIFICATION,)]
        kinds = {kind for kind, _ in user_items(request)}
        assert kinds >= {0x51, 0x52}
        assert not kinds & {EXTENDED, COMMON_EXTENDED}


@pytest.mark.parametrize(
    ("called", "said"),
    [
        ("GANTRY", "020003000000"),
        ("COERCES", "020001000100"),
        ("BASE", "010000000000"),
        ("LOCAL", "000000000000"),
    ],
)
def test_ps34_018_the_answer_is_six_bytes_with_our_own_capability(
    node: NodeProcess, called: str, said: str
) -> None:
    for offered in ("030000000200", "020003000100", "000000000000"):
        accept = negotiated(node.port, called, extended(CT, bytes.fromhex(offered)))
        assert extended_items_of(accept) == [(CT, bytes.fromhex(said))]


def test_ps34_019_reserved_bytes_of_the_offer_are_not_tested(node: NodeProcess) -> None:
    accept = negotiated(node.port, "GANTRY", extended(CT, bytes.fromhex("03ff00ff02ff")))
    assert context_results(accept)[1] == (ACCEPTED, EXPLICIT)
    assert extended_items_of(accept) == [(CT, bytes.fromhex("020003000000"))]


def test_ps34_020_without_an_item_in_the_request_there_is_none_in_the_answer(
    node: NodeProcess,
) -> None:
    accept = negotiated(node.port, "GANTRY")
    assert context_results(accept)[1] == (ACCEPTED, EXPLICIT)
    assert not {EXTENDED, COMMON_EXTENDED} & {kind for kind, _ in user_items(accept)}


def test_ps34_020_nor_is_there_one_for_a_class_that_was_not_accepted(node: NodeProcess) -> None:
    offer = bytes.fromhex("030000000200")
    accept = negotiated(node.port, "GANTRY", extended(PRIVATE, offer), sop_class=PRIVATE)
    assert context_results(accept)[1][0] == NOT_SUPPORTED
    assert extended_items_of(accept) == []


@pytest.mark.parametrize(
    ("called", "announcement", "result"),
    [
        ("GANTRY", announced(PRIVATE, STORAGE_SERVICE_CLASS), ACCEPTED),
        ("GANTRY", announced(PRIVATE, STORAGE_SERVICE_CLASS, CT), ACCEPTED),
        ("GANTRY", announced(PRIVATE, "1.2.826.0.1.3680043.9.2"), NOT_SUPPORTED),
        ("GANTRY", b"", NOT_SUPPORTED),
        ("BASE", announced(PRIVATE, STORAGE_SERVICE_CLASS), NOT_SUPPORTED),
        ("LOCAL", announced(PRIVATE, STORAGE_SERVICE_CLASS), NOT_SUPPORTED),
        ("REFUSES", announced(PRIVATE, STORAGE_SERVICE_CLASS), NOT_SUPPORTED),
    ],
)
def test_ps34_024_an_unknown_class_is_accepted_as_storage_by_level_2_where_announced(
    node: NodeProcess, called: str, announcement: bytes, result: int
) -> None:
    accept = negotiated(
        node.port, called, *([announcement] if announcement else []), sop_class=PRIVATE
    )
    assert context_results(accept)[1][0] == result


def test_ps34_024_an_object_of_an_unknown_class_is_kept_byte_for_byte(node: NodeProcess) -> None:
    before = set(node.objects())
    uid, data = made(24, PRIVATE)
    with RawPeer.connect(node.port) as peer:
        peer.associate(
            proposed_context(1, PRIVATE, EXPLICIT),
            user=user_information(announced(PRIVATE, STORAGE_SERVICE_CLASS)),
        )
        peer.send_message(1, c_store_request(PRIVATE, uid), data)
        assert status_of(peer.receive_message().command) == 0
        peer.release()
    (kept,) = set(node.objects()) - before
    assert data_set_bytes(kept) == data


@pytest.mark.parametrize("number", range(len(IMPLIED_AS_SCP)))
def test_ps34_027_an_enhanced_class_brings_its_presentation_state(
    node: NodeProcess, number: int
) -> None:
    uid, state = list(IMPLIED_AS_SCP.items())[number]
    with RawPeer.connect(node.port) as peer:
        accept = peer.associate(
            proposed_context(1, uid, EXPLICIT),
            proposed_context(3, state, EXPLICIT),
            proposed_context(5, CT, EXPLICIT),
            called=f"IMPLIES{number}",
        )
        peer.release()
    results = {identifier: result for identifier, (result, _) in context_results(accept).items()}
    assert results == {1: ACCEPTED, 3: ACCEPTED, 5: NOT_SUPPORTED}


def test_ps34_027_other_classes_bring_none(node: NodeProcess) -> None:
    accept = negotiated(node.port, "CT-ONLY", sop_class=GRAYSCALE_STATE)
    assert context_results(accept)[1][0] == NOT_SUPPORTED


def claimed() -> list[str]:
    """The SOP classes that the conformance statement of the profile says are accepted."""
    words = [sys.executable, "-m", "agent.cli.main", "conformance", "gateway"]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    table = done.stdout.split("### Presentation contexts accepted")[1].split("###")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")]
    return [row[2].strip() for row in rows if row[2].strip()[:2] == "1."]


def test_ps34_028_every_class_of_the_statement_is_accepted_and_others_one_by_one_refused(
    node: NodeProcess,
) -> None:
    wanted = claimed()
    appendix = {uid for uid, row in SOP_CLASSES.items() if row.table == "B.5-1"}
    assert len(appendix) == 170
    assert appendix < set(wanted)
    others = [f"{PRIVATE}.{number}" for number in range(64)]
    for start in range(0, len(wanted), 64):
        proposed = [*wanted[start : start + 64], *others]
        with RawPeer.connect(node.port) as peer:
            accept = peer.associate(
                *(
                    proposed_context(2 * index + 1, uid, EXPLICIT, IMPLICIT)
                    for index, uid in enumerate(proposed)
                )
            )
            peer.release()
        results = context_results(accept)
        for index, uid in enumerate(proposed):
            result = ACCEPTED if uid in wanted else NOT_SUPPORTED
            assert results[2 * index + 1][0] == result, uid
