"""The certificate that the other side of a TLS connection has shown, and that was verified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.configuration.distinguished_name import Attributes, short_name, written

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """`subject` and `issuer` as attributes in the order of the certificate, names in short form.

    `names` are the subject alternative names, each as "DNS:ct1.example"; `fingerprint` is the
    SHA-256 of the whole certificate in hexadecimal digits.
    """

    subject: Attributes = ()
    issuer: Attributes = ()
    serial_number: str = ""
    names: tuple[str, ...] = ()
    fingerprint: str = ""

    @classmethod
    def of(cls, end: ssl.SSLSocket) -> PeerCertificate | None:
        """None where none was shown, or none was verified: what it says would prove nothing."""
        told: dict[str, Any] | None = end.getpeercert()
        if not told:
            return None
        from hashlib import sha256

        return cls(
            _attributes(told.get("subject", ())),
            _attributes(told.get("issuer", ())),
            str(told.get("serialNumber", "")),
            tuple(f"{kind}:{value}" for kind, value in told.get("subjectAltName", ())),
            sha256(end.getpeercert(binary_form=True) or b"").hexdigest(),
        )

    @property
    def subject_text(self) -> str:
        return written(self.subject)


def _attributes(names: Any) -> Attributes:
    # A tuple of relative distinguished names, each a tuple of (type, value).
    return tuple(
        (short_name(str(kind)), str(value)) for relative in names for kind, value in relative
    )
