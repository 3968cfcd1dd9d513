"""What a running node offers by TLS, held against PS3.15 B; and what it says to whom it refuses."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from agent.network.tls_profiles import OPENSSL_NAMES, PROFILES, profile_of
from tests.node.running import NodeProcess
from tests.peers.certificates import Credentials
from tests.peers.dcmtk import echoscu, storescu
from tests.peers.openssl import openssl
from tests.peers.process import free_port, wait_until
from tests.peers.programs import Completed, program
from tests.peers.raw_pdu import abort, associate_request, proposed_context
from tests.peers.tls_authority import TlsAuthority, fingerprint
from tests.peers.tls_scan import (
    ALL_SUITES,
    GROUPS,
    TLS_1_0,
    TLS_1_1,
    TLS_1_2,
    TLS_1_3,
    VERSIONS,
    accepted,
    hello,
    suites_of,
)

CT = Path(str(get_testdata_file("CT_small.dcm")))
ECHO = proposed_context(1, "1.2.840.10008.1.1", "1.2.840.10008.1.2")
B13 = "Modified BCP 195 RFC 8996, 9325"


@dataclass(frozen=True)
class Secured:
    """A node with an entity for each case, and the certificates that its peers show."""

    node: NodeProcess
    ports: dict[str, int]
    authority: TlsAuthority
    client: Credentials
    server: Credentials

    def echo(self, entity: str, own: Credentials | None = None, *options: str) -> Completed:
        """C-ECHO by DCMTK, with a certificate of its own or anonymously."""
        words = ["+tls", own.key, own.certificate] if own else ["+tla"]
        return echoscu(
            self.ports[entity], *words, "+cf", self.authority.file, *options, called=entity
        )

    def connect(self, entity: str, *words: str | Path) -> Completed:
        """`openssl s_client`, which leaves at once."""
        where = f"127.0.0.1:{self.ports[entity]}"
        return openssl("s_client", "-connect", where, "-CAfile", self.authority.file, *words)

    def log_since(self, mark: int) -> str:
        return self.node.log[mark:]

    def says(self, mark: int, *words: str) -> str:
        """The line of the log, once it is there, that has all these words."""

        def found() -> list[str]:
            lines = self.node.log[mark:].splitlines()
            return [line for line in lines if all(word in line for word in words)]

        wait_until(lambda: bool(found()), f"a line with {words} in:\n{self.node.log[mark:]}")
        return found()[0]


def _entity(name: str, port: int, own: Credentials, more: str, head: str = "") -> str:
    return (
        f'[[entity]]\nname = "{name}"\nport = {port}\n{head or _LOCAL}'
        '[entity.accept]\ncalling = "any"\n'
        '[[entity.service]]\nname = "verification"\n[[entity.service]]\nname = "storage"\n'
        f'[entity.tls]\ncertificate = "{own.certificate}"\nprivate_key = "{own.key}"\n{more}'
    )


_LOCAL = 'addresses = ["127.0.0.1"]\n'
_OPEN = 'peer_certificate = "none"\n'


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    authority = TlsAuthority(folder / "authority", "authority")
    server, curved = authority.make("server"), authority.make("curved", curve=True)
    client = authority.make("client")
    names = ("MUTUAL", "B12", "B12EC", "B13", "B13EC", "AES", "PINNED", "LISTED", "SLOW", "BOTH")
    ports = {name: free_port() for name in (*names, "PLAIN")}
    trust = f'trust = ["{authority.file}"]\n'
    crl = authority.revoke("list.crl")
    beside = f'tls_port = {ports["BOTH"]}\naddresses = ["127.0.0.1", "::1"]\n'
    tables = [
        _entity("MUTUAL", ports["MUTUAL"], server, trust),
        _entity("B12", ports["B12"], server, _OPEN),
        _entity("B12EC", ports["B12EC"], curved, _OPEN),
        _entity("B13", ports["B13"], server, f'{_OPEN}profile = "{B13}"\n'),
        _entity("B13EC", ports["B13EC"], curved, f'{_OPEN}profile = "{B13}"\n'),
        _entity("AES", ports["AES"], server, f'{_OPEN}profile = "AES"\n'),
        _entity(
            "PINNED",
            ports["PINNED"],
            server,
            f'trust = ["{authority.file.parent}"]\n'
            f'fingerprints = ["{fingerprint(client.certificate)}"]\n',
        ),
        _entity("LISTED", ports["LISTED"], server, f'{trust}crl = ["{crl}"]\n'),
        _entity("SLOW", ports["SLOW"], server, f'{_OPEN}[entity.timers]\nassociation = "1 s"\n'),
        _entity("BOTH", ports["PLAIN"], server, trust, beside),
    ]
    with NodeProcess(folder / "node", "".join(tables)) as node:
        yield Secured(node, ports, authority, client, server)


# What is offered.


def _expected(profile: str, version: int, kind: str) -> set[str]:
    """The suites of the table that a server with an RSA or ECDSA key can take here."""
    row = profile_of(profile)
    # From 3.2 on, OpenSSL counts tags of 64 bits below the security level of the profile.
    gone = "CCM_8" if ssl.OPENSSL_VERSION_INFO >= (3, 2) else "none"
    if version == TLS_1_3:
        return {each for each in row.tls_1_3 if gone not in each}
    other = {"RSA": "_ECDSA_", "ECDSA": "_RSA_"}[kind]
    return {
        each
        for each in row.tls_1_2
        if OPENSSL_NAMES[each] and other not in each and gone not in each
    }


def _standard_names() -> dict[int, str]:
    """The registry's numbers and names of all suites that openssl knows."""
    newest = ":".join(each for each in OPENSSL_NAMES if each.startswith(("TLS_AES", "TLS_CHACHA")))
    words = ("-ciphersuites", newest, "ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    told = openssl("ciphers", "-V", "-stdname", *words).check().output
    rows = [line.split() for line in told.splitlines()]
    return {int(row[0].replace("0x", "").replace(",", ""), 16): row[2] for row in rows}


@pytest.mark.parametrize(
    ("entity", "profile", "kind"),
    [("B12", "", "RSA"), ("B12EC", "", "ECDSA"), ("B13", B13, "RSA"), ("B13EC", B13, "ECDSA")],
)
def test_a_scan_of_every_number_finds_the_suites_of_the_profile_and_no_other(
    secured: Secured, entity: str, profile: str, kind: str
) -> None:
    names, port = _standard_names(), secured.ports[entity]
    for version in VERSIONS:
        if version in (TLS_1_2, TLS_1_3):
            found = {names[each] for each in suites_of(port, version)}
            assert found == _expected(profile, version, kind)
        else:
            assert accepted(port, hello(version, ALL_SUITES[:8000])) is None
            assert accepted(port, hello(version, [0x002F, 0xC013, 0x000A, 0x0005])) is None


def test_a_retired_profile_offers_its_one_suite_and_no_newer_version(secured: Secured) -> None:
    port = secured.ports["AES"]
    for version in (TLS_1_0, TLS_1_1, TLS_1_2):
        assert suites_of(port, version) == {0x002F}
    assert accepted(port, hello(TLS_1_3, [0x1301, 0x1302])) is None


def test_weak_groups_and_signatures_are_refused(secured: Secured) -> None:
    port, suites = secured.ports["B12"], [0xC02F, 0xC030]
    for group in GROUPS:
        assert accepted(port, hello(TLS_1_2, suites, groups=[group])), hex(group)
    for number in set(range(1, 0x30)) - set(GROUPS):
        assert not accepted(port, hello(TLS_1_2, suites, groups=[number])), hex(number)
    for weak in (0x0101, 0x0201, 0x0202, 0x0203):  # MD5 and SHA-1 with RSA, DSA, ECDSA
        assert not accepted(port, hello(TLS_1_2, suites, signatures=[weak])), hex(weak)


@pytest.mark.peer
@pytest.mark.parametrize(("profile", "entity"), [("", "B12"), (B13, "B13")])
def test_each_cipher_suite_of_the_profiles_by_openssl(
    secured: Secured, profile: str, entity: str
) -> None:
    for kind, name in (("RSA", entity), ("ECDSA", f"{entity}EC")):
        for suite in sorted(_expected(profile, TLS_1_3, kind)):
            said = secured.connect(name, "-tls1_3", "-ciphersuites", suite).check().output
            assert f"New, TLSv1.3, Cipher is {suite}" in said and "Verification: OK" in said
        for suite in sorted(_expected(profile, TLS_1_2, kind)):
            cipher = OPENSSL_NAMES[suite]
            said = secured.connect(name, "-tls1_2", "-cipher", cipher).check().output
            assert f"Cipher is {cipher}" in said and "Verification: OK" in said


def test_the_names_of_the_table_are_those_that_openssl_has_for_them() -> None:
    rows = _standard_names().values()
    for standard, name in OPENSSL_NAMES.items():
        assert bool(name) == (standard in rows) or (
            "CCM" in standard and standard in (*PROFILES[B13].tls_1_3,)
        )


# Who is served.


@pytest.mark.peer
@pytest.mark.parametrize("options", ["+py", "+px", "+pz"])
def test_ic_43_dcmtk_is_served_with_each_of_its_bcp_195_profiles(
    secured: Secured, options: str
) -> None:
    secured.echo("B12", None, options).check()
    secured.echo("MUTUAL", secured.client, options).check()


@pytest.mark.peer
def test_ic_43_the_aes_profile_is_only_where_it_is_named(secured: Secured) -> None:
    secured.echo("AES", None, "+pa").check()
    mark = len(secured.node.log)
    assert secured.echo("B12", None, "+pa").returncode != 0
    line = secured.says(mark, "tls.refused", f"port={secured.ports['B12']}")
    assert "no cipher suite in common" in line and "TLS_RSA_WITH_AES_128_CBC_SHA" in line
    assert 'way_out="Both sides must speak one profile' in line


@pytest.mark.peer
@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (hello(0x0300, [0x0004, 0x0009, 0x000A]), ("SSL 3.0", "RC4-MD5", "DES-CBC-SHA")),
        (hello(TLS_1_0, [0x002F]), ("TLS 1.0", "TLS_RSA_WITH_AES_128_CBC_SHA")),
        (hello(TLS_1_2, [0x000A]), ("TLS 1.2", "TLS_RSA_WITH_3DES_EDE_CBC_SHA")),
        (hello(TLS_1_2, [0x0001, 0x0002]), ("TLS 1.2", "NULL-MD5, NULL-SHA")),
        (b"\x80\x2e\x01\x00\x02" + bytes(43), ("SSL 2.0",)),
    ],
)
def test_ic_43_what_is_too_old_is_refused_and_the_log_names_it(
    secured: Secured, sent: bytes, words: tuple[str, ...]
) -> None:
    mark = len(secured.node.log)
    assert accepted(secured.ports["B12"], sent) is None
    line = secured.says(mark, "tls.refused", "address=127.0.0.1", f"port={secured.ports['B12']}")
    assert all(word in line for word in words), line
    assert "way_out=" in line


@pytest.mark.peer
def test_cd_48_mutual_authentication_stores(secured: Secured) -> None:
    options = ["+tls", secured.client.key, secured.client.certificate]
    options += ["+cf", secured.authority.file]
    before = len(secured.node.objects())
    port = secured.ports["MUTUAL"]
    storescu(port, CT, options=options, called="MUTUAL").check()
    wait_until(lambda: len(secured.node.objects()) == before + 1, "the object is kept")


@pytest.mark.peer
def test_cd_48_no_certificate_a_stranger_and_one_that_ended_a_second_ago_are_refused(
    secured: Secured, tmp_path: Path
) -> None:
    other = TlsAuthority(tmp_path, "other")
    cases = [
        (None, "the peer shows no certificate"),
        (other.make("stranger"), "unable to get local issuer certificate"),
        (secured.authority.make("late", ends_in=-1), "certificate has expired"),
    ]
    for own, words in cases:
        mark = len(secured.node.log)
        assert secured.echo("MUTUAL", own).returncode != 0
        line = secured.says(mark, "tls.refused", "address=127.0.0.1")
        assert words in line and "way_out=" in line


@pytest.mark.peer
def test_cd_48_plain_dicom_on_the_secure_port_is_named(secured: Secured) -> None:
    mark = len(secured.node.log)
    assert echoscu(secured.ports["MUTUAL"], called="MUTUAL").returncode != 0
    line = secured.says(mark, "tls.refused", f"port={secured.ports['MUTUAL']}")
    assert "does not speak TLS on this port: it sent an A-ASSOCIATE-RQ in plain" in line
    assert "Switch TLS on in the peer, or send it to the port without TLS." in line


@pytest.mark.peer
def test_ic_44_each_way_of_confusing_the_ports_is_logged_as_exactly_that(secured: Secured) -> None:
    mark = len(secured.node.log)
    with socket.create_connection(("127.0.0.1", secured.ports["B12"])) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert plain.recv(100) == b""
    assert "an HTTP request" in secured.says(mark, "tls.refused")
    mark = len(secured.node.log)
    secured_only = openssl("s_client", "-connect", f"127.0.0.1:{secured.node.port}")
    assert secured_only.returncode != 0
    line = secured.says(mark, "a TLS hello")
    assert "127.0.0.1" in line and "use TLS on this port, or send the peer to the plain" in line


@pytest.mark.peer
def test_ic_44_one_entity_is_served_plain_and_by_tls_at_once_on_both_families(
    secured: Secured,
) -> None:
    own = ["+tls", secured.client.key, secured.client.certificate, "+cf", secured.authority.file]
    echoscu(secured.ports["PLAIN"], called="BOTH").check()
    echoscu(secured.ports["BOTH"], *own, called="BOTH").check()
    context = ssl.create_default_context(cafile=str(secured.authority.file))
    context.load_cert_chain(secured.client.certificate, secured.client.key)
    with (
        socket.create_connection(("::1", secured.ports["BOTH"])) as plain,
        context.wrap_socket(plain, server_hostname="::1") as peer,
    ):
        peer.sendall(associate_request(ECHO, called="BOTH"))
        assert peer.recv(1) == b"\x02"
    with socket.create_connection(("::1", secured.ports["PLAIN"])) as plain:
        plain.sendall(associate_request(ECHO, called="BOTH"))
        assert plain.recv(1) == b"\x02"
    assert f"port_BOTH_tls={secured.ports['BOTH']}" in secured.node.log


@pytest.mark.peer
def test_only_the_pinned_certificate_is_served(secured: Secured) -> None:
    secured.echo("PINNED", secured.client).check()
    mark = len(secured.node.log)
    assert secured.echo("PINNED", secured.server).returncode != 0
    line = secured.says(mark, "tls.refused")
    shown = fingerprint(secured.server.certificate).replace(":", "").lower()
    assert "none of the pinned ones" in line and shown in line


# What breaks off.


def test_half_a_handshake_ends_with_the_timer_and_others_are_served(secured: Secured) -> None:
    mark, sent = len(secured.node.log), hello(TLS_1_2, [0xC02F])
    with socket.create_connection(("127.0.0.1", secured.ports["SLOW"])) as half:
        half.sendall(sent[:40])
        assert accepted(secured.ports["SLOW"], sent) == (TLS_1_2, 0xC02F)
        half.settimeout(10)
        assert half.recv(100) == b""
    line = secured.says(mark, "did not finish the TLS handshake within 1 s")
    assert "tls.refused" in line and "way_out=" in line


@pytest.mark.peer
def test_renegotiation_is_refused(secured: Secured) -> None:
    words = ["s_client", "-connect", f"127.0.0.1:{secured.ports['B12']}", "-tls1_2"]
    with subprocess.Popen(
        [program("openssl", "openssl"), *words, "-CAfile", secured.authority.file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as client:
        assert client.stdin is not None and client.stdout is not None
        said = b""
        while b"Verify return code" not in said:
            said += client.stdout.readline()
        client.stdin.write(b"R\n")
        client.stdin.flush()
        said = client.stdout.read()
    assert b"RENEGOTIATING" in said and b"no renegotiation" in said, said


# Sessions, and what changes while the node runs.


@pytest.mark.peer
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_session_is_resumed(secured: Secured, tmp_path: Path, version: str) -> None:
    first, again = _session(secured, "B12", tmp_path / "session", version)
    assert "New, TLS" in first and "Reused, TLS" in again


def _session(
    secured: Secured, entity: str, file: Path, version: str, *own: str | Path
) -> tuple[str, str]:
    """What `openssl s_client` says of a first connection, and of one that resumes it.

    It stays until the node has answered its A-ABORT by closing: the ticket has come by then.
    """
    said = []
    for option in ("-sess_out", "-sess_in"):
        words = ["s_client", "-connect", f"127.0.0.1:{secured.ports[entity]}", version]
        words += ["-ign_eof", "-CAfile", str(secured.authority.file), *map(str, own)]
        done = subprocess.run(
            [program("openssl", "openssl"), *words, option, file],
            input=associate_request(ECHO, called=entity) + abort(),
            capture_output=True,
            timeout=20,
        )
        said.append((done.stdout + done.stderr).decode(errors="replace"))
    return said[0], said[1]


@pytest.mark.peer
def test_who_is_revoked_is_refused_from_the_next_connection_on_also_with_a_session(
    secured: Secured, tmp_path: Path
) -> None:
    bad = secured.authority.make("bad")
    own = ("-cert", bad.certificate, "-key", bad.key)
    secured.echo("LISTED", bad).check()
    _, again = _session(secured, "LISTED", tmp_path / "session", "-tls1_3", *own)
    assert "Reused, TLS" in again
    secured.authority.revoke("list.crl", bad)
    mark = len(secured.node.log)
    where = f"127.0.0.1:{secured.ports['LISTED']}"
    openssl("s_client", "-connect", where, "-sess_in", tmp_path / "session", *own)
    assert "certificate revoked" in secured.says(mark, "tls.refused")
    secured.echo("LISTED", secured.client).check()
    secured.authority.revoke("list.crl", ends_in=-1)
    mark = len(secured.node.log)
    assert secured.echo("LISTED", secured.client).returncode != 0
    line = secured.says(mark, "tls.refused")
    assert "CRL has expired" in line and "Fetch a new revocation list" in line
    (secured.authority.file.parent / "list.crl").write_text("damaged")
    mark = len(secured.node.log)
    assert secured.echo("LISTED", secured.client).returncode != 0
    assert "list.crl cannot be used" in secured.says(mark, "tls.renewal failed")
    secured.authority.revoke("list.crl")
    secured.echo("LISTED", secured.client).check()


@pytest.mark.peer
def test_a_session_does_not_outlive_the_certificate(secured: Secured, tmp_path: Path) -> None:
    short = secured.authority.make("short", ends_in=3)
    ends = time.monotonic() + 3
    own = ("-cert", short.certificate, "-key", short.key)
    _, again = _session(secured, "MUTUAL", tmp_path / "session", "-tls1_3", *own)
    assert "Reused, TLS" in again
    time.sleep(max(0, ends + 1 - time.monotonic()))
    mark = len(secured.node.log)
    where = f"127.0.0.1:{secured.ports['MUTUAL']}"
    openssl("s_client", "-connect", where, "-sess_in", tmp_path / "session", *own)
    assert "has expired" in secured.says(mark, "tls.refused")


@pytest.mark.peer
def test_a_renewed_certificate_is_shown_without_a_restart(secured: Secured) -> None:
    old = secured.connect("B12").output
    fresh = secured.authority.make("fresh")
    mine = secured.server
    before = (mine.key.read_bytes(), mine.certificate.read_bytes())
    mine.key.write_bytes(fresh.key.read_bytes())
    mine.certificate.write_bytes(fresh.certificate.read_bytes())
    try:
        assert "CN = fresh" not in old and "CN = fresh" in secured.connect("B12").output
    finally:
        mine.key.write_bytes(before[0])
        mine.certificate.write_bytes(before[1])
