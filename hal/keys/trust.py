"""Certificates of authorities that are trusted: a folder, one file for each, named by content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hal.keys.base import NoSuchKey, StoreGone, WrongStore
from hal.keys.folders import make_folder, write_whole
from hal.keys.named_key import CertificateFacts, certificates_in, facts_of

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True, slots=True)
class Trusted:
    """One authority; `fingerprint` is the SHA-256 of its certificate, in hexadecimal."""

    fingerprint: str
    facts: CertificateFacts
    file: Path


def trusted_in(folder: Path) -> list[Trusted]:
    """All of a folder, by subject. Raises StoreGone, WrongStore."""
    found = []
    try:
        for file in folder.glob("*.pem"):
            (certificate,) = certificates_in(file.read_bytes())
            found.append(Trusted(_fingerprint(certificate), facts_of(certificate), file))
    except (OSError, ValueError) as error:
        raise StoreGone(f"{folder} cannot be read: {error}") from error
    return sorted(found, key=lambda each: (each.facts.subject, each.fingerprint))


def trust(folder: Path, data: bytes) -> list[Trusted]:
    """Trust the authorities whose certificates these are; which ones. Raises WrongStore for a
    certificate that is no authority's, StoreGone."""
    from cryptography.hazmat.primitives.serialization import Encoding

    certificates = certificates_in(data)
    for each in certificates:
        if not _is_authority(each):
            raise WrongStore(f"{each.subject.rfc4514_string()} is no authority")
    added = []
    try:
        make_folder(folder)
        for each in certificates:
            fingerprint = _fingerprint(each)
            file = folder / f"{fingerprint[:32]}.pem"
            write_whole(file, each.public_bytes(Encoding.PEM))
            added.append(Trusted(fingerprint, facts_of(each), file))
    except OSError as error:
        raise StoreGone(f"{folder} cannot be written: {error.strerror}") from error
    return added


def distrust(folder: Path, which: str) -> list[Trusted]:
    """Trust no longer whom this names: the beginning of a fingerprint, or a subject.

    Raises NoSuchKey where it names nobody, WrongStore where a fingerprint is ambiguous.
    """
    wanted = which.replace(":", "").lower()
    found = [
        each
        for each in trusted_in(folder)
        if each.facts.subject == which or (len(wanted) >= 8 and each.fingerprint.startswith(wanted))
    ]
    if not found:
        raise NoSuchKey(f"{which} is nobody who is trusted")
    if len({each.facts.subject for each in found}) > 1:
        raise WrongStore(f"{which} names several authorities")
    try:
        for each in found:
            each.file.unlink(missing_ok=True)
    except OSError as error:
        raise StoreGone(f"{folder} cannot be written: {error.strerror}") from error
    return found


def _fingerprint(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives import hashes

    return certificate.fingerprint(hashes.SHA256()).hex()


def _is_authority(certificate: x509.Certificate) -> bool:
    """By Basic Constraints (RFC 5280 4.2.1.9); one that signed itself is its own anchor."""
    from cryptography import x509

    if certificate.subject == certificate.issuer:
        return True
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return found.value.ca
