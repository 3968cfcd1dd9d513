"""What authorities answer: OCSP responses (RFC 6960), and certificates of an EST server (RFC 7030)
or of a person, as PEM, DER and PKCS#7."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509 import ocsp

from agent.network import ocsp as asking
from hal.keys.base import KeyStoreError
from hal.keys.named_key import certificates_in, facts_of
from tests.fuzz.target import Target

_BEGIN = datetime.datetime(2020, 1, 1)
_END = datetime.datetime(2100, 1, 1)


@cache
def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(_BEGIN).not_valid_after(_END)
    usage = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.OCSP_SIGNING])
    return key, builder.add_extension(usage, critical=False).sign(key, hashes.SHA256())


@cache
def _request() -> ocsp.OCSPRequest:
    _, certificate = _authority()
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, certificate, hashes.SHA1())
    return builder.build()


def run(data: bytes) -> None:
    """The first byte says which: an answer of a responder, or certificates."""
    if not data:
        return
    if data[0] & 1:
        standing = asking.standing_of(data[1:], _request(), _authority()[1], b"")
        assert standing.state in ("good", "revoked", "unknown")
        return
    with contextlib.suppress(KeyStoreError):
        for each in certificates_in(data[1:]):
            facts_of(each)


def seeds() -> Iterator[bytes]:
    """Answers that are signed, by the authority and by whom it has named, and one of a failure."""
    key, certificate = _authority()
    for status in (ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED):
        revoked = _BEGIN if status is ocsp.OCSPCertStatus.REVOKED else None
        builder = ocsp.OCSPResponseBuilder().add_response(
            certificate, certificate, hashes.SHA1(), status, _BEGIN, _END, revoked, None
        )
        for encoding in ocsp.OCSPResponderEncoding:
            made = builder.responder_id(encoding, certificate).certificates([certificate])
            made = made.add_extension(x509.OCSPNonce(bytes(32)), critical=False)
            yield b"\x01" + made.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    failure = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    yield b"\x01" + failure.public_bytes(Encoding.DER)
    for form in (Encoding.PEM, Encoding.DER):
        yield b"\x00" + certificate.public_bytes(form)
        yield b"\x00" + pkcs7.serialize_certificates([certificate], form)


TARGET = Target(run, seeds, longest=1 << 13)
