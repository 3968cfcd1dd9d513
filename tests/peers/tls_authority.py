"""Certificates for the cases that a test of TLS needs: other names, a moment of expiry, a curve,
revocation lists, and devices that sign for themselves."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.peers.certificates import Authority, Credentials

_DAY = datetime.timedelta(days=1)
HERE = ("localhost", "127.0.0.1", "::1")


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class TlsAuthority(Authority):
    """An authority whose own certificate lies in `file`."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(name)
        self._folder = folder
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def make(
        self,
        name: str,
        *,
        names: Sequence[str] = HERE,
        ends_in: float = 30 * 86400.0,
        curve: bool = False,
        signs_itself: bool = False,
    ) -> Credentials:
        """A certificate that is valid for `ends_in` seconds more (below 0: no longer)."""
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
        key = (
            ec.generate_private_key(ec.SECP256R1())
            if curve
            else rsa.generate_private_key(65537, 2048)
        )
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = subject if signs_itself else self._name
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * _DAY)
            .not_valid_after(now + datetime.timedelta(seconds=ends_in))
            .add_extension(
                x509.SubjectAlternativeName([_alternative(each) for each in names]), critical=False
            )
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .sign(key if signs_itself else self._key, hashes.SHA256())
        )
        made = Credentials(self._folder / f"{name}.key", self._folder / f"{name}.pem")
        made.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        made.key.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        return made

    def revoke(self, name: str, *revoked: Credentials, ends_in: float = 86400.0) -> Path:
        """A revocation list, as the file of this name, that is current for `ends_in` seconds."""
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - 2 * _DAY)
            .next_update(now + datetime.timedelta(seconds=ends_in))
        )
        for each in revoked:
            serial = x509.load_pem_x509_certificate(each.certificate.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            builder = builder.add_revoked_certificate(entry.revocation_date(now - _DAY).build())
        file = self._folder / name
        new = file.with_suffix(".new")
        new.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        new.replace(file)
        return file


def fingerprint(certificate: Path) -> str:
    """SHA-256 over the certificate, with colons."""
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    return read.fingerprint(hashes.SHA256()).hex(":").upper()
