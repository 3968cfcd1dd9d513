"""Why a TLS connection failed, in plain words and with the way out, from what OpenSSL says."""

from __future__ import annotations

import ssl

from agent.network.client_hello import described
from agent.network.stream import ConnectionLost, HandshakeFailed

CLAUSE = "PS3.15 B"


# X509_V_ERR_* of <openssl/x509_vfy.h>: what to do about a certificate that we do not accept.
_CERTIFICATE_WAYS_OUT = {
    3: "Name a current revocation list of the certificate's authority in tls.crl.",
    9: "Wait until the certificate is valid, and check both clocks.",
    10: "Renew the certificate of the peer, and check both clocks.",
    12: "Fetch a new revocation list from the authority into the files of tls.crl.",
    18: "Name the peer's certificate in tls.trust if you trust that very device.",
    19: "Name the authority at the end of the peer's chain in tls.trust.",
    20: "Name the authority that signed the peer's certificate in tls.trust, or let the peer send"
    " the certificates between.",
    21: "Name the authority that signed the peer's certificate in tls.trust.",
    23: "The authority has revoked the certificate: the peer needs a new one.",
    62: "Name the host as its certificate does, or give that name in tls.server_name.",
    64: "Call the host by the name in its certificate, or give that name in tls.server_name.",
    66: "The peer needs a certificate with a key of 2048 bits of RSA, or 256 of a curve, or more.",
    67: "An authority of the chain has too short a key: the peer needs a certificate of another.",
    68: "The peer needs a certificate that is signed with SHA-256 or better.",
}

# OpenSSL's reasons, of alerts (RFC 8446 6.2) and of its own: what happened, what to do.
_PROFILES = "Both sides must speak one profile of PS3.15 B; see tls.profile."
_OURS = "Its log says why; check our certificate, and that the peer trusts who signed it."
_PLAIN = "the peer does not speak TLS"
_NOT_TLS = "Switch TLS on in the peer, or use the port without TLS."
_REASONS = {
    "NO_SHARED_CIPHER": ("no cipher suite in common", _PROFILES),
    "NO_SHARED_GROUP": ("no group for the key exchange in common", _PROFILES),
    "NO_SUITABLE_SIGNATURE_ALGORITHM": ("no signature algorithm in common", _PROFILES),
    "NO_SHARED_SIGNATURE_ALGORITHMS": ("no signature algorithm in common", _PROFILES),
    "UNSUPPORTED_PROTOCOL": ("no version of TLS in common", _PROFILES),
    "TLSV1_ALERT_PROTOCOL_VERSION": ("the peer speaks none of our versions of TLS", _PROFILES),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "the peer finds nothing in common, or wants a certificate of ours",
        "Both sides must speak one profile of PS3.15 B; see tls.profile and tls.certificate.",
    ),
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": ("the peer wants stronger cipher suites", _PROFILES),
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (
        "the peer shows no certificate",
        "Give the peer a certificate of a trusted authority; who may do without one has"
        ' peer_certificate = "optional".',
    ),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": (
        "the peer wants a certificate of ours",
        "Name one in tls.certificate.",
    ),
    "TLSV1_ALERT_UNKNOWN_CA": ("the peer does not know who signed our certificate", _OURS),
    "SSLV3_ALERT_BAD_CERTIFICATE": ("the peer does not accept our certificate", _OURS),
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": (
        "the peer does not accept our kind of certificate",
        _OURS,
    ),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": ("the peer does not accept our certificate", _OURS),
    "TLSV1_ALERT_DECRYPT_ERROR": ("the peer could not verify our signature", _OURS),
    "TLSV1_ALERT_ACCESS_DENIED": ("the peer accepts our certificate and denies access", _OURS),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": (
        "for the peer our certificate has expired",
        "Renew our certificate, and check both clocks.",
    ),
    "SSLV3_ALERT_CERTIFICATE_REVOKED": (
        "the peer says that our certificate is revoked",
        "Ask the authority for a new certificate.",
    ),
    "TLSV1_UNRECOGNIZED_NAME": (
        "the peer does not know the server name that we ask for",
        "Give the name of its certificate in tls.server_name.",
    ),
    "NO_RENEGOTIATION": ("the peer refuses to renegotiate", "Renegotiation is never needed."),
    "WRONG_VERSION_NUMBER": (_PLAIN, _NOT_TLS),
    "HTTP_REQUEST": (_PLAIN, _NOT_TLS),
    "HTTPS_PROXY_REQUEST": (_PLAIN, _NOT_TLS),
    "PACKET_LENGTH_TOO_LONG": (_PLAIN, _NOT_TLS),
    "UNEXPECTED_EOF_WHILE_READING": (
        "the peer closed the connection without a word",
        "Its log may say why; often the port is one without TLS, or the certificate is refused.",
    ),
}
# What a peer that speaks TLS is to blame for: nothing in common, no certificate, a wrong signature.
# Not its alerts, by which it blames us, and not what a scan or a health check of the port sends.
_PEERS_FAULTS = frozenset(
    (
        "NO_SHARED_CIPHER",
        "NO_SHARED_GROUP",
        "NO_SUITABLE_KEY_SHARE",
        "NO_SUITABLE_SIGNATURE_ALGORITHM",
        "NO_SHARED_SIGNATURE_ALGORITHMS",
        "UNSUPPORTED_PROTOCOL",
        "VERSION_TOO_LOW",
        "PEER_DID_NOT_RETURN_A_CERTIFICATE",
        "BAD_SIGNATURE",
    )
)


def certificate_failure(error: ssl.SSLCertVerificationError) -> HandshakeFailed:
    """We do not accept what the peer shows."""
    words = error.verify_message.rstrip(".")
    return HandshakeFailed(
        f"the peer's certificate is not accepted: {words}",
        clause=CLAUSE,
        value=error.verify_code,
        peers_fault=True,
        way_out=_CERTIFICATE_WAYS_OUT.get(
            error.verify_code, "Check the trusted authorities, the name, and both clocks."
        ),
    )


def handshake_failure(error: ssl.SSLError, hello: bytes = b"") -> HandshakeFailed:
    """Any other failure; `hello` is what the peer said first, where the peer is the client."""
    words, way_out = _words(error)
    offer = described(hello) if hello else ""
    if offer:
        words += f"; the peer sent {offer}"
    return HandshakeFailed(
        f"the TLS handshake failed: {words}",
        clause=CLAUSE,
        value=error.reason,
        peers_fault=error.reason in _PEERS_FAULTS,
        way_out=way_out,
    )


def later_failure(error: ssl.SSLError) -> ConnectionLost:
    """What comes after our side of the handshake: with TLS 1.3 a client hears then that the server
    does not accept its certificate (RFC 8446 4.4.2.4)."""
    words, way_out = _words(error)
    return ConnectionLost(
        f"TLS failed: {words}", clause=CLAUSE, value=error.reason, way_out=way_out
    )


def _words(error: ssl.SSLError) -> tuple[str, str]:
    reason = error.reason or ""
    if reason.startswith("TLSV1_ALERT_UNRECOGNIZED_NAME"):
        reason = "TLSV1_UNRECOGNIZED_NAME"
    known = _REASONS.get(reason)
    if known:
        return known
    words = reason.lower().replace("_", " ") or str(error)
    return words, "Check that both sides speak TLS on this port, their profiles and certificates."
