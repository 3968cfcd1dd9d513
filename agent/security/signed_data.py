"""Signatures of Signed-data (RFC 5652 5): made while a file is secured, checked when it is opened.

The profile has RSA with PKCS #1 v1.5 (PS3.15 D.1.1, RFC 2313).
"""

from __future__ import annotations

import datetime
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.errors import ConfigurationError, StorageError
from agent.quoting import quoted
from agent.security.certificate_path import CertificatePath
from agent.security.cms import (
    CLAUSE,
    CONTENT_TYPE,
    DATA,
    DIGESTS,
    LONGEST_ELEMENT,
    MESSAGE_DIGEST,
    RSA_ENCRYPTION,
    RSA_WITH_DIGEST,
    SIGNING_TIME,
    issuer_and_serial_number,
    read_digest,
    unsupported,
)
from agent.security.credentials import KeyFile, certificates, private_key
from agent.security.der import (
    NULL,
    OCTET_STRING,
    SEQUENCE,
    SET,
    UTC_TIME,
    Reader,
    algorithm,
    context,
    element,
    integer,
    object_identifier,
    set_of,
)

_MOST_CERTIFICATES = 32
_MOST_SIGNERS = 16
_WHAT = "the signature"


class Signer:
    """Signs what we write, with a private key whose certificate goes with each file."""

    def __init__(self, key: KeyFile, certificate: str, digest: str) -> None:
        """`certificate` is a file; others in it, of authorities, go with it.

        Raises ConfigurationError where a file cannot be read, or they do not belong together.
        """
        from cryptography.hazmat.primitives.serialization import Encoding

        self._key = private_key(key)
        chain = certificates(certificate)
        if not _belong_together(self._key, chain[0]):
            raise ConfigurationError(
                f"{key.path} is not the key of the certificate in {certificate}", value=key.path
            )
        self._digest = digest
        self._name = issuer_and_serial_number(chain[0])
        encoded = [each.public_bytes(Encoding.DER) for each in chain]
        self.certificates = set_of(context(0), encoded)

    def infos(self, digest: bytes) -> bytes:
        """The SignerInfos for a content with this digest; of the same length for every digest."""
        attributes = _signed_attributes(digest)
        signature = self._signature(element(SET, attributes))
        info = element(
            SEQUENCE,
            integer(1),
            self._name,
            algorithm(DIGESTS[self._digest]),
            element(context(0), attributes),
            algorithm(RSA_ENCRYPTION, element(NULL)),
            element(OCTET_STRING, signature),
        )
        return element(SET, info)

    def _signature(self, signed: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

        made: bytes = self._key.sign(signed, PKCS1v15(), _hash_of(self._digest))
        return made


def _signed_attributes(digest: bytes) -> bytes:
    now = datetime.datetime.now(datetime.UTC).strftime("%y%m%d%H%M%SZ").encode()
    values = (
        (CONTENT_TYPE, object_identifier(DATA)),
        (SIGNING_TIME, element(UTC_TIME, now)),
        (MESSAGE_DIGEST, element(OCTET_STRING, digest)),
    )
    members = (
        element(SEQUENCE, object_identifier(kind), element(SET, value)) for kind, value in values
    )
    return b"".join(sorted(members))


def _belong_together(key: Any, certificate: Any) -> bool:
    public = certificate.public_key()
    return hasattr(public, "public_numbers") and (
        public.public_numbers() == key.public_key().public_numbers()
    )


def _hash_of(digest: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    return getattr(hashes, digest.upper())()


def read_certificates(reader: Reader) -> list[Any]:
    """The certificates that come with Signed-data; what else may stand there is passed over.

    Raises what `cryptography` has for a certificate that is wrong, of whatever family.
    """
    from cryptography.x509 import load_der_x509_certificate

    found: list[Any] = []
    if reader.next_tag() == context(0):
        reader.enter(context(0))
        while reader.next_tag() is not None:
            encoded = reader.whole(LONGEST_ELEMENT)
            if encoded[0] == SEQUENCE and len(found) < _MOST_CERTIFICATES:
                found.append(load_der_x509_certificate(encoded))
        reader.leave()
    if reader.next_tag() == context(1):
        reader.enter(context(1))
        reader.skip_to_end(LONGEST_ELEMENT)
        reader.leave()
    return found


def check_signatures(
    reader: Reader,
    digests: Mapping[str, bytes],
    found: Sequence[Any],
    anchors: Sequence[Any],
    *,
    any_signer: bool,
) -> str:
    """Check the SignerInfos against the digests of the content; the name of the signer.

    Every signature whose certificate is there must be right, and one of the signers must be
    trusted, unless `any_signer` is enough. Raises StorageError.
    """
    reader.enter(SET)
    signers: list[Any] = []
    reasons: list[str] = []
    count = 0
    while reader.next_tag() is not None:
        count += 1
        if count > _MOST_SIGNERS:
            raise reader.fault("has more signatures than we take")
        info = reader.whole(LONGEST_ELEMENT)
        signer = checked_signer(info, digests, (*found, *anchors))
        if signer is None:
            reasons.append("the certificate of its signer is not there")
            continue
        refusal = "" if any_signer else CertificatePath(found, anchors).refusal(signer)
        if refusal:
            reasons.append(f"{signer.subject.rfc4514_string()}: {refusal}")
        else:
            signers.append(signer)
    reader.leave()
    if not signers:
        why = "; ".join(reasons) or "there is no signature"
        raise StorageError(f"its signer is unknown: {quoted(why)}", clause=CLAUSE)
    return "; ".join(each.subject.rfc4514_string() for each in signers)


def checked_signer(
    info: bytes,
    digests: Mapping[str, bytes],
    known: Sequence[Any],
    content_type: str = DATA,
    check: Callable[[Mapping[str, bytes], Any], None] | None = None,
) -> Any:
    """The certificate whose key made the signature of a SignerInfo, None where it is not there.

    `digests` are those of the content, by name. With `check`, there must be signed attributes, and
    it gets them, by identifier, and the certificate. Raises StorageError where the signature is
    wrong.
    """
    reader = Reader([info], _WHAT)
    reader.enter(SEQUENCE)
    reader.integer()
    signer = _named(reader.whole(LONGEST_ELEMENT), known)
    digest = read_digest(reader)
    if digest not in digests:
        raise reader.fault(f"is by {digest}, which the file does not announce")
    attributes = b""
    if reader.next_tag() == context(0):
        attributes = reader.whole(LONGEST_ELEMENT)
    identifier, _ = reader.algorithm()
    if identifier != RSA_ENCRYPTION and RSA_WITH_DIGEST.get(identifier) != digest:
        raise unsupported(_WHAT, identifier)
    signature = reader.octet_string(8192)
    said: Mapping[str, bytes] = {}
    if attributes:
        said = _checked_attributes(attributes, digests[digest], content_type)
    elif check is not None:
        raise reader.fault("lacks the attributes that are signed")
    if signer is not None:
        _verify(signer, signature, attributes, digests[digest], digest)
        if check is not None:
            check(said, signer)
    return signer


def _named(name: bytes, known: Sequence[Any]) -> Any:
    """The certificate that a SignerIdentifier means (RFC 5652 5.3)."""
    from cryptography import x509

    for certificate in known:
        if name[0] == SEQUENCE:
            if issuer_and_serial_number(certificate) == name:
                return certificate
            continue
        try:
            wanted = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except (x509.ExtensionNotFound, ValueError):
            continue
        if element(context(0, constructed=False), wanted.value.digest) == name:
            return certificate
    return None


def _checked_attributes(attributes: bytes, digest: bytes, content_type: str) -> dict[str, bytes]:
    """RFC 5652 5.4: the attributes must say of what type the content is, and its digest."""
    reader = Reader([attributes], _WHAT)
    reader.enter(context(0))
    said: dict[str, bytes] = {}
    while reader.next_tag() is not None:
        inside = reader.inside(SEQUENCE, LONGEST_ELEMENT)
        kind = inside.object_identifier()
        if kind in said:
            raise reader.fault("has an attribute twice")
        inside.enter(SET)
        said[kind] = inside.whole(LONGEST_ELEMENT)
    if said.get(CONTENT_TYPE) != object_identifier(content_type):
        raise reader.fault("is over content of another type")
    if not hmac.compare_digest(said.get(MESSAGE_DIGEST, b""), element(OCTET_STRING, digest)):
        raise damaged()
    return said


def _verify(signer: Any, signature: bytes, attributes: bytes, digest: bytes, name: str) -> None:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

    key = signer.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise StorageError("its signature is by a key that is no RSA key", clause=CLAUSE)
    kind = _hash_of(name)
    try:
        if attributes:
            # What is signed is the SET, not the [0] that stands in its place.
            key.verify(signature, bytes((SET,)) + attributes[1:], padding.PKCS1v15(), kind)
        else:
            key.verify(signature, digest, padding.PKCS1v15(), utils.Prehashed(kind))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise StorageError(
            f"the signature of {signer.subject.rfc4514_string()} is wrong", clause=CLAUSE
        ) from error


def damaged() -> StorageError:
    """The error for a content that is not the one of which the digest was made."""
    return StorageError("its content is not what its digest says: it was changed", clause=CLAUSE)
