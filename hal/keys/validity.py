"""Moments that certificates, revocation lists and OCSP responses name.

Newer versions of `cryptography` tell them with their zone, as NAME_utc; that of Debian 12 without.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509


def moment(thing: Any, name: str) -> datetime | None:
    """The moment in UTC; None where it is not given."""
    found: datetime | None = getattr(thing, f"{name}_utc", None) or getattr(thing, name, None)
    return found if found is None or found.tzinfo is not None else found.replace(tzinfo=UTC)


def validity(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    """From when and until when a certificate is valid (RFC 5280 4.1.2.5)."""
    begins, ends = moment(certificate, "not_valid_before"), moment(certificate, "not_valid_after")
    assert begins is not None and ends is not None
    return begins, ends
