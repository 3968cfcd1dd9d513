"""The scripted peers: what they write by hand is understood by DCMTK and pynetdicom."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.peers.child_script import in_child
from tests.peers.dcmtk import DcmtkStoreScp, echoscu, storescu
from tests.peers.pynetdicom_peer import PynetdicomScp
from tests.peers.raw_pdu import (
    A_ABORT,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    VERIFICATION,
    associate_request,
    c_echo_request,
    c_store_request,
    context_results,
    fragments,
    pdu,
    proposed_context,
    read_command,
    response,
    status_of,
)
from tests.peers.raw_peer import PeerClosed, RawPeer, RawServer
from tests.peers.sample_files import Sample, assert_same_data_set, samples

pytestmark = pytest.mark.peer

RGB_IMAGE = next(sample for sample in samples() if sample.path.name == "SC_rgb_small_odd.dcm")


def test_echo_to_dcmtk_with_tiny_pdvs_in_segments_of_one_byte(
    dcmtk_storescp: DcmtkStoreScp,
) -> None:
    with RawPeer.connect(dcmtk_storescp.port) as peer:
        accept = peer.associate()
        assert context_results(accept) == {1: (0, IMPLICIT_VR_LITTLE_ENDIAN)}
        for encoded in fragments(1, c_echo_request(7), command=True, size=2):
            peer.drip(encoded)
        answer = peer.receive_message()
        assert status_of(answer.command) == 0
        assert answer.command[0x0120] == b"\x07\x00"
        peer.release()


def test_store_to_pynetdicom_is_byte_exact(pynetdicom_scp: PynetdicomScp) -> None:
    sample: Sample = RGB_IMAGE
    with RawPeer.connect(pynetdicom_scp.port) as peer:
        context = proposed_context(1, sample.sop_class_uid, sample.transfer_syntax_uid)
        peer.associate(context)
        command = c_store_request(sample.sop_class_uid, sample.sop_instance_uid)
        peer.send_message(1, command, sample.data_set(), size=1000)
        assert status_of(peer.receive_message().command) == 0
        peer.release()
    (received,) = pynetdicom_scp.wait_for_files(1)
    assert_same_data_set(received, sample.path)


def test_what_is_no_pdu_is_aborted_or_cut_off_by_dcmtk(dcmtk_storescp: DcmtkStoreScp) -> None:
    with RawPeer.connect(dcmtk_storescp.port) as peer:
        peer.send(pdu(0x99, b"what"))
        with suppress(PeerClosed):
            assert peer.receive_pdu().kind == A_ABORT
    echoscu(dcmtk_storescp.port).check()


def answer_one_association(server: RawServer, status: int) -> list[int]:
    """A scripted SCP: answers each message with the status until the release; the fields seen."""
    seen: list[int] = []
    with server.accept() as peer:
        peer.accept_association()
        while True:
            try:
                message = peer.receive_message()
            except AssertionError:
                return seen
            seen.append(int.from_bytes(message.command[0x0100], "little"))
            peer.send_message(message.context, response(message.command, status))


def test_a_scripted_acceptor_in_a_child_serves_dcmtk() -> None:
    with RawServer() as server, in_child(answer_one_association, server, 0xA700) as script:
        done = storescu(server.port, RGB_IMAGE.path)
        assert "A700" in done.output or "OutOfResources" in done.output.replace(" ", "")
        assert script.result() == [0x0001]


def test_what_a_scripted_peer_raises_comes_out_in_the_test() -> None:
    def fail() -> None:
        raise ValueError("as the script says")

    with in_child(fail) as script, pytest.raises(ValueError, match="as the script says"):
        script.result()


def test_a_request_by_hand_is_as_the_standard_draws_it() -> None:
    request = associate_request(
        proposed_context(1, VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)
    )
    assert request[:2] == b"\x01\x00"
    assert int.from_bytes(request[2:6], "big") == len(request) - 6
    assert request[6:8] == b"\x00\x01"
    assert request[10:26] == b"GANTRY          "
    assert read_command(c_echo_request())[0x0100] == b"\x30\x00"
