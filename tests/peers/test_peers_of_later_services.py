"""The peers that TLS, query, retrieve, worklists and cut cables are tested with."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest

from tests.peers.certificates import Certificates
from tests.peers.dcmtk import (
    DcmtkQueryRetrieveScp,
    DcmtkStoreScp,
    DcmtkWorklistScp,
    dump2dcm,
    echoscu,
    findscu,
    storescu,
)
from tests.peers.network_namespace import link, network_namespace
from tests.peers.process import ChildProcess
from tests.peers.programs import run
from tests.peers.raw_pdu import IMPLICIT_VR_LITTLE_ENDIAN, context_results
from tests.peers.raw_peer import RawPeer
from tests.peers.sample_files import samples

pytestmark = pytest.mark.peer

CT_IMAGE = next(sample for sample in samples() if sample.path.name == "CT_small.dcm")
# wlmscpfs takes a file only with all of these.
WORKLIST_ENTRY = """
(0008,0005) CS [ISO_IR 100]
(0008,0050) SH [A1]
(0010,0010) PN [RIG^WORKLIST]
(0010,0020) LO [P1]
(0010,0030) DA [19700101]
(0010,0040) CS [O]
(0020,000d) UI [1.2.826.0.1.3680043.2.1143.99.1]
(0032,1060) LO [Abdomen]
(0040,0100) SQ
(fffe,e000) -
(0008,0060) CS [US]
(0040,0001) AE [GANTRY]
(0040,0002) DA [20260101]
(0040,0003) TM [120000]
(0040,0006) PN [NOBODY]
(0040,0007) LO [Abdomen]
(0040,0009) SH [S1]
(fffe,e00d) -
(fffe,e0dd) -
(0040,1001) SH [R1]
"""


def test_dcmtk_speaks_tls_with_a_client_that_it_knows(
    certificates: Certificates, tmp_path: Path
) -> None:
    options = certificates.dcmtk_options(certificates.server)
    with DcmtkStoreScp(tmp_path, *options) as peer:
        echoscu(peer.port, *certificates.dcmtk_options(certificates.client)).check()
        context = certificates.client_context()
        with RawPeer.connect(peer.port) as connection:
            connection.socket = context.wrap_socket(connection.socket, server_hostname="localhost")
            accepted = context_results(connection.associate())
            assert accepted == {1: (0, IMPLICIT_VR_LITTLE_ENDIAN)}
            assert connection.echo() == 0
            connection.release()


def test_dcmtk_turns_a_stranger_away(certificates: Certificates, tmp_path: Path) -> None:
    options = certificates.dcmtk_options(certificates.server)
    with DcmtkStoreScp(tmp_path, *options) as peer:
        stranger = certificates.dcmtk_options(certificates.stranger)
        assert echoscu(peer.port, *stranger).returncode != 0
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context = certificates.client_context(certificates.stranger)
            with RawPeer.connect(peer.port) as connection:
                connection.socket = context.wrap_socket(
                    connection.socket, server_hostname="localhost"
                )
                connection.associate()


def test_dcmqrscp_finds_what_it_was_sent(tmp_path: Path) -> None:
    with DcmtkQueryRetrieveScp(tmp_path) as archive:
        storescu(archive.port, CT_IMAGE.path, called=archive.ae_title).check()
        done = findscu(
            archive.port,
            *("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientName=CompressedSamples*"),
            called=archive.ae_title,
        ).check()
        assert "CompressedSamples^CT1" in done.output


def test_wlmscpfs_has_the_entry_that_was_put_there(tmp_path: Path) -> None:
    with DcmtkWorklistScp(tmp_path) as worklist:
        dump2dcm(WORKLIST_ENTRY, worklist.entries / "one.wl")
        done = findscu(
            worklist.port, "PatientName", options=["-W"], called=worklist.ae_title
        ).check()
        assert "RIG^WORKLIST" in done.output


def test_a_cable_between_two_namespaces_can_be_pulled(tmp_path: Path) -> None:
    with network_namespace("one") as one, network_namespace("two") as two:
        _, far = link(one, two)
        server = [sys.executable, "-P", "-c", _SERVER, far]
        with ChildProcess(two.command(server), log=tmp_path / "log") as peer:
            peer.wait_for_output("listening")
            client = one.command([sys.executable, "-P", "-c", _CLIENT, far])
            assert run(client).output == "connected\n"
            two.set_link("cable", up=False)
            assert "connected" not in run(client).output


_SERVER = """
import socket, sys, time
listening = socket.create_server((sys.argv[1], 11112))
print("listening", flush=True)
time.sleep(60)
"""
_CLIENT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 11112), 0.5)
    print("connected")
except OSError as error:
    print(error)
"""
