"""OCSP (RFC 6960) against the responder of openssl, and what a handshake makes of its answers."""

from __future__ import annotations

import datetime
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from agent.configuration.connection import Tls
from agent.errors import GantryError
from agent.loop import Loop, writable
from agent.network import ocsp as asking
from agent.network import revocation
from agent.network.ocsp import Standing, ask
from agent.network.stream import ConnectionLost
from agent.network.tls import context_here
from agent.network.tls_stream import connect_tls
from tests.peers.certificates import Authority, Credentials
from tests.peers.fixtures import StartPeer
from tests.peers.process import Server, free_port
from tests.peers.programs import program


class OpensslServer(Server):
    """`openssl s_server` or `openssl ocsp`; `words` end where the port comes."""

    def __init__(self, log: Path, *words: str | Path) -> None:
        super().__init__(log=log)
        self._words = words

    def command(self) -> list[str | Path]:
        return [program("openssl", "openssl"), *self._words, str(self.port)]


DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0)


@dataclass(frozen=True)
class Person:
    """A key with its certificate, in files too."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate
    files: Credentials

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


def person(
    folder: Path,
    name: str,
    above: Person | None = None,
    *extensions: x509.ExtensionType,
    authority: bool = False,
    days: float = 30,
) -> Person:
    """Named by `above`, or by itself, valid for so many days more."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if above is None else above.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 60 * DAY)
        .not_valid_after(NOW + days * DAY)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    made = builder.sign(key if above is None else above.key, hashes.SHA256())
    files = Credentials(folder / f"{name}.key", folder / f"{name}.pem")
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files.certificate.write_bytes(made.public_bytes(Encoding.PEM))
    return Person(key, made, files)


def index_of(file: Path, *rows: tuple[x509.Certificate, bool]) -> Path:
    """The index of an authority, as openssl has it: certificates, and whether they were revoked."""
    text = ""
    for certificate, revoked in rows:
        serial = f"{certificate.serial_number:X}"
        state = "R\t351231235959Z\t250101000000Z" if revoked else "V\t351231235959Z\t"
        text += f"{state}\t{'0' * (len(serial) % 2)}{serial}\tunknown\t/CN=any\n"
    file.write_text(text)
    file.with_name(f"{file.name}.attr").write_text("unique_subject = no\n")
    return file


@dataclass
class World:
    authority: Authority
    files: dict[str, Path]
    people: dict[str, Credentials]
    responder: Server
    stranger: Server

    def ask(self, name: str, responder: Server | None = None) -> Standing:
        certificate = x509.load_pem_x509_certificate(self.people[name].certificate.read_bytes())
        where = responder or self.responder
        return ask(
            certificate.public_bytes(Encoding.DER),
            self.authority.certificate.public_bytes(Encoding.DER),
            f"http://127.0.0.1:{where.port}",
        )


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, start_shared_peer: StartPeer[Any]
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("ocsp")
    authority, other = Authority("trusted"), Authority("trusted")
    people = {name: authority.issue(folder, name) for name in ("good", "revoked", "unheard")}
    certificates = [
        x509.load_pem_x509_certificate(people[name].certificate.read_bytes())
        for name in ("good", "revoked")
    ]
    index_of(folder / "index", (certificates[0], False), (certificates[1], True))
    responders = []
    for number, signer in enumerate((authority, other)):
        own = signer.write(folder, f"signer-{number}")
        words = ("ocsp", "-index", folder / "index", "-CA", folder / "signer-0.pem")
        words += ("-rsigner", own.certificate, "-rkey", own.key, "-ndays", "1", "-port")
        responders.append(start_shared_peer(OpensslServer(folder / f"log-{number}", *words)))
    yield World(authority, {"authority": folder / "signer-0.pem"}, people, *responders)


def test_the_responder_says_good_revoked_and_unknown(world: World) -> None:
    good = world.ask("good")
    assert good.state == "good" and good.until > 0
    assert world.ask("revoked").state == "revoked"
    unheard = world.ask("unheard")
    assert unheard.state == "unknown" and "does not know" in unheard.why


def test_an_answer_that_another_has_signed_counts_for_nothing(world: World) -> None:
    standing = world.ask("good", world.stranger)
    assert standing.state == "unknown" and "signed" in standing.why


def test_a_responder_that_is_away_is_told_of(world: World) -> None:
    certificate = x509.load_pem_x509_certificate(world.people["good"].certificate.read_bytes())
    own = certificate.public_bytes(Encoding.DER)
    above = world.authority.certificate.public_bytes(Encoding.DER)
    away = ask(own, above, f"http://127.0.0.1:{free_port()}")
    assert away == ("unknown", 0.0, away.why) and "cannot be reached" in away.why
    assert "names no OCSP responder" in ask(own, above, "").why
    assert "no http://" in ask(own, above, "https://127.0.0.1").why
    assert ask(b"rubbish", above, "http://127.0.0.1").state == "unknown"


@pytest.fixture
def shake(world: World, start_peer: StartPeer[Any], tmp_path: Path) -> Callable[[str, Tls], None]:
    """A handshake with `openssl s_server` that shows the certificate of somebody."""
    revocation.ask_by(None)

    def act(name: str, tls: Tls) -> None:
        own = world.people[name]
        words = ("s_server", "-cert", own.certificate, "-key", own.key, "-quiet", "-accept")
        shake_hands(start_peer(OpensslServer(tmp_path / "log", *words)), tls)

    return act


def shake_hands(server: Server, tls: Tls) -> None:
    """Until both ends are sure of each other."""

    async def connect() -> None:
        end = socket.socket()
        end.setblocking(False)
        end.connect_ex(("127.0.0.1", server.port))
        await writable(end)
        context = context_here(tls, server_side=False)
        stream = await connect_tls(end, context, "localhost", ("127.0.0.1", server.port))
        stream.close()

    Loop().run(connect())


def _tls(world: World, ocsp: str, port: int) -> Tls:
    return Tls(
        trust=(str(world.files["authority"]),),
        ocsp=ocsp,
        ocsp_responder=f"http://127.0.0.1:{port}",
    )


def test_a_revoked_certificate_is_refused_at_the_handshake(
    world: World, shake: Callable[[str, Tls], None]
) -> None:
    port = world.responder.port
    shake("good", _tls(world, "required", port))
    for wanted in ("required", "when-reachable"):
        with pytest.raises(ConnectionLost, match="was revoked"):
            shake("revoked", _tls(world, wanted, port))
    shake("revoked", _tls(world, "off", port))


def test_what_is_not_known_is_refused_where_it_must_be_known(
    world: World, shake: Callable[[str, Tls], None]
) -> None:
    shake("unheard", _tls(world, "when-reachable", world.responder.port))
    with pytest.raises(GantryError, match="is not known: the responder does not know it"):
        shake("unheard", _tls(world, "required", world.responder.port))


def responder_of(port: int) -> x509.AuthorityInformationAccess:
    """The extension that names who is to be asked."""
    place = x509.UniformResourceIdentifier(f"http://127.0.0.1:{port}")
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)]
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return person(tmp_path_factory.mktemp("root"), "root", authority=True)


@pytest.mark.parametrize("revoked", [False, True])
def test_authorities_between_are_asked_about_where_that_is_wanted(
    root: Person, start_peer: StartPeer[Any], tmp_path: Path, revoked: bool
) -> None:
    """Each at the responder that its certificate names."""
    ports = free_port(), free_port()
    middle = person(tmp_path, "middle", root, responder_of(ports[0]), authority=True)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    leaf = person(tmp_path, "leaf", middle, names, responder_of(ports[1]))
    rows = ((root, middle, revoked, ports[0]), (middle, leaf, False, ports[1]))
    for number, (above, below, is_revoked, port) in enumerate(rows):
        index = index_of(tmp_path / f"index-{number}", (below.certificate, is_revoked))
        own = above.files
        words = ("ocsp", "-index", index, "-CA", own.certificate, "-rsigner", own.certificate)
        words += ("-rkey", own.key, "-ndays", "1", "-port")
        responder = OpensslServer(tmp_path / f"log-{number}", *words)
        responder.port = port
        start_peer(responder)
    words = ("s_server", "-cert", leaf.files.certificate, "-key", leaf.files.key, "-quiet")
    words += ("-cert_chain", middle.files.certificate, "-accept")
    server = start_peer(OpensslServer(tmp_path / "log", *words))
    revocation.ask_by(None)
    trust = (str(root.files.certificate),)
    shake_hands(server, Tls(trust=trust, ocsp="required"))
    wider = Tls(trust=trust, ocsp="required", ocsp_of_authorities=True)
    if revoked:
        with pytest.raises(ConnectionLost, match="authority above the peer was revoked"):
            shake_hands(server, wider)
    else:
        shake_hands(server, wider)


def named(name: str, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """Another certificate for a key."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    return builder.sign(key, hashes.SHA256())


_SIGNS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])


@pytest.mark.parametrize(
    ("extensions", "days", "digest", "words"),
    [
        ((_SIGNS,), 1, "sha256", ""),
        ((_SIGNS,), 1, "sha1", "not safe"),
        ((), 1, "sha256", "no OCSP responder"),
        (
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),),
            1,
            "sha256",
            "no OCSP responder",
        ),
        ((_SIGNS,), -1, "sha256", "has expired"),
    ],
)
def test_who_was_authorized_may_answer_and_nobody_else(
    root: Person,
    start_peer: StartPeer[Any],
    tmp_path: Path,
    extensions: tuple[x509.ExtensionType, ...],
    days: float,
    digest: str,
    words: str,
) -> None:
    leaf = person(tmp_path, "leaf", root)
    delegate = person(tmp_path, "delegate", root, *extensions, days=days)
    index = index_of(tmp_path / "index", (leaf.certificate, False))
    own = delegate.files
    command = ("ocsp", "-index", index, "-CA", root.files.certificate, "-rsigner", own.certificate)
    command += ("-rkey", own.key, "-rmd", digest, "-ndays", "1", "-port")
    server = start_peer(OpensslServer(tmp_path / "log", *command))
    found = ask(leaf.der, root.der, f"http://127.0.0.1:{server.port}")
    assert found.state == ("unknown" if words else "good")
    assert words in found.why


@pytest.mark.parametrize(
    ("begins", "ends", "by", "how", "words"),
    [
        (-1.0, 1.0, "root", "good", ""),
        (-1.0, None, "root", "good", "too old"),
        (-0.01, None, "root", "good", ""),
        (-3.0, -1.0, "root", "good", "too old"),
        (1.0, 2.0, "root", "good", "not valid yet"),
        (-1.0, 1.0, "leaf", "good", "no OCSP responder"),
        (-1.0, 1.0, "root", "other nonce", "another request"),
        (-1.0, 1.0, "root", "other certificate", "another certificate"),
        (-1.0, 1.0, "root", "other name", "nobody has signed it"),
    ],
)
def test_an_answer_counts_in_its_time_for_its_question_and_from_who_it_says(
    root: Person,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    begins: float,
    ends: float | None,
    by: str,
    how: str,
    words: str,
) -> None:
    leaf = person(tmp_path, "leaf", root)
    signer = root if by == "root" else leaf

    def answered(url: str, data: bytes) -> bytes:
        request = ocsp.load_der_ocsp_request(data)
        nonce = request.extensions.get_extension_for_class(x509.OCSPNonce).value
        builder = ocsp.OCSPResponseBuilder().add_response(
            signer.certificate if how == "other certificate" else leaf.certificate,
            root.certificate,
            hashes.SHA1(),
            ocsp.OCSPCertStatus.GOOD,
            NOW + begins * DAY,
            None if ends is None else NOW + ends * DAY,
            None,
            None,
        )
        if how == "other name":
            twin = named("twin", root.key)
            builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, twin)
        else:
            builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
            builder = builder.certificates([signer.certificate])
        given = x509.OCSPNonce(bytes(32)) if how == "other nonce" else nonce
        builder = builder.add_extension(given, critical=False)
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)

    monkeypatch.setattr(asking, "_exchanged", answered)
    found = ask(leaf.der, root.der, "http://127.0.0.1")
    assert (found.state, words in found.why) == ("unknown" if words else "good", True), found
    assert found.until <= time.time() + 86400.0
