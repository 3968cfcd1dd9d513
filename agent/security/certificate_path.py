"""Whether those whom we trust vouch for a certificate (RFC 5280 6.1, what signatures need of it).

Signatures, validity, the right to sign certificates, the length of the path and the revocation
lists that are given are looked at. Policies and name constraints are not: a certificate with a
critical extension that is not looked at is refused.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from hal.keys.validity import moment, validity

_LONGEST_PATH = 8
_MOST_STEPS = 100


class CertificatePath:
    """Looks for a way from a certificate, over those that came with it, to a trusted one."""

    def __init__(
        self,
        others: Sequence[Any],
        anchors: Sequence[Any],
        moment: datetime.datetime | None = None,
        revocations: Sequence[Any] = (),
    ) -> None:
        """`moment` is that of the check, with its time zone; now, without one. `revocations` are
        certificate revocation lists; where there are any, each issuer must have one."""
        self._others = others
        self._anchors = anchors
        self._moment = moment or datetime.datetime.now(datetime.UTC)
        self._revocations = revocations
        self._steps = 0

    def refusal(self, signer: Any) -> str:
        """Why the certificate is not trusted to sign a file; "" where it is."""
        if not _may(signer, "digital_signature", "content_commitment"):
            return "its certificate is not one for signatures"
        return self._refusal(signer, 0)

    def refusal_of_time_stamps(self, authority: Any) -> str:
        """Why the certificate is not trusted to sign time stamps (RFC 3161 2.3); "" where it is."""
        if not _stamps_time(authority):
            return "its certificate is not one for time stamps"
        return self.refusal(authority)

    def _refusal(self, certificate: Any, below: int) -> str:
        """`below` are the authorities between this one and the signer."""
        fault = self._fault_of(certificate)
        if fault:
            return fault
        if any(each == certificate for each in self._anchors):
            return ""
        reason = "nobody whom we trust vouches for its certificate"
        if below >= _LONGEST_PATH:
            return reason
        for issuer in (*self._anchors, *self._others):
            self._steps += 1
            if self._steps > _MOST_STEPS:
                break
            if issuer == certificate or issuer.subject != certificate.issuer:
                continue
            if not _may_issue(issuer, below) or not _has_signed(issuer, certificate):
                continue
            found = self._revoked(certificate, issuer) or self._refusal(issuer, below + 1)
            if not found:
                return ""
            reason = found
        return reason

    def _revoked(self, certificate: Any, issuer: Any) -> str:
        """What the lists of its issuer say of a certificate."""
        if not self._revocations:
            return ""
        name = certificate.subject.rfc4514_string()
        current = [each for each in self._revocations if self._counts(each, issuer)]
        for each in current:
            found = each.get_revoked_certificate_by_serial_number(certificate.serial_number)
            revoked = moment(found, "revocation_date")
            if revoked is not None and revoked <= self._moment:
                return f"the certificate of {name} was revoked"
        return (
            "" if current else f"there is no current revocation list for the certificate of {name}"
        )

    def _counts(self, revocations: Any, issuer: Any) -> bool:
        """Whether a list is of this issuer, and not too old for the moment of the check."""
        if revocations.issuer != issuer.subject:
            return False
        try:
            right = revocations.is_signature_valid(issuer.public_key())
            # A list need not say when the next one comes; RFC 5280 5.1.2.5 wants it to.
            ends = moment(revocations, "next_update")
            return bool(right) and ends is not None and self._moment <= ends
        except (TypeError, ValueError, AttributeError):
            return False

    def _fault_of(self, certificate: Any) -> str:
        name = certificate.subject.rfc4514_string()
        begin, end = validity(certificate)
        if self._moment < begin:
            return f"the certificate of {name} is not valid before {begin:%Y-%m-%d}"
        if self._moment > end:
            return f"the certificate of {name} has expired on {end:%Y-%m-%d}"
        unknown = _unknown_extension(certificate)
        return f"the certificate of {name} has the critical extension {unknown}" if unknown else ""


def _unknown_extension(certificate: Any) -> str:
    from cryptography import x509

    known = (
        x509.BasicConstraints,
        x509.KeyUsage,
        x509.ExtendedKeyUsage,
        x509.SubjectAlternativeName,
    )
    try:
        for each in certificate.extensions:
            if each.critical and not isinstance(each.value, known):
                return str(each.oid.dotted_string)
    except ValueError:
        return "that cannot be read"
    return ""


def _may(certificate: Any, *usages: str) -> bool:
    """Whether the key may be used so; without the extension it may be used for all."""
    from cryptography import x509

    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    return any(getattr(usage, each) for each in usages)


def _stamps_time(certificate: Any) -> bool:
    """RFC 3161 2.3: the only extended key usage, and a critical one."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return bool(usage.critical) and list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


def _may_issue(certificate: Any, below: int) -> bool:
    from cryptography import x509

    try:
        value = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    fits = value.path_length is None or value.path_length >= below
    return bool(value.ca) and fits and _may(certificate, "key_cert_sign")


def _has_signed(issuer: Any, certificate: Any) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    try:
        key = issuer.public_key()
        digest = certificate.signature_hash_algorithm
        if isinstance(key, rsa.RSAPublicKey):
            scheme = getattr(certificate, "signature_algorithm_parameters", padding.PKCS1v15())
            key.verify(signature, signed, scheme, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(digest))
        else:
            key.verify(signature, signed)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError, AttributeError):
        return False
    return True
