"""Lines of the checklist of the C-DAC SDK statement (CD), as far as storage reaches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checklists.far_archive import FarArchive, user_items
from tests.checklists.made import CT, EXPLICIT, store, store_all
from tests.cli_of import gantry
from tests.node.running import NodeProcess, peer_table
from tests.peers.raw_pdu import (
    A_ASSOCIATE_RJ,
    abort,
    accepted_context,
    associate_request,
    proposed_context,
    response,
)
from tests.peers.raw_peer import RawPeer, RawServer

IMPLICIT = "1.2.840.10008.1.2"


def _answered(far: RawPeer, status: int) -> None:
    far.accept_association()
    message = far.receive_message()
    far.send_message(message.context, response(message.command, status))


def _refused(far: RawPeer) -> None:
    far.accept_association(accepted_context(1, 3, IMPLICIT))


def _aborted(far: RawPeer) -> None:
    far.accept_association()
    far.receive_message()
    far.send(abort(2, 1))


@pytest.mark.parametrize(
    ("peer_does", "status", "word"),
    [
        (lambda far: _answered(far, 0), 0, "0000H Success"),
        (lambda far: _answered(far, 0x0110), 1, "0110H"),
        (_refused, 1, "does not"),
        (_aborted, 1, "aborted"),
    ],
    ids=["success", "failure", "context refused", "aborted"],
)
def test_cd_04_the_exit_status_of_echo_tells_success_from_all_else_and_says_why(
    peer_does: Callable[[RawPeer], None], status: int, word: str
) -> None:
    with RawServer() as server:

        def serve() -> None:
            far = server.accept()
            peer_does(far)
            far.is_closed_by_peer()
            far.close()

        thread = threading.Thread(target=serve)
        thread.start()
        done = gantry("echo", f"127.0.0.1:{server.port}", "--timeout", "3")
        thread.join()
    assert done.returncode == status, done.output
    assert word in done.output


def _maximum_length(items: list[tuple[int, bytes]]) -> int:
    (content,) = [body for kind, body in items if kind == 0x51]
    return int.from_bytes(content, "big")


def test_cd_05_the_maximum_length_is_announced_as_configured_in_both_roles(
    tmp_path: Path,
) -> None:
    with FarArchive() as far:
        table = peer_table("FAR", far.port).replace(
            "[peer.retry]", "maximum_pdu = 16384\n[peer.retry]"
        )
        node = NodeProcess(tmp_path / "node", table)
        text = node.configuration.read_text()
        node.configuration.write_text(
            text.replace("[entity.accept]", "maximum_pdu = 32768\n[entity.accept]", 1)
        )
        with node:
            with RawPeer.connect(node.port) as peer:
                accept = peer.associate(proposed_context(1, CT, EXPLICIT))
                assert _maximum_length(user_items(accept)) == 32768
                assert store(peer, 1) == 0
                peer.release()
            node.wait_until_delivered("FAR")
            assert _maximum_length(user_items(far.requests[0])) == 16384


def test_cd_08_storage_takes_any_calling_title_and_a_list_can_be_set_for_it(
    tmp_path: Path,
) -> None:
    with NodeProcess(tmp_path / "node") as node:
        assert store_all(node.port, (1, CT)) == [0]
        with RawPeer.connect(node.port) as peer:
            peer.send(associate_request(called="WRONG"))
            assert peer.receive_pdu(A_ASSOCIATE_RJ).body == bytes((0, 1, 1, 7))
