"""Certificate requests (PKCS#10, RFC 2986) signed by whatever holds the key."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from hal.keys.base import Key, WrongStore

_NOT_HERE = "the key is in a token or a chip, and cannot be seen"


class _Rsa(rsa.RSAPrivateKey):
    """A key elsewhere, as the builder of requests wants to see it."""

    def __init__(self, key: Key) -> None:
        self._key = key

    def public_key(self) -> Any:
        return load_der_public_key(self._key.public_key)

    @property
    def key_size(self) -> int:
        return int(self.public_key().key_size)

    def sign(self, data: Any, padding: Any, algorithm: Any) -> bytes:
        return self._key.sign(bytes(data), algorithm.name)

    def decrypt(self, *_: Any) -> NoReturn:
        raise WrongStore(_NOT_HERE)

    def private_numbers(self) -> NoReturn:
        raise WrongStore(_NOT_HERE)

    def private_bytes(self, *_: Any) -> NoReturn:
        raise WrongStore(_NOT_HERE)

    def __copy__(self) -> _Rsa:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _Rsa:
        return self


class _EllipticCurve(ec.EllipticCurvePrivateKey):
    """The same for a curve."""

    def __init__(self, key: Key) -> None:
        self._key = key

    def public_key(self) -> Any:
        return load_der_public_key(self._key.public_key)

    @property
    def curve(self) -> ec.EllipticCurve:
        curve: ec.EllipticCurve = self.public_key().curve
        return curve

    @property
    def key_size(self) -> int:
        return self.curve.key_size

    def sign(self, data: Any, signature_algorithm: Any) -> bytes:
        return self._key.sign(bytes(data), signature_algorithm.algorithm.name)

    def exchange(self, *_: Any) -> NoReturn:
        raise WrongStore(_NOT_HERE)

    def private_numbers(self) -> NoReturn:
        raise WrongStore(_NOT_HERE)

    def private_bytes(self, *_: Any) -> NoReturn:
        raise WrongStore(_NOT_HERE)

    def __copy__(self) -> _EllipticCurve:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _EllipticCurve:
        return self


def certificate_request(key: Key, subject: str, names: Sequence[str]) -> bytes:
    """A request in DER for `subject` (RFC 4514, as "CN=edge,O=Clinic") and the names of the host.

    `names` are DNS names and IP addresses for Subject Alternative Name. Raises WrongStore for a
    subject that is none, and what signing raises.
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(name_of(subject))
    if names:
        builder = builder.add_extension(alternative_names(names), critical=False)
    return builder.sign(signer(key), hashes.SHA256()).public_bytes(Encoding.DER)


def signer(key: Key) -> Any:
    """The key as builders of requests and certificates want to see it."""
    return _Rsa(key) if key.is_rsa else _EllipticCurve(key)


def name_of(subject: str) -> x509.Name:
    """A subject of RFC 4514. Raises WrongStore for what is none."""
    try:
        return x509.Name.from_rfc4514_string(subject)
    except ValueError as error:
        raise WrongStore(f"{subject!r} is no subject: write it as CN=edge,O=Clinic") from error


def alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    """DNS names and IP addresses. Raises WrongStore for what is neither."""
    return x509.SubjectAlternativeName([_general_name(each) for each in names])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(text)
    except ValueError as error:
        raise WrongStore(f"{text!r} is no name of a host") from error
