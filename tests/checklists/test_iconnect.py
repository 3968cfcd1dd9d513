"""Lines 1 to 20 of the checklist of the iConnect Access statement, as far as storage reaches."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checklists.far_archive import FarArchive, user_items
from tests.checklists.made import CT, EXPLICIT, made, store, store_all
from tests.node.running import NodeProcess, free_port, peer_table
from tests.peers.dcmtk import echoscu
from tests.peers.raw_pdu import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    P_DATA_TF,
    associate_request,
    asynchronous_window,
    c_store_request,
    context_results,
    proposed_context,
    role_selection,
    user_information,
)
from tests.peers.raw_peer import PeerClosed, RawPeer, RawServer

VERIFICATION = "1.2.840.10008.1.1"
RLE = "1.2.840.10008.1.2.5"
STRUCTURED_REPORT = "1.2.840.10008.5.1.4.1.1.88.11"


def until(holds: Callable[[], object], why: Callable[[], str] = str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, why()
        time.sleep(0.05)


def three_entities(folder: Path) -> tuple[NodeProcess, dict[str, int]]:
    ports = {name: free_port() for name in ("TRF_HOST", "ABCDEFGHIJKLMNOP")}
    more = "".join(
        f'[[entity]]\nname = "{name}"\nport = {port}\naddresses = ["127.0.0.1"]\n'
        '[entity.accept]\ncalling = "any"\n[[entity.service]]\nname = "verification"\n'
        for name, port in ports.items()
    )
    node = NodeProcess(folder, more)
    return node, {"GANTRY": node.port, **ports}


def test_ic_01_three_entities_of_one_process_answer_under_their_titles_and_ports(
    tmp_path: Path,
) -> None:
    node, ports = three_entities(tmp_path / "node")
    with node:
        for title, port in ports.items():
            echoscu(port, called=title).check()


def test_ic_02_a_called_title_that_is_nobodys_is_rejected_with_reason_7_everywhere(
    tmp_path: Path,
) -> None:
    node, ports = three_entities(tmp_path / "node")
    with node:
        for port in ports.values():
            with RawPeer.connect(port) as peer:
                peer.send(associate_request(called="NOBODY"))
                assert peer.receive_pdu(A_ASSOCIATE_RJ).body == bytes((0, 1, 1, 7))
        # Of sixteen characters, none is cut off.
        echoscu(ports["ABCDEFGHIJKLMNOP"], called="ABCDEFGHIJKLMNOP").check()


def test_ic_03_a_list_of_callers_can_be_switched_on_and_rejects_with_reason_3(
    tmp_path: Path,
) -> None:
    allowed = 'calling = "titles"\ncalling_titles = ["KNOWN"]'
    with NodeProcess(tmp_path / "node", accept=allowed) as node:
        echoscu(node.port, called="GANTRY", calling="KNOWN").check()
        with RawPeer.connect(node.port) as peer:
            peer.send(associate_request(calling="UNKNOWN"))
            assert peer.receive_pdu(A_ASSOCIATE_RJ).body == bytes((0, 1, 1, 3))


def test_ic_06_a_window_that_is_offered_is_answered_with_one_or_left_out(tmp_path: Path) -> None:
    offered = user_information(
        asynchronous_window(8, 8), role_selection(VERIFICATION, scu=True, scp=True)
    )
    one = "[entity.limits]\noperations_performed = 1\n"
    with (
        FarArchive() as far,
        NodeProcess(tmp_path / "node", one + peer_table("FAR", far.port)) as node,
    ):
        with RawPeer.connect(node.port) as peer:
            accept = peer.associate(user=offered)
            (information,) = [body for kind, body in accept.items() if kind == 0x50]
            assert b"\x53\x00\x00\x04" not in information
            # The role that we do not play is not granted.
            role = information[information.index(b"\x54\x00") :][4:]
            assert role.endswith(b"\x01\x00") or b"\x01\x00" in role[:23]
        assert store_all(node.port, (1, CT)) == [0]
        until(lambda: far.stored)
        (request,) = far.requests
        kinds = {kind for kind, _ in user_items(request)}
        assert not kinds & {0x53, 0x54}


@pytest.mark.parametrize("length", [4096, 16384, 131072, 0])
def test_ic_07_the_maximum_length_of_the_peer_is_never_exceeded(
    tmp_path: Path, length: int
) -> None:
    with RawServer() as server:
        with NodeProcess(tmp_path / "node", peer_table("FAR", server.port)) as node:
            with RawPeer.connect(node.port) as peer:
                peer.associate(proposed_context(1, CT, EXPLICIT))
                assert store(peer, 1, size=700_000) == 0
                peer.release()
            far = server.accept()
            far.accept_association(user=user_information(maximum_length=length))
            total, longest = 0, 0
            while total < 700_000:
                received = far.receive_pdu(P_DATA_TF)
                total += len(received.body)
                longest = max(longest, len(received.body))
            assert longest <= (length or 1 << 30)
            if length:
                assert longest > length - 16
            far.close()


def test_ic_11_sixteen_associations_at_once_are_all_served(tmp_path: Path) -> None:
    done: list[int] = []

    def sender(number: int) -> None:
        with RawPeer.connect(node.port) as peer:
            peer.associate(proposed_context(1, CT, EXPLICIT))
            ready.wait(20)
            done.extend(store(peer, number * 10 + each, size=100_000) for each in range(5))
            peer.release()

    ready = threading.Barrier(16)
    with NodeProcess(tmp_path / "node") as node:
        senders = [threading.Thread(target=sender, args=(number,)) for number in range(16)]
        for each in senders:
            each.start()
        for each in senders:
            each.join(60)
        assert done == [0] * 80
        assert len(node.objects()) == 80


def test_ic_13_what_is_not_offered_is_refused_with_result_3_or_4(tmp_path: Path) -> None:
    more = (
        '[[entity.service]]\nname = "storage"\nsop_classes = ["CTImageStorage"]\n'
        'transfer_syntaxes = ["explicit"]\n[entity.storage]\nunknown_sop_classes = "refuse"\n'
    )
    with NodeProcess(tmp_path / "node", more) as node, RawPeer.connect(node.port) as peer:
        accept = peer.associate(
            proposed_context(1, CT, EXPLICIT),
            proposed_context(3, CT, RLE),
            proposed_context(5, STRUCTURED_REPORT, EXPLICIT),
        )
        results = {number: result for number, (result, _) in context_results(accept).items()}
        assert results == {1: 0, 3: 4, 5: 3}


def test_ic_14_an_object_is_not_transcoded_where_that_is_switched_off(tmp_path: Path) -> None:
    with FarArchive(takes=lambda context: EXPLICIT not in context.transfer_syntaxes) as far:
        table = peer_table("FAR", far.port).replace("[peer.retry]", "convert = false\n[peer.retry]")
        node = NodeProcess(tmp_path / "node", table).start()
        try:
            assert store_all(node.port, (1, CT)) == [0]
            until(lambda: node.queue("FAR").get("held"), lambda: node.log)
            (job,) = node.ask("queue")["items"]
            assert "does not take" in job["reason"]
            assert far.stored == []
        finally:
            node.kill()


def test_ic_15_storing_neither_checks_nor_mends(tmp_path: Path) -> None:
    uid, data = made(1)
    # A date that is none, a VR of the future, a text that is too long for its VR.
    odd = (
        data.replace(b"OT", b"ot")
        + struct.pack("<HH2sH", 0x7FDF, 0x0010, b"DA", 10)
        + b"2003.03.20"
    )
    with NodeProcess(tmp_path / "node") as node, RawPeer.connect(node.port) as peer:
        peer.associate(proposed_context(1, CT, EXPLICIT))
        peer.send_message(1, c_store_request(CT, uid), odd)
        peer.receive_message()
        peer.release()
        (path,) = node.objects()
        assert path.read_bytes().endswith(odd)


def test_ic_19_a_store_that_times_out_is_tried_again_and_the_rest_goes_on(tmp_path: Path) -> None:
    with RawServer() as server:
        table = peer_table("FAR", server.port).replace(
            "[peer.retry]", '[peer.timers]\ndimse = "1 s"\n[peer.retry]'
        )
        with NodeProcess(tmp_path / "node", table) as node:
            assert store_all(node.port, (1, CT)) == [0]
            far = server.accept()
            far.accept_association()
            far.receive_message()
            # No answer: A-ABORT comes, then another association with the same object.
            assert far.receive_pdu().kind == A_ABORT
            again = server.accept()
            again.accept_association()
            message = again.receive_message()
            assert message.command[0x1000].rstrip(b"\0").decode() == made(1)[0]
            again.close()
            far.close()


def test_ic_20_a_class_can_be_taken_in_uncompressed_syntaxes_only(tmp_path: Path) -> None:
    more = (
        '[[entity.service]]\nname = "storage"\nsop_classes = ["CTImageStorage"]\n'
        '[[entity.service]]\nname = "reports"\nservice = "storage"\n'
        'sop_classes = ["BasicTextSRStorage"]\ntransfer_syntaxes = ["implicit", "explicit"]\n'
    )
    with NodeProcess(tmp_path / "node", more) as node, RawPeer.connect(node.port) as peer:
        accept = peer.associate(
            proposed_context(1, CT, RLE),
            proposed_context(3, STRUCTURED_REPORT, RLE),
            proposed_context(5, STRUCTURED_REPORT, RLE, EXPLICIT),
        )
        assert context_results(accept) == {1: (0, RLE), 3: (4, RLE), 5: (0, EXPLICIT)}


def test_ic_10_two_deliveries_use_one_association_while_it_is_kept(tmp_path: Path) -> None:
    for window, associations in (('idle = "60 s"\n', 1), ("reuse = false\n", 2)):
        with FarArchive() as far:
            table = peer_table("FAR", far.port)
            table = table.replace("[peer.retry]", f"[peer.window]\n{window}[peer.retry]")
            with NodeProcess(tmp_path / f"node{associations}", table) as node:
                for number in (1, 2):
                    assert store_all(node.port, (number, CT)) == [0]
                    until(lambda number=number: len(far.stored) == number)  # type: ignore[misc]
                assert len(far.requests) == associations


def test_ic_08_a_silent_caller_loses_its_place_at_each_stage(tmp_path: Path) -> None:
    timers = '[entity.timers]\nassociation = "0.5 s"\nidle = "1 s"\nprogress = "1 s"\n'
    with NodeProcess(tmp_path / "node", timers) as node:
        before_request = RawPeer.connect(node.port)
        within_request = RawPeer.connect(node.port)
        within_request.send(associate_request()[:20])
        idle = RawPeer.connect(node.port)
        idle.send(associate_request())
        idle.receive_pdu(A_ASSOCIATE_AC)
        within_message = RawPeer.connect(node.port)
        within_message.associate(proposed_context(1, CT, EXPLICIT))
        within_message.send(b"\4\0\0\0\1\0")
        for peer in (before_request, within_request, idle, within_message):
            with pytest.raises((PeerClosed, AssertionError, socket.timeout)):
                while True:
                    if peer.receive_pdu().kind == A_ABORT:
                        raise PeerClosed("aborted")
            peer.close()
        until(lambda: not node.ask("status")["associations"], lambda: node.log)
