"""Lines of the checklists of Sorna Reviewer (RV) and MxView (MX), as far as storage reaches."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

from tests.bench.objects import Load, make_objects
from tests.checklists.far_archive import FarArchive, contexts_of
from tests.checklists.made import CT, EXPLICIT, IMPLICIT, made, store, store_all
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port, peer_table
from tests.peers.dcmtk import DcmtkStoreScp, echoscu
from tests.peers.programs import program, run
from tests.peers.raw_pdu import (
    A_ABORT,
    A_ASSOCIATE_RJ,
    associate_request,
    context_results,
    proposed_context,
)
from tests.peers.raw_peer import RawPeer, RawServer

BIG_ENDIAN = "1.2.840.10008.1.2.2"
VERIFICATION = "1.2.840.10008.1.1"
# The eight storage classes of MxView: CR, CT, enhanced CT, MR, enhanced MR, NM, SC, XA.
EIGHT = tuple(
    f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("1", "2", "2.1", "4", "4.1", "20", "7", "12.1")
)


def until(holds: Callable[[], object], why: Callable[[], str] = str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, why()
        time.sleep(0.05)


def test_rv_08_any_caller_where_the_profile_says_so_and_each_refusal_names_its_reason(
    tmp_path: Path,
) -> None:
    with NodeProcess(tmp_path / "node") as node:
        echoscu(node.port, called="GANTRY", calling="WHOEVER").check()
        for request, body in (
            (associate_request(called="OTHER"), bytes((0, 1, 1, 7))),
            (associate_request(application_context="1.2.3"), bytes((0, 1, 1, 2))),
            (associate_request(protocol_version=2), bytes((0, 1, 2, 2))),
        ):
            with RawPeer.connect(node.port) as peer:
                peer.send(request)
                assert peer.receive_pdu(A_ASSOCIATE_RJ).body == body


def test_rv_09_address_pdu_length_socket_options_and_time_out_are_as_configured(
    tmp_path: Path,
) -> None:
    more = '[entity.socket]\nkeep_alive = "33 s"\n[entity.timers]\nidle = "1 s"\n'
    node = NodeProcess(tmp_path / "node", more)
    text = node.configuration.read_text().replace(
        'addresses = ["127.0.0.1"]', 'addresses = ["127.0.0.2"]\nmaximum_pdu = 4096'
    )
    node.configuration.write_text(text)
    with node:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", node.port), 2)
        peer = RawPeer.connect(node.port, "127.0.0.2")
        accept = peer.associate(proposed_context(1, VERIFICATION, IMPLICIT))
        (information,) = [body for kind, body in accept.items() if kind == 0x50]
        assert b"\x51\0\0\4\0\0\x10\0" in information
        said = subprocess.run(
            ["ss", "-tnoi", "sport", "=", f":{node.port}"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        assert "keepalive,3" in said
        begun = time.monotonic()
        assert peer.receive_pdu().kind == A_ABORT
        assert 0.5 < time.monotonic() - begun < 5
        peer.close()


def test_rv_10_the_own_syntax_and_separately_the_uncompressed_ones_are_proposed(
    tmp_path: Path,
) -> None:
    with (
        FarArchive() as far,
        NodeProcess(tmp_path / "node", peer_table("FAR", far.port)) as node,
    ):
        assert store_all(node.port, (1, CT)) == [0]
        until(lambda: far.stored, lambda: node.log)
        proposed = [each.transfer_syntaxes for each in contexts_of(far.requests[0])]
        assert proposed == [(EXPLICIT,), (IMPLICIT, BIG_ENDIAN)]
        assert far.stored[0].transfer_syntax == EXPLICIT
        assert far.stored[0].data_set == made(1)[1]


def test_rv_14_twenty_destinations_are_sent_to_at_once(tmp_path: Path) -> None:
    release = threading.Event()
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(RawServer()) for _ in range(20)]
        more = "[delivery]\nassociations = 20\n" + "".join(
            peer_table(f"FAR{number}", server.port) for number, server in enumerate(servers)
        )
        held: list[str] = []

        def serve(server: RawServer) -> None:
            far = server.accept()
            far.accept_association()
            held.append(far.receive_message().command[0x1000].decode())
            release.wait(20)
            far.close()

        threads = [threading.Thread(target=serve, args=(server,)) for server in servers]
        for each in threads:
            each.start()
        with NodeProcess(tmp_path / "node", more) as node:
            assert store_all(node.port, (1, CT)) == [0]
            until(lambda: len(held) == 20, lambda: node.log)
            release.set()
        for each in threads:
            each.join()


def test_mx_11_an_association_stays_for_the_next_object_and_is_released_when_it_is_idle(
    tmp_path: Path,
) -> None:
    with RawServer() as server:
        table = peer_table("FAR", server.port)
        table = table.replace("[peer.retry]", '[peer.window]\nidle = "1.5 s"\n[peer.retry]')
        with NodeProcess(tmp_path / "node", table) as node:
            assert store_all(node.port, (1, CT)) == [0]
            far = server.accept()
            far.accept_association()
            for number in (1, 2):
                if number == 2:
                    assert store_all(node.port, (2, CT)) == [0]
                message = far.receive_message()
                answer(far, message)
            begun = time.monotonic()
            assert far.receive_pdu().kind == 5  # A-RELEASE-RQ, not an abort
            assert 1.0 < time.monotonic() - begun < 4
            far.close()


def answer(far: RawPeer, message: Any) -> None:
    from tests.peers.raw_pdu import response

    far.send_message(message.context, response(message.command, 0))


def test_mx_12_verification_in_all_syntaxes_and_four_outcomes_told_apart(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node") as node, RawPeer.connect(node.port) as peer:
        accept = peer.associate(
            *(
                proposed_context(number, VERIFICATION, syntax)
                for number, syntax in ((1, IMPLICIT), (3, EXPLICIT), (5, BIG_ENDIAN))
            )
        )
        assert {result for result, _ in context_results(accept).values()} == {0}
        assert peer.echo(5) == 0
        peer.release()
        good = gantry("echo", f"127.0.0.1:{node.port}", "--called", "GANTRY")
        wrong = gantry("echo", f"127.0.0.1:{node.port}", "--called", "NOBODY")
    nobody = gantry("echo", f"127.0.0.1:{free_port()}")
    with RawServer() as silent:
        hole = gantry("echo", f"127.0.0.1:{silent.port}", "--timeout", "1")
    assert (good.returncode, wrong.returncode, nobody.returncode) == (0, 1, 3)
    assert hole.returncode in (1, 3)
    words = [each.output.splitlines()[0] for each in (good, wrong, nobody, hole)]
    assert "0000H Success" in words[0]
    assert "called-AE-title-not-recognized" in words[1]
    assert "nothing listens there" in words[2]
    assert len(set(words)) == 4


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
def test_mx_18_eight_classes_are_received_and_sent_in_three_syntaxes_unchanged(
    tmp_path: Path, start_peer: Any, syntax: str
) -> None:
    option = {IMPLICIT: "+ti", EXPLICIT: "+te", BIG_ENDIAN: "+tb"}[syntax]
    far = start_peer(DcmtkStoreScp(tmp_path / "far"))
    source = str(get_testdata_file("MR_small.dcm"))
    sent: set[bytes] = set()
    with NodeProcess(tmp_path / "node", peer_table("FAR", far.port)) as node:
        for number, sop_class in enumerate(EIGHT):
            path = tmp_path / f"{number}.dcm"
            run([program("dcmtk", "dcmconv"), option, source, path]).check()
            changes = ["-m", f"0008,0016={sop_class}", "-m", f"0008,0018=1.2.3.{number}"]
            run([program("dcmtk", "dcmodify"), "-nb", *changes, path]).check()
            only = {IMPLICIT: "-xi", EXPLICIT: "-xe", BIG_ENDIAN: "-xb"}[syntax]
            run(
                [
                    program("dcmtk", "storescu"),
                    only,
                    "-aec",
                    "GANTRY",
                    "127.0.0.1",
                    str(node.port),
                    path,
                ]
            ).check()
        from tests.peers.sample_files import data_set_bytes

        node.wait_until_delivered("FAR")
        sent = {data_set_bytes(each) for each in node.objects()}
        assert len(sent) == 8
        assert {data_set_bytes(each) for each in far.wait_for_files(8)} == sent


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A mounted file system of 8 MiB."""
    folder = tmp_path / "volume"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "gantry-test", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


def test_mx_20_a_full_disk_answers_a701_and_the_next_object_is_taken_when_there_is_room(
    tmp_path: Path, volume: Path
) -> None:
    files = sorted(make_objects(tmp_path / "objects", Load("x", 1 << 20, 12)).iterdir())
    more = (
        '[entity.status]\ndisk_full = "A701"\n[[archive]]\nname = "main"\n'
        f'folder = "{volume}/archive"\nreserve = "1 MiB"\nhigh_watermark = 1.0\n'
    )
    sender = [program("dcmtk", "storescu"), "-d", "-aec", "GANTRY", "127.0.0.1"]
    with NodeProcess(tmp_path / "node", more) as node:
        said = [run([*sender, str(node.port), each]).output for each in files]
        taken = sum("0x0000: Success" in each for each in said)
        assert "0xa701" in said[-1].lower()
        assert node.ask("status")["archives"][0]["counts"]["instances"] == taken
        for study in node.ask("studies")["items"]:
            node.ask("delete", level="study", uid=study["study_instance_uid"])
        assert "0x0000: Success" in run([*sender, str(node.port), files[-1]]).output


def test_mx_22_two_titles_are_two_archives_and_a_volume_that_is_away_is_a_failure(
    tmp_path: Path, volume: Path
) -> None:
    other = free_port()
    more = (
        f'[[archive]]\nname = "main"\n[[archive]]\nname = "second"\nfolder = "{volume}/archive"\n'
        f'volume = "{volume}"\nreserve = 0\n[[entity]]\nname = "SECOND"\nport = {other}\n'
        'archive = "second"\n'
        'addresses = ["127.0.0.1"]\n[entity.accept]\ncalling = "any"\n'
        '[[entity.service]]\nname = "storage"\n'
    )
    with NodeProcess(tmp_path / "node", more) as node:
        assert store_all(node.port, (1, CT)) == [0]
        assert store_all(other, (2, CT), called="SECOND") == [0]
        counts = {
            each["name"]: each["counts"]["instances"] for each in node.ask("status")["archives"]
        }
        assert counts == {"main": 1, "second": 1}
        subprocess.run(["umount", "-l", volume], check=True)
        with RawPeer.connect(other) as peer:
            peer.associate(proposed_context(1, CT, EXPLICIT), called="SECOND")
            until(lambda: store(peer, 3) != 0, lambda: node.log)
        assert store_all(node.port, (4, CT)) == [0]
