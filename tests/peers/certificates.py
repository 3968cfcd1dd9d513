"""Keys and certificates of a small authority, made for one test run and thrown away."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

_DAY = datetime.timedelta(days=1)
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Credentials:
    """A private key and its certificate, as PEM files."""

    key: Path
    certificate: Path


@dataclass(frozen=True)
class Certificates:
    """An authority, a server for localhost and 127.0.0.1, and a client, both signed by it."""

    authority: Path
    server: Credentials
    client: Credentials
    stranger: Credentials
    """A client that another authority has signed."""

    def dcmtk_options(self, own: Credentials) -> list[str]:
        """Options of a DCMTK program (`+tls` with mutual authentication)."""
        return ["+tls", str(own.key), str(own.certificate), "+cf", str(self.authority)]

    def server_context(self, *, mutual: bool = True) -> ssl.SSLContext:
        """For the accepting side; with `mutual` the client must show a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.certificate, self.server.key)
        if mutual:
            context.load_verify_locations(self.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self, own: Credentials | None = None) -> ssl.SSLContext:
        """For the connecting side, with `client`'s certificate unless another is given."""
        context = ssl.create_default_context(cafile=str(self.authority))
        chosen = own or self.client
        context.load_cert_chain(chosen.certificate, chosen.key)
        return context


class Authority:
    """Signs certificates; its own is `certificate`."""

    def __init__(self, name: str) -> None:
        self._key: PrivateKey = rsa.generate_private_key(65537, 2048)
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key.public_key(), 0, 30)
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        self.certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def write(self, folder: Path, name: str) -> Credentials:
        """Its own key and certificate as files, for a program that signs with them."""
        made = Credentials(folder / f"{name}.key", folder / f"{name}.pem")
        made.certificate.write_bytes(self.certificate_pem)
        shape = PrivateFormat.TraditionalOpenSSL
        made.key.write_bytes(self._key.private_bytes(Encoding.PEM, shape, NoEncryption()))
        return made

    def subordinate(self, name: str) -> Authority:
        """Another authority, whose certificate this one has signed."""
        made = Authority(name)
        builder = self._builder(made.certificate.subject, made._key.public_key(), 0, 30)
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        made.certificate = builder.sign(self._key, hashes.SHA256())
        return made

    def sign(
        self,
        request: x509.CertificateSigningRequest,
        *,
        start: int = 0,
        days: float = 30,
        more: Sequence[x509.ExtensionType] = (),
    ) -> bytes:
        """The certificate that was asked for, in PEM, valid like those of `issue`."""
        builder = self._builder(request.subject, request.public_key(), start, days)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        for each in request.extensions:
            builder = builder.add_extension(each.value, each.critical)
        for extension in more:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _builder(
        self, name: x509.Name, key: CertificatePublicKeyTypes, start: int, days: float
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY + start * _DAY)
            .not_valid_after(now + (start + days) * _DAY)
        )

    def issue(self, folder: Path, name: str, *, start: int = 0, days: int = 30) -> Credentials:
        """A new key with a certificate that is valid from `start` days from now, for `days`.

        An expired one has `start=-30, days=1`.
        """
        key = rsa.generate_private_key(65537, 2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = self._builder(subject, key.public_key(), start, days)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        made = Credentials(folder / f"{name}.key", folder / f"{name}.pem")
        certificate = builder.sign(self._key, hashes.SHA256())
        made.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        made.key.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        return made


def make_certificates(folder: Path) -> Certificates:
    """All that a test of TLS needs, in `folder`."""
    authority, other = Authority("trusted"), Authority("unknown")
    file = folder / "authority.pem"
    file.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    return Certificates(
        authority=file,
        server=authority.issue(folder, "server"),
        client=authority.issue(folder, "client"),
        stranger=other.issue(folder, "stranger"),
    )
