"""Asking an OCSP responder about a certificate (RFC 6960); blocks, and so runs in a worker.

Python's `ssl` neither asks for a stapled response (RFC 6066 8) nor gives one, so the responder is
asked itself: the one that is configured, else the one that the certificate names.
"""

from __future__ import annotations

import http.client
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from hal.keys.validity import moment, validity

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.x509 import ocsp

_SECONDS = 10.0
_LONGEST = 1 << 16
_SKEW = 300.0
"""Seconds that the clocks of responder and box may differ."""
_WITHOUT_END = 3600.0
"""Seconds that a response holds which says nothing of the next one."""
_LONGEST_REMEMBERED = 86400.0
"""Seconds after which a responder is asked again, however long its answer holds."""
_SHORTEST_DIGEST = 32
"""Bytes: SHA-256 and better. Two contents with one SHA-1 can be made."""


class Standing(NamedTuple):
    """How a certificate stands: good, revoked or unknown; `until` is a moment of the epoch."""

    state: str
    until: float
    why: str = ""


def ask(certificate: bytes, issuer: bytes, responder: str) -> Standing:
    """Ask about a certificate in DER; `responder` is a URL, or empty for what it names itself.

    Never raises: what goes wrong is a state that is unknown, and holds for no time.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import ocsp

    try:
        asked = x509.load_der_x509_certificate(certificate)
        above = x509.load_der_x509_certificate(issuer)
        url = responder or _responder_of(asked)
        if not url:
            return Standing("unknown", 0.0, "the certificate names no OCSP responder")
        nonce = x509.OCSPNonce(os.urandom(32))
        builder = ocsp.OCSPRequestBuilder().add_certificate(asked, above, hashes.SHA1())
        request = builder.add_extension(nonce, critical=False).build()
        data = _exchanged(url, request.public_bytes(Encoding.DER))
        return standing_of(data, request, above, nonce.nonce)
    except (OSError, http.client.HTTPException) as error:
        return Standing("unknown", 0.0, f"the OCSP responder cannot be reached: {error}")
    except ValueError as error:
        return Standing("unknown", 0.0, f"the OCSP responder cannot be asked: {error}")


def standing_of(
    data: bytes, request: ocsp.OCSPRequest, issuer: x509.Certificate, nonce: bytes
) -> Standing:
    """What a response says to a request about a certificate of this issuer. Never raises."""
    from cryptography.x509 import ocsp

    try:
        return _standing(ocsp.load_der_ocsp_response(data), request, issuer, nonce)
    except Exception as error:
        # Parts of a response are parsed when they are asked for, with exceptions of many families.
        words = str(error) or type(error).__name__
        return Standing("unknown", 0.0, f"the OCSP response is not valid: {words}")


def _responder_of(certificate: x509.Certificate) -> str:
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except x509.ExtensionNotFound:
        return ""
    for each in access.value:
        if each.access_method == AuthorityInformationAccessOID.OCSP:
            return str(each.access_location.value)
    return ""


def _exchanged(url: str, request: bytes) -> bytes:
    """The response by HTTP (RFC 6960 A.1). Raises OSError, HTTPException, ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        # With TLS the responder's own certificate would have to be asked about.
        raise ValueError(f"{url} is no http:// URL")
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=_SECONDS)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": "application/ocsp-request"}
        connection.request("POST", path, request, headers)
        answer = connection.getresponse()
        data = answer.read(_LONGEST + 1)
    finally:
        connection.close()
    if answer.status != 200 or len(data) > _LONGEST:
        raise ValueError(f"status {answer.status}, {len(data)} bytes")
    return data


def _standing(
    response: ocsp.OCSPResponse, request: ocsp.OCSPRequest, issuer: x509.Certificate, nonce: bytes
) -> Standing:
    """What a response says, after it was verified (RFC 6960 3.2)."""
    from cryptography import x509
    from cryptography.x509 import ocsp

    if response.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise ValueError(f"the responder says {response.response_status.name}")
    answer = next((each for each in response.responses if _is_about(each, request)), None)
    if answer is None:
        raise ValueError("it is about another certificate")
    _verify(response, issuer)
    try:
        given = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
        if given != nonce:
            raise ValueError("it answers another request")
    except x509.ExtensionNotFound:
        pass  # RFC 9654 2.1: many responders sign beforehand.
    until = _until(response, answer)
    state = {
        ocsp.OCSPCertStatus.GOOD: "good",
        ocsp.OCSPCertStatus.REVOKED: "revoked",
        ocsp.OCSPCertStatus.UNKNOWN: "unknown",
    }[answer.certificate_status]
    return Standing(state, until, "the responder does not know it" if state == "unknown" else "")


def _is_about(answer: ocsp.OCSPSingleResponse, request: ocsp.OCSPRequest) -> bool:
    return (answer.serial_number, answer.issuer_key_hash, answer.issuer_name_hash) == (
        request.serial_number,
        request.issuer_key_hash,
        request.issuer_name_hash,
    )


def _until(response: ocsp.OCSPResponse, answer: ocsp.OCSPSingleResponse) -> float:
    """How long it is remembered: as long as it says, a day at most. Raises ValueError for what is
    old, or of the future (RFC 6960 4.2.2.1)."""
    now = time.time()
    made, begins = moment(response, "produced_at"), moment(answer, "this_update")
    ends = moment(answer, "next_update")
    assert made is not None and begins is not None
    until = begins.timestamp() + _WITHOUT_END if ends is None else ends.timestamp()
    if max(made, begins).timestamp() > now + _SKEW or until < now - _SKEW:
        raise ValueError("it is too old, or not valid yet")
    if until < begins.timestamp():
        raise ValueError("it ends before it begins")
    return min(until, now + _LONGEST_REMEMBERED)


def _verify(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> None:
    """By the issuer itself, or by whom it has authorized (RFC 6960 4.2.2.2). Raises ValueError."""
    from cryptography.exceptions import InvalidSignature

    why = "nobody has signed it who may"
    for each in (issuer, *response.certificates):
        refusal = "" if each == issuer else _refusal(each, issuer)
        if refusal or not _is_responder(response, each):
            why = refusal or why
            continue
        try:
            hash_name = response.signature_hash_algorithm
            _check(each, response.signature, response.tbs_response_bytes, hash_name)
        except InvalidSignature:
            continue
        return
    raise ValueError(why)


def _is_responder(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    """Whether the response says that it is from whom this certificate is of."""
    from cryptography import x509

    if response.responder_name is not None:
        return response.responder_name == signer.subject
    # SHA-1 of the public key (RFC 6960 4.2.1), as the identifiers of RFC 5280 4.2.1.2 (1) are.
    digest = x509.SubjectKeyIdentifier.from_public_key(signer.public_key()).digest
    return response.responder_key_hash == digest


def _refusal(delegate: x509.Certificate, issuer: x509.Certificate) -> str:
    """Why a certificate may not sign for the issuer; "" where it may (RFC 6960 4.2.2.2).

    Whether it was revoked itself is not asked: it is valid for as long as the issuer has said.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.x509.oid import ExtendedKeyUsageOID

    extensions = delegate.extensions
    try:
        use = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return "who has signed it is no OCSP responder"
    if ExtendedKeyUsageOID.OCSP_SIGNING not in use:
        return "who has signed it is no OCSP responder"
    try:
        if not extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            return "the responder's key is not for signatures"
    except x509.ExtensionNotFound:
        pass
    if delegate.issuer != issuer.subject:
        return "another authority has named the responder"
    signed = delegate.signature, delegate.tbs_certificate_bytes, delegate.signature_hash_algorithm
    try:
        _check(issuer, *signed)
    except InvalidSignature:
        return "another authority has named the responder"
    begins, ends = validity(delegate)
    if not begins.timestamp() - _SKEW <= time.time() <= ends.timestamp():
        return "the responder's certificate has expired, or is not valid yet"
    return ""


def _check(signer: x509.Certificate, signature: bytes, data: bytes, hash_name: Any) -> None:
    """Raises InvalidSignature; ValueError for a kind of signature that is not taken."""
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    public = signer.public_key()
    if hash_name is None or hash_name.digest_size < _SHORTEST_DIGEST:
        raise ValueError("it is signed with an algorithm that is not safe, or not known")
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(signature, data, padding.PKCS1v15(), hash_name)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(signature, data, ec.ECDSA(hash_name))
    else:
        raise ValueError("it is signed by a kind of key that we do not know")
