"""A certificate that a key gives to itself: what a box shows before an authority has given it one.

Who knows its fingerprint knows the box. It says no end (RFC 5280 4.1.2.5), for there is nobody who
would renew it, and a beginning that is before any box was made: at its first start a clock may
not be set.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from hal.keys.base import Key
from hal.keys.certificate_request import alternative_names, name_of, signer

# Without a zone: so cryptography takes UTC, in all its versions.
_BEGINS = datetime(2025, 1, 1)
_NEVER_ENDS = datetime(9999, 12, 31, 23, 59, 59)


def own_certificate(key: Key, subject: str, names: Sequence[str]) -> bytes:
    """In PEM, for `subject` (RFC 4514) and the names of the host. Raises as
    `certificate_request`."""
    name = name_of(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(load_der_public_key(key.public_key))  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGINS)
        .not_valid_after(_NEVER_ENDS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(alternative_names(names), critical=False)
    return builder.sign(signer(key), hashes.SHA256()).public_bytes(Encoding.PEM)
