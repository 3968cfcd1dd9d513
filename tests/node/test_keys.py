"""A node whose keys are in a token and in a TPM, against DCMTK and openssl, both directions."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from pydicom import dcmread

from tests.cli_of import gantry
from tests.node.running import NodeProcess, peer_table
from tests.node.test_adversity import CT, store
from tests.peers.certificates import Authority, Credentials
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.fixtures import StartPeer
from tests.peers.key_keepers import SoftChip, SoftToken
from tests.peers.process import free_port, process_tree, wait_until
from tests.peers.programs import program, run
from tests.peers.sample_files import data_set_bytes

HOSTS = 'subject = "CN=box"\nhosts = ["localhost", "127.0.0.1"]\n'


class Box:
    """A node with a key in a store, and the authority that certifies all who take part."""

    def __init__(
        self,
        folder: Path,
        start_peer: Any,
        table: str,
        algorithm: str,
        *,
        trust: str = "",
        authority: Authority | None = None,
    ) -> None:
        self.folder = folder
        self.authority = authority or Authority("trusted")
        self.authority_file = folder / "authority.pem"
        self.authority_file.write_bytes(self.authority.certificate_pem)
        self.client = self.authority.issue(folder, "modality")
        self.stranger = Authority("unknown").issue(folder, "stranger")
        far = self.authority.issue(folder, "pacs")
        self.far = start_peer(DcmtkStoreScp(folder / "far", *self.dcmtk(far)))
        self.chip: SoftChip | None = None
        self.plain_port = free_port()
        tls = f'key = "box"\ntrust = ["{trust or self.authority_file}"]\n'
        peer = peer_table("PACS", self.far.port)
        self.node = NodeProcess(
            folder / "node",
            f"[entity.tls]\n{tls}"
            + f'[[entity]]\nname = "PLAIN"\nport = {self.plain_port}\naddresses = ["127.0.0.1"]\n'
            '[entity.accept]\ncalling = "any"\n[[entity.service]]\nname = "storage"\n'
            'service = "storage"\nroles = ["scp"]\n'
            + peer.replace("[[route]]", f"[peer.tls]\n{tls}[[route]]")
            + f'[[key]]\nname = "box"\nalgorithm = "{algorithm}"\n{HOSTS}{table}',
        )

    def dcmtk(self, own: Credentials) -> list[str]:
        return ["+tls", str(own.key), str(own.certificate), "+cf", str(self.authority_file)]

    def keys(self, *words: str | Path) -> str:
        done = gantry("keys", *words, "--config", self.node.configuration)
        return done.check().output

    def certify(self, act: str = "csr", *more: str, days: float = 90) -> str:
        """Have what `csr` or `renew` asks for, and install it; the serial number."""
        request = self.folder / "request.pem"
        self.keys(act, "box", "--out", request, *more)
        asked = x509.load_pem_x509_csr(request.read_bytes())
        given = self.folder / "given.pem"
        given.write_bytes(self.authority.sign(asked, days=days))
        assert "installed CN=box" in self.keys("install", "box", given)
        return f"{x509.load_pem_x509_certificate(given.read_bytes()).serial_number:x}"

    def context(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority_file))
        context.load_cert_chain(self.client.certificate, self.client.key)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context

    def serial(self) -> str:
        """The serial number of the certificate that a caller sees."""
        end = socket.create_connection(("127.0.0.1", self.node.port), 20)
        with self.context().wrap_socket(end, server_hostname="localhost") as secured:
            shown = secured.getpeercert(True)
        assert shown is not None
        return f"{x509.load_der_x509_certificate(shown).serial_number:x}"

    def s_client(self, *words: str | Path) -> str:
        """What `openssl s_client` says of a handshake."""
        own = ("-cert", self.client.certificate, "-key", self.client.key)
        trust = ("-CAfile", self.authority_file, "-verify_return_error", "-brief")
        where = ("-connect", f"127.0.0.1:{self.node.port}")
        openssl = program("openssl", "openssl")
        return run([openssl, "s_client", *where, *own, *trust, *words]).output


@pytest.fixture(scope="module", params=["token", "chip"])
def box(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    start_shared_peer: StartPeer[Any],
) -> Iterator[Box]:
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        chip = None
        if request.param == "token":
            token = SoftToken(folder / "keeper")
            token.lead(patch)
            table = token.table
        else:
            chip = start_shared_peer(SoftChip(folder / "keeper"))
            table = chip.table
        made = Box(folder, start_shared_peer, table, "rsa-2048")
        made.chip = chip
        assert "created box" in made.keys("create", "box")
        made.certify()
        with made.node:
            yield made


def large(file: Path) -> Path:
    """An image of 8 MiB: more than all buffers on its way."""
    image = dcmread(CT)
    image.Rows = image.Columns = 2048
    image.PixelData = bytes(range(256)) * (1 << 15)
    image.save_as(file)
    return file


def test_mutual_tls_and_storage_with_a_key_that_is_on_no_disk(box: Box) -> None:
    plain = store(box.node.port)
    assert plain.returncode != 0
    assert store(box.node.port, *box.dcmtk(box.stranger)).returncode != 0
    store(box.node.port, *box.dcmtk(box.client), file=large(box.folder / "large.dcm")).check()
    box.node.wait_until_delivered("PACS")
    (received,) = box.far.wait_for_files(1)
    (kept,) = box.node.objects()
    assert kept.stat().st_size > 8 << 20
    assert data_set_bytes(received) == data_set_bytes(kept)
    for file in box.node.folder.rglob("*"):
        if file.is_file() and not file.is_socket():
            assert b"PRIVATE KEY" not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("version", "signature"),
    [
        ("tls1_2", "rsa_pss_rsae_sha256"),
        ("tls1_2", "rsa_pkcs1_sha384"),
        ("tls1_3", "rsa_pss_rsae_sha256"),
    ],
)
def test_openssl_shakes_hands_by_each_version_and_signature(
    box: Box, version: str, signature: str
) -> None:
    algorithms = f"{signature}:rsa_pkcs1_sha256" if version == "tls1_3" else signature
    said = box.s_client(f"-{version}", "-sigalgs", algorithms)
    assert "Verification: OK" in said and "CN = box" in said, said
    kind = "RSA-PSS" if "pss" in signature else "RSA"
    assert f"Signature type: {kind}\n" in said, said


def test_a_renewal_takes_effect_without_a_restart(box: Box) -> None:
    before = box.serial()
    pid = box.node.process.pid if box.node.process is not None else 0
    with box.context().wrap_socket(
        socket.create_connection(("127.0.0.1", box.node.port)), server_hostname="localhost"
    ) as going_on:
        after = box.certify("renew")
        assert after != before
        assert box.serial() == after
        # What was there before the renewal has not been cut.
        going_on.settimeout(0.2)
        with pytest.raises(TimeoutError):
            going_on.recv(1)
    store(box.node.port, *box.dcmtk(box.client)).check()
    box.node.wait_until_delivered("PACS")
    assert box.node.process is not None and box.node.process.pid == pid and box.node.is_running
    (row,) = (json.loads(line) for line in box.keys("list", "--json").splitlines())
    assert len(row["keys"]) == 1 and row["subject"] == "CN=box" and 89 < row["days"] < 91


def test_a_key_that_takes_long_to_sign_does_not_stop_the_node(box: Box) -> None:
    if box.chip is None:
        pytest.skip("a token that is a library cannot be stopped")
    box.chip.send_signal(signal.SIGSTOP)
    try:
        end = socket.create_connection(("127.0.0.1", box.node.port), 20)
        secured = box.context().wrap_socket(
            end, server_hostname="localhost", do_handshake_on_connect=False
        )
        secured.settimeout(0.5)
        with suppress(TimeoutError):
            secured.do_handshake()
            raise AssertionError("the chip cannot have signed")
        begun = time.monotonic()
        store(box.plain_port, "-aec", "PLAIN").check()
        box.node.ask("status")
        assert time.monotonic() - begun < 10
    finally:
        box.chip.send_signal(signal.SIGCONT)
    secured.settimeout(20)
    secured.do_handshake()
    secured.close()


def test_a_caller_who_stops_in_the_handshake_is_let_go(box: Box) -> None:
    with socket.create_connection(("127.0.0.1", box.node.port), 20) as half:
        half.sendall(b"\x16\x03\x01")
        box.serial()
    with socket.create_connection(("127.0.0.1", box.node.port), 20) as clear:
        clear.sendall(b"GET / HTTP/1.0\r\n\r\n")
        clear.settimeout(20)
        said = b""
        with suppress(ConnectionResetError):
            while more := clear.recv(100):
                said += more
        assert said[:1] in (b"", b"\x15"), "an alert, or nothing"
    box.serial()


def test_what_ends_tls_is_started_again(box: Box) -> None:
    (pid,) = _processes(box, "tls box")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not _processes(box, "tls box"), "the process is gone")
    wait_until(lambda: _answers(box), "a handshake succeeds again")
    assert len(_processes(box, "tls box")) == 1


def _answers(box: Box) -> bool:
    try:
        return bool(box.serial())
    except OSError:
        return False


def _processes(box: Box, name: str) -> list[int]:
    assert box.node.process is not None
    found = []
    for pid in process_tree(box.node.process.pid):
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                found.append(pid)
    return found
