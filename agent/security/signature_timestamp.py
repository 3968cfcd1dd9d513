"""Certified time stamps of digital signatures (PS3.15 C.1, PS3.3 C.12.1.1.3.1.3).

They are tokens of RFC 3161 over the value of Signature (0400,0120).

A token is asked for by a query that somebody takes to a time stamping authority; nothing here opens
a connection.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from agent.errors import GantryError, StorageError
from agent.security.certificate_path import CertificatePath
from agent.security.cms import (
    DIGESTS,
    LONGEST_ELEMENT,
    SIGNED_DATA,
    read_digest,
    read_digests,
    unsupported,
)
from agent.security.der import (
    INTEGER,
    NULL,
    OCTET_STRING,
    SEQUENCE,
    SET,
    Reader,
    algorithm,
    context,
    element,
    integer,
)
from agent.security.signature_terms import CLAUSE, MAC_ALGORITHMS
from agent.security.signed_data import checked_signer, read_certificates

_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_BOOLEAN = 0x01
_GENERALIZED_TIME = 0x18
_TRUE = b"\xff"
_WHAT = "the certified time stamp"
_GRANTED = (0, 1)
"""PKIStatus: granted, and granted with modifications (RFC 3161 2.4.2)."""
_BY_IDENTIFIER = {each.identifier: each.digest for each in MAC_ALGORITHMS.values()}


class Stamp(NamedTuple):
    """What a token says: when the signature was there, in UTC, and why that is not trusted ("")."""

    moment: datetime.datetime
    authority: str
    refusal: str


def query(signature: bytes, digest: str = "sha256") -> bytes:
    """A TimeStampReq in DER for this signature, which asks for the certificate, too."""
    imprint = element(
        SEQUENCE,
        algorithm(DIGESTS[digest], element(NULL)),
        element(OCTET_STRING, hashlib.new(digest, signature).digest()),
    )
    nonce = int.from_bytes(os.urandom(8), "big")
    return element(SEQUENCE, integer(1), imprint, integer(nonce), element(_BOOLEAN, _TRUE))


def token_of(answer: bytes) -> bytes:
    """The token in a TimeStampResp, or the token itself. Raises StorageError for anything else."""
    reader = _reader(answer)
    reader.enter(SEQUENCE)
    if reader.next_tag() != SEQUENCE:
        return answer
    status = reader.inside(SEQUENCE, LONGEST_ELEMENT)
    number = status.integer()
    if number not in _GRANTED:
        raise StorageError(
            f"the time stamping authority has refused, with the status {number}", clause="RFC 3161"
        )
    return reader.whole(LONGEST_ELEMENT)


def checked(
    token: bytes,
    signature: bytes,
    anchors: Sequence[Any],
    others: Sequence[Any] = (),
    revocations: Sequence[Any] = (),
) -> Stamp:
    """Check that a token is of this signature, and whether its authority is trusted.

    Raises StorageError where it is of another signature, was changed, or cannot be understood.
    """
    try:
        return _checked(token, signature, anchors, others, revocations)
    except GantryError:
        raise
    except Exception as error:
        # Certificates are read when they are asked for, and the ways in which one can be wrong
        # have exceptions of many families.
        raise StorageError(f"{_WHAT} has a certificate that cannot be understood") from error


def _checked(
    token: bytes,
    signature: bytes,
    anchors: Sequence[Any],
    others: Sequence[Any],
    revocations: Sequence[Any],
) -> Stamp:
    reader = _reader(token)
    reader.enter(SEQUENCE)
    kind = reader.object_identifier()
    if kind != SIGNED_DATA:
        raise unsupported("the content type", kind)
    reader.enter(context(0))
    reader.enter(SEQUENCE)
    reader.integer()
    names = read_digests(reader)
    content = _content(reader)
    moment = _moment(content, signature)
    digests = {name: hashlib.new(name, content).digest() for name in names}
    known = (*read_certificates(reader), *others, *anchors)
    reader.enter(SET)
    signer = checked_signer(
        reader.whole(LONGEST_ELEMENT), digests, known, _TST_INFO, _check_certificate
    )
    reader.leave()
    if signer is None:
        return Stamp(moment, "", "the certificate of its authority is not there")
    path = CertificatePath(known, anchors, moment, revocations)
    name = signer.subject.rfc4514_string()
    return Stamp(moment, name, path.refusal_of_time_stamps(signer))


def _check_certificate(said: Mapping[str, bytes], signer: Any) -> None:
    """The first certificate that the signed attributes name must be the signer's (RFC 3161 2.4.2,
    RFC 5816)."""
    from cryptography.hazmat.primitives.serialization import Encoding

    second = _SIGNING_CERTIFICATE_V2 in said
    value = said.get(_SIGNING_CERTIFICATE_V2, said.get(_SIGNING_CERTIFICATE))
    if value is None:
        raise StorageError(f"{_WHAT} does not say which certificate it is by", clause="RFC 3161")
    reader = _reader(value)
    for _ in range(3):
        reader.enter(SEQUENCE)
    digest = "sha256" if second else "sha1"
    if reader.next_tag() == SEQUENCE:
        digest = read_digest(reader)
    encoded: bytes = signer.public_bytes(Encoding.DER)
    made = hashlib.new(digest, encoded, usedforsecurity=False).digest()
    if not hmac.compare_digest(reader.octet_string(64), made):
        raise StorageError(f"{_WHAT} is by another certificate than it says", clause="RFC 3161")


def _reader(data: bytes) -> Reader:
    return Reader([data], _WHAT)


def _content(reader: Reader) -> bytes:
    """The TSTInfo, as it was signed."""
    reader.enter(SEQUENCE)
    kind = reader.object_identifier()
    if kind != _TST_INFO:
        raise unsupported("the content type", kind)
    reader.enter(context(0))
    content = reader.octet_string(LONGEST_ELEMENT)
    reader.leave()
    reader.leave()
    return content


def _moment(content: bytes, signature: bytes) -> datetime.datetime:
    """When the token was made, if it is of this signature."""
    reader = _reader(content)
    reader.enter(SEQUENCE)
    reader.integer()
    reader.object_identifier()
    imprint = reader.inside(SEQUENCE, LONGEST_ELEMENT)
    identifier, _ = imprint.algorithm()
    digest = _BY_IDENTIFIER.get(identifier)
    if digest is None:
        raise unsupported("the digest", identifier)
    made = hashlib.new(digest, signature, usedforsecurity=False).digest()
    if not hmac.compare_digest(imprint.octet_string(64), made):
        raise StorageError(f"{_WHAT} is not one of this signature", clause=CLAUSE)
    if reader.next_tag() != INTEGER:
        raise reader.fault("has no serial number")
    reader.whole(64)
    if reader.next_tag() != _GENERALIZED_TIME:
        raise reader.fault("does not say its time")
    text = reader.whole(64)[2:].decode("ascii", "replace")
    whole, _, fraction = text.rstrip("Z").partition(".")
    try:
        moment = datetime.datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=datetime.UTC)
    except ValueError as error:
        raise reader.fault(f"says {text!r} for its time") from error
    return moment + datetime.timedelta(seconds=float(f"0.{fraction}") if fraction.isdigit() else 0)
