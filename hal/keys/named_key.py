"""A key by its name: the private key in a store, its certificate and requests in a folder.

The folder holds `certificate.pem`: the certificate, then those above it up to the authority. Which
of the two slots it belongs to is told by its public key, so there is nothing that could disagree.
A renewal makes a key in the other slot; the old one goes on until the new certificate is installed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hal.keys.base import SLOTS, Key, KeyStore, NoSuchKey, StoreGone, WrongStore
from hal.keys.folders import make_folder, write_whole
from hal.keys.names import CERTIFICATE
from hal.keys.validity import validity

if TYPE_CHECKING:
    from cryptography import x509

CANDIDATE = "candidate.pem"
REQUEST = "request.pem"
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What people want to know of a certificate; the moments are seconds of the epoch."""

    subject: str
    issuer: str
    serial: str
    not_before: float
    not_after: float


class NamedKey:
    """One name. Raises the errors of the store, and StoreGone where the folder cannot be used."""

    def __init__(self, folder: str, store: KeyStore) -> None:
        self.folder = Path(folder)
        self.store = store

    @property
    def certificate_file(self) -> Path:
        return self.folder / CERTIFICATE

    def create(self, algorithm: str) -> Key:
        """The first key. Raises WrongStore where there is one."""
        if self.store.slots:
            raise WrongStore("there is a key already: renew it, or delete it first")
        return self.store.create(SLOTS[0], algorithm)

    def renew(self, algorithm: str) -> Key:
        """A key that shall follow the one in use; one that was made so before is given up."""
        used = self.slot_in_use()
        if used is None:
            raise NoSuchKey("there is no key with a certificate yet: create it, and install one")
        spare = SLOTS[1 - SLOTS.index(used)]
        self.store.delete(spare)
        return self.store.create(spare, algorithm)

    def key_to_certify(self) -> Key:
        """The key that a request is for: the one without a certificate, else the one in use."""
        slots = self.store.slots
        if not slots:
            raise NoSuchKey("there is no key yet: create it")
        used = self.slot_in_use()
        return self.store.key(next((each for each in slots if each != used), slots[0]))

    def request(self, subject: str, names: Sequence[str], *, of_key_in_use: bool = False) -> bytes:
        """A certificate request in PEM, which is kept in the folder as well."""
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        from hal.keys.certificate_request import certificate_request

        used = self.slot_in_use() if of_key_in_use else None
        key = self.store.key(used) if used else self.key_to_certify()
        made = x509.load_der_x509_csr(certificate_request(key, subject, names))
        data = made.public_bytes(Encoding.PEM)
        self._write(REQUEST, data)
        return data

    def pending_request(self) -> bytes | None:
        """The request in PEM that was made for the key without a certificate; None where there is
        no such key, or no request for it."""
        from cryptography import x509

        used = self.slot_in_use()
        waiting = [self.store.key(slot).public_key for slot in self.store.slots if slot != used]
        try:
            data = (self.folder / REQUEST).read_bytes()
            asked = x509.load_pem_x509_csr(data)
        except (OSError, ValueError):
            return None
        return data if _public_key(asked) in waiting else None

    def install(
        self, data: bytes, prove: Callable[[str], None] = lambda file: None
    ) -> CertificateFacts:
        """Use a certificate (PEM, with its chain, or one in DER) for the key that it belongs to.

        New handshakes use it from now on, and the key that it follows is destroyed. Certificates
        of the chain may come in any order; what does not belong to it is left out. Before it is
        used, `prove` is called with the file that it lies in until then; what that raises leaves
        all as it was. Raises WrongStore for one of another key, or expired.
        """
        from cryptography.hazmat.primitives.serialization import Encoding

        certificates = certificates_in(data)
        before = self.slot_in_use()
        keys = {self.store.key(slot).public_key: slot for slot in self.store.slots}
        if not keys:
            raise NoSuchKey("there is no key yet: create it")
        own = next((each for each in certificates if _public_key(each) in keys), None)
        if own is None:
            raise WrongStore("none of these certificates is for a key of this name")
        facts = facts_of(own)
        if facts.not_after <= datetime.now(UTC).timestamp():
            raise WrongStore(f"the certificate of {facts.subject} has expired")
        chain = _chain(own, certificates)
        slot = keys[_public_key(own)]
        pem = b"".join(each.public_bytes(Encoding.PEM) for each in chain)
        self._write(CANDIDATE, pem)
        try:
            prove(str(self.folder / CANDIDATE))
            self._write(CERTIFICATE, pem)
        finally:
            with contextlib.suppress(OSError):
                (self.folder / CANDIDATE).unlink()
        if before is not None and before != slot:
            self.store.delete(before)
        return facts

    def slot_in_use(self) -> str | None:
        """The slot whose key the certificate is for; None without a certificate."""
        certificates = self.certificates()
        if not certificates:
            return None
        wanted = _public_key(certificates[0])
        for slot in self.store.slots:
            if self.store.key(slot).public_key == wanted:
                return slot
        return None

    def certificates(self) -> list[x509.Certificate]:
        """The certificate and its chain; none where none was installed."""
        try:
            return certificates_in(self.certificate_file.read_bytes())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreGone(f"{self.certificate_file} cannot be read: {error.strerror}") from error

    def delete(self) -> None:
        """Destroy all keys of this name, and take their certificate away."""
        for slot in SLOTS:
            self.store.delete(slot)
        for name in (CERTIFICATE, CANDIDATE, REQUEST):
            with contextlib.suppress(FileNotFoundError):
                (self.folder / name).unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _write(self, name: str, data: bytes) -> None:
        """All of a file or nothing, so that no handshake meets half of a chain."""
        try:
            make_folder(self.folder)
            write_whole(self.folder / name, data)
        except OSError as error:
            raise StoreGone(f"{self.folder / name} cannot be written: {error.strerror}") from error


def certificates_in(data: bytes) -> list[x509.Certificate]:
    """Certificates of a PEM file, of a DER one, or of PKCS#7. Raises WrongStore."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import pkcs7

    if len(data) > _LONGEST:
        raise WrongStore(f"a file of {len(data)} bytes holds no certificate")
    mark, tail = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    try:
        if mark in data:
            blocks = data.split(mark)[1:]
            return [
                x509.load_pem_x509_certificate(mark + each.partition(tail)[0] + tail + b"\n")
                for each in blocks
            ]
        if b"-----BEGIN PKCS7-----" in data:
            return list(pkcs7.load_pem_pkcs7_certificates(data))
        return [x509.load_der_x509_certificate(data)]
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        pass
    try:
        return list(pkcs7.load_der_pkcs7_certificates(data))
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        # The second is how an unknown kind of CMS is told.
        raise WrongStore("there is no certificate in this file that can be read") from error


def facts_of(certificate: x509.Certificate) -> CertificateFacts:
    """The facts of one certificate. Raises WrongStore."""
    try:
        begins, ends = validity(certificate)
        return CertificateFacts(
            certificate.subject.rfc4514_string(),
            certificate.issuer.rfc4514_string(),
            f"{certificate.serial_number:x}",
            begins.timestamp(),
            ends.timestamp(),
        )
    except Exception as error:
        # Parts are parsed when they are asked for, with exceptions of many families.
        raise WrongStore("there is a certificate that cannot be read") from error


def _public_key(certificate: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        public = certificate.public_key()
    except Exception as error:
        raise WrongStore("there is a certificate whose key cannot be read") from error
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _chain(own: x509.Certificate, others: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """From our own upwards (RFC 8446 4.4.2), without the self-signed one at the top."""
    chain = [own]
    while len(chain) <= len(others):
        above = next(
            (
                each
                for each in others
                if each.subject == chain[-1].issuer
                and each.subject != each.issuer
                and each not in chain
            ),
            None,
        )
        if above is None:
            break
        chain.append(above)
    return chain
