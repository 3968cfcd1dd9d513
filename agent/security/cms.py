"""What the Basic DICOM Media Security Profile (PS3.15 D.1) takes of the Cryptographic Message
Syntax: its object identifiers, its ciphers and its digests (RFC 5652, 3370, 3565, 5754)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.errors import ConfigurationError, StorageError
from agent.quoting import quoted
from agent.security.der import SEQUENCE, SET, Reader

CLAUSE = "PS3.15 D.1"

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
ENVELOPED_DATA = "1.2.840.113549.1.7.3"
DIGESTED_DATA = "1.2.840.113549.1.7.5"

CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"

RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
PASSWORD_KEY_WRAP = "1.2.840.113549.1.9.16.3.9"
PBKDF2 = "1.2.840.113549.1.5.12"

LONGEST_ELEMENT = 1 << 20
"""Bytes of what is read into memory whole: a certificate, a recipient, a signer."""


class ContentCipher(NamedTuple):
    """A cipher in CBC mode: lengths of its key and its blocks in bytes."""

    name: str
    identifier: str
    key_length: int
    block_length: int

    def transformation(self, key: bytes, vector: bytes) -> Any:
        """The Cipher of `cryptography`."""
        from cryptography.hazmat.primitives.ciphers import Cipher, modes

        return Cipher(self._cipher()(key), modes.CBC(vector))

    def _cipher(self) -> Any:
        from cryptography.hazmat.primitives.ciphers import algorithms

        if self.block_length == 16:
            return algorithms.AES
        try:  # It has moved there in version 43.
            from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit
        except ImportError:
            return algorithms.TripleDES
        return decrepit.TripleDES


CIPHERS: Mapping[str, ContentCipher] = {
    each.name: each
    for each in (
        ContentCipher("aes-128", "2.16.840.1.101.3.4.1.2", 16, 16),
        ContentCipher("aes-192", "2.16.840.1.101.3.4.1.22", 24, 16),
        ContentCipher("aes-256", "2.16.840.1.101.3.4.1.42", 32, 16),
        ContentCipher("triple-des", "1.2.840.113549.3.7", 24, 8),
    )
}
"""By name. Triple-DES is read, not written: its blocks are too short for files of today."""

DIGESTS: Mapping[str, str] = {
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
"""Digest algorithms, by the names that hashlib has for them."""

RSA_WITH_DIGEST: Mapping[str, str] = {
    "1.2.840.113549.1.1.5": "sha1",
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
}
"""Signature algorithms that name their digest."""

HMACS: Mapping[str, str] = {
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}
"""Pseudo-random functions of PBKDF2 (RFC 8018 B.1)."""

_CIPHERS_BY_IDENTIFIER = {each.identifier: each for each in CIPHERS.values()}
_DIGESTS_BY_IDENTIFIER = {identifier: name for name, identifier in DIGESTS.items()}


def read_cipher(reader: Reader) -> tuple[ContentCipher, bytes]:
    """A cipher and its initialization vector, from an AlgorithmIdentifier."""
    identifier, parameters = reader.algorithm()
    cipher = _CIPHERS_BY_IDENTIFIER.get(identifier)
    if cipher is None:
        raise unsupported("the cipher", identifier)
    vector = parameters.octet_string(cipher.block_length)
    if len(vector) != cipher.block_length:
        raise parameters.fault(f"has an initialization vector of {len(vector)} bytes")
    return cipher, vector


def read_digest(reader: Reader) -> str:
    """The name of a digest, from an AlgorithmIdentifier."""
    identifier, _ = reader.algorithm()
    name = _DIGESTS_BY_IDENTIFIER.get(identifier)
    if name is None:
        raise unsupported("the digest", identifier)
    return name


def read_digests(reader: Reader) -> list[str]:
    """The names in a set of AlgorithmIdentifiers, as in front of SignedData (RFC 5652 5.1)."""
    names: list[str] = []
    reader.enter(SET)
    while reader.next_tag() is not None:
        names.append(read_digest(reader))
        if len(names) > len(DIGESTS):
            raise reader.fault("has more digests than there are")
    reader.leave()
    return names


def digest_length(name: str) -> int:
    """Bytes."""
    return hashlib.new(name).digest_size


def cipher_of(name: str) -> ContentCipher:
    """The cipher to write with. Raises ConfigurationError."""
    if name not in CIPHERS or name == "triple-des":
        raise _no_such("cipher", name, tuple(each for each in CIPHERS if each != "triple-des"))
    return CIPHERS[name]


def check_digest(name: str) -> None:
    """Raises ConfigurationError for a digest that D.1 does not have."""
    if name not in DIGESTS:
        raise _no_such("digest", name, tuple(DIGESTS))


def issuer_and_serial_number(certificate: Any) -> bytes:
    """How a certificate is named (RFC 5652 10.2.4), in the very bytes that it has."""
    from agent.security.der import INTEGER, context, element

    reader = Reader([certificate.tbs_certificate_bytes], "the certificate")
    reader.enter(SEQUENCE)
    if reader.next_tag() == context(0):
        reader.whole(LONGEST_ELEMENT)
    if reader.next_tag() != INTEGER:
        raise reader.fault("has no serial number")
    serial = reader.whole(LONGEST_ELEMENT)
    reader.whole(LONGEST_ELEMENT)
    return element(SEQUENCE, reader.whole(LONGEST_ELEMENT), serial)


def unsupported(what: str, identifier: str) -> StorageError:
    """The error for an algorithm that is none of the profile's."""
    return StorageError(
        f"{what} {identifier} of the envelope is none that the profile has",
        clause=CLAUSE,
        value=identifier,
    )


def _no_such(kind: str, name: str, allowed: tuple[str, ...]) -> ConfigurationError:
    return ConfigurationError(
        f"{quoted(name)} is no {kind} for a Secure DICOM file",
        clause=CLAUSE,
        value=name,
        limit=allowed,
        way_out=f"Use one of: {', '.join(allowed)}.",
    )
