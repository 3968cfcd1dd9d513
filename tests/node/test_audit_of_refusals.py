"""Who is refused: objects that are not taken, and hosts that fail in TLS handshakes."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pynetdicom import AE

from tests.node.audit_heard import all_are_valid, documents, heard, kept_here, wait_for
from tests.node.running import NodeProcess
from tests.peers.certificates import Credentials
from tests.peers.dcmtk import echoscu
from tests.peers.openssl import openssl
from tests.peers.process import free_port, wait_until
from tests.peers.raw_pdu import (
    A_ASSOCIATE_AC,
    associate_request,
    c_store_request,
    data,
    proposed_context,
    value,
)
from tests.peers.raw_peer import RawPeer
from tests.peers.tls_authority import TlsAuthority
from tests.peers.tls_scan import TLS_1_2, hello

pytestmark = pytest.mark.peer

CT = Path(str(get_testdata_file("CT_small.dcm")))
ECHO = "1.2.840.10008.1.1"


SMALL = '[limits]\nobject_size = "1 MiB"\n'


# Objects.


def too_large() -> Dataset:
    made = dcmread(CT)
    made.PixelData = bytes(2 << 20)
    return made


def test_what_is_refused_of_an_association_is_one_message_with_counts(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node", f"{kept_here()}{SMALL}") as node:
        device = AE("DEVICE")
        made = too_large()
        device.add_requested_context(made.SOPClassUID)
        association = device.associate("127.0.0.1", node.port, ae_title="GANTRY")
        for number in range(5):
            made.SOPInstanceUID = f"1.2.3.{number}"
            made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
            assert association.send_c_store(made).Status & 0xFF00 == 0xA700
        assert not heard(node, "DICOM Instances Transferred")
        association.release()
        (refused,) = wait_for(node, "DICOM Instances Transferred")
        # A C-STORE where none may be: another association, another message.
        with RawPeer.connect(node.port) as peer:
            peer.send(associate_request(proposed_context(1, ECHO, "1.2.840.10008.1.2")))
            peer.receive_pdu(A_ASSOCIATE_AC)
            command, sent = c_store_request(ECHO, "1.2.3"), b"\x08\0\x05\0\0\0\0\0"
            peer.send(data(value(1, 3, command)) + data(value(1, 2, sent)))
            assert peer.receive_message().command[0x0900] == b"\x11\x02"
            peer.release()
        other = wait_for(node, "DICOM Instances Transferred", number=2)[1]
        all_are_valid(node, tmp_path / "judged")
    assert (refused.action, refused.outcome) == ("C", 8)
    assert [(each.alternative, each.requestor) for each in refused.participants] == [
        ("AETITLES=GANTRY", False),
        ("AETITLES=DEVICE", True),
    ]
    assert refused.participants[1].address == "127.0.0.1"
    study, patient = refused.objects
    assert study.sop_classes == ((made.SOPClassUID, 5),)
    # Nothing that was not kept is told of.
    assert (study.identifier, patient.identifier) == ("unknown", "unknown")
    assert "A700H" in refused.description and "(5 times)" in refused.description
    assert other.objects[0].sop_classes == ((ECHO, 1),)
    assert "0211H" in other.description


@pytest.mark.long
def test_what_is_refused_on_an_association_without_end_is_told_in_time(tmp_path: Path) -> None:
    soon = kept_here("longest = 1\n")
    with NodeProcess(tmp_path / "node", f"{soon}{SMALL}") as node:
        device = AE("DEVICE")
        made = too_large()
        device.add_requested_context(made.SOPClassUID)
        association = device.associate("127.0.0.1", node.port, ae_title="GANTRY")
        association.send_c_store(made)
        (told,) = wait_for(node, "DICOM Instances Transferred")
        assert association.is_established
        association.abort()
    assert told.objects[0].sop_classes == ((made.SOPClassUID, 1),)


# Handshakes.


class Locking:
    """A node that shuts a host out after three failures, with a listener for TLS."""

    def __init__(self, folder: Path) -> None:
        self.authority = TlsAuthority(folder / "authority", "authority")
        self.client, own = self.authority.make("client"), self.authority.make("server")
        self.port = free_port()
        self.node = NodeProcess(
            folder / "node",
            f'[[entity]]\nname = "SECURE"\nport = {self.port}\naddresses = ["127.0.0.1"]\n'
            '[entity.accept]\ncalling = "any"\n[[entity.service]]\nname = "verification"\n'
            f'[entity.tls]\ncertificate = "{own.certificate}"\nprivate_key = "{own.key}"\n'
            f'trust = ["{self.authority.file}"]\n[entity.timers]\nassociation = "1 s"\n'
            f'[access.lock_out]\nhost = 3\nduration = "1 min"\n{kept_here()}',
        )

    def connect(self, host: str) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 10, (host, 0))

    def shakes_hands(self, host: str, own: Credentials | None) -> bool:
        """Whether the node takes this certificate from this host."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if own is not None:
            context.load_cert_chain(own.certificate, own.key)
        try:
            with (
                self.connect(host) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as peer,
            ):
                peer.sendall(
                    associate_request(
                        proposed_context(1, ECHO, "1.2.840.10008.1.2"), called="SECURE"
                    )
                )
                return peer.recv(1) == b"\x02"
        except OSError:
            return False

    def shut_out(self) -> list[str]:
        return [each["who"] for each in self.node.ask("status")["locked_out"]]

    def refusals(self) -> int:
        return self.node.log.count("tls.refused")


@pytest.fixture(scope="module")
def locking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locking]:
    found = Locking(tmp_path_factory.mktemp("locking"))
    with found.node:
        yield found


@pytest.mark.parametrize("fault", ["stranger", "expired", "none", "suites"])
def test_a_host_that_fails_in_handshakes_is_shut_out_and_audited(
    locking: Locking, fault: str, tmp_path: Path
) -> None:
    host = f"127.0.0.{20 + len(fault)}"
    own: Credentials | None = None
    if fault == "stranger":
        own = TlsAuthority(tmp_path / "other", "other").make("stranger")
    elif fault == "expired":
        own = locking.authority.make("late", ends_in=-1)
    for number in range(3):
        assert host not in locking.shut_out()
        before = locking.refusals()
        if fault == "suites":
            with locking.connect(host) as old:
                # TLS_RSA_WITH_3DES_EDE_CBC_SHA
                old.sendall(hello(TLS_1_2, [0x000A]))
                assert old.recv(1) == b"\x15"
        else:
            assert not locking.shakes_hands(host, own)
        wait_until(lambda seen=before: locking.refusals() > seen, f"failure {number} is told")  # type: ignore[misc]
    wait_until(lambda: host in locking.shut_out(), "it is shut out")
    # From now on not even a good certificate is looked at; from elsewhere it is.
    before = locking.refusals()
    assert not locking.shakes_hands(host, locking.client)
    assert locking.refusals() == before
    assert locking.shakes_hands("127.0.0.3", locking.client)
    told = [
        each
        for each in wait_for(locking.node, "Security Alert", "Node Authentication")
        if each.objects[0].identifier == host
    ]
    assert told[0].outcome == 8 and "No secure connection" in told[0].description
    assert f"The host {host} is shut out for 60 s" in told[-1].description
    assert any(each.participants[1].address == host for each in told)


def test_scans_and_health_checks_shut_nobody_out(locking: Locking) -> None:
    before = locking.refusals()
    # A port scan, and a load balancer that looks whether the port is open.
    for _ in range(10):
        locking.connect("127.0.0.1").close()
    # Who speaks another protocol, and who says half a word.
    for said in (b"GET / HTTP/1.0\r\n\r\n", hello(TLS_1_2, [0xC02F])[:20], b"\x16\x03"):
        for _ in range(4):
            with locking.connect("127.0.0.1") as scanner:
                scanner.sendall(said)
                if said.startswith(b"GET"):
                    with contextlib.suppress(ConnectionResetError):
                        assert scanner.recv(10) == b""
    # Who does not trust us.
    where = f"127.0.0.1:{locking.port}"
    for _ in range(4):
        refused = openssl("s_client", "-connect", where, "-verify_return_error", "-quiet")
        assert refused.returncode != 0
    # One of each who is silent in the middle, until the timer ends it.
    with locking.connect("127.0.0.1") as half:
        half.sendall(hello(TLS_1_2, [0xC02F])[:20])
        assert half.recv(10) == b""
    wait_until(lambda: locking.refusals() >= before + 17, "all were told")
    assert "127.0.0.1" not in locking.shut_out()
    words = ["+tls", locking.client.key, locking.client.certificate]
    echoscu(locking.port, *words, "+cf", locking.authority.file, called="SECURE").check()


def test_all_that_was_told_of_handshakes_is_valid(locking: Locking, tmp_path: Path) -> None:
    assert documents(locking.node)
    all_are_valid(locking.node, tmp_path / "judged")
