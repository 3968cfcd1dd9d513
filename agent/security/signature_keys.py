"""Keys of digital signatures: who signs what we make, and whether a key made a signature.

The profiles have RSA with the padding of PKCS #1 v1.5 (PS3.15 C.1, RFC 2437). Signatures by
elliptic curves, which some makers write, are read.
"""

from __future__ import annotations

import hmac
from typing import Any, Protocol

from agent.errors import ConfigurationError
from agent.security.credentials import KeyFile, certificates, private_key
from agent.security.der import NULL, OCTET_STRING, SEQUENCE, algorithm, element
from agent.security.signature_form import Mac
from agent.security.signature_terms import CLAUSE, MAC_ALGORITHMS

_SHORTEST_KEY = 2048
"""Bits of an RSA key that still signs."""
_SHORTEST_TRUSTED = 1024
"""Bits of an RSA key that others can have signed with; shorter ones were broken in public."""


class Signer(Protocol):
    """Has a private key, wherever that is: in a file, a token or a chip."""

    @property
    def certificate(self) -> bytes:
        """The certificate of the key, in DER."""
        ...

    def sign(self, digest: bytes, mac_algorithm: str) -> bytes:
        """RSASSA-PKCS1-v1_5 of a digest that is made already (RFC 8017 8.2.1); `mac_algorithm` is
        a term of MAC Algorithm. Raises a GantryError where the key cannot be used."""
        ...


class FileSigner:
    """A private key in a file."""

    def __init__(self, key: KeyFile, certificate: str) -> None:
        """`certificate` is a file, whose first certificate counts.

        Raises ConfigurationError where a file cannot be read, or they do not belong together.
        """
        from cryptography.hazmat.primitives.serialization import Encoding

        self._key = private_key(key)
        found = certificates(certificate)[0]
        public = found.public_key()
        if not hasattr(public, "public_numbers") or (
            public.public_numbers() != self._key.public_key().public_numbers()
        ):
            raise ConfigurationError(
                f"{key.path} is not the key of the certificate in {certificate}", value=key.path
            )
        if self._key.key_size < _SHORTEST_KEY:
            raise ConfigurationError(
                f"{key.path} has a key of {self._key.key_size} bits, which is too short to sign",
                clause=CLAUSE,
                value=self._key.key_size,
                limit=_SHORTEST_KEY,
            )
        self._certificate: bytes = found.public_bytes(Encoding.DER)

    @property
    def certificate(self) -> bytes:
        return self._certificate

    def sign(self, digest: bytes, mac_algorithm: str) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        made: bytes = self._key.sign(digest, PKCS1v15(), Prehashed(_hash(mac_algorithm)))
        return made


def short_key(key: Any) -> str:
    """Why a public key is too short to be trusted; "" where it is not."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _SHORTEST_TRUSTED:
        return f"its key of {key.key_size} bits is too short to be trusted"
    return ""


def is_made_by(key: Any, signature: bytes, mac: Mac) -> bool:
    """Whether the public key made this signature of the MAC.

    Raises NotImplementedError, which says so, for a kind of key that is not known.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, rsa.RSAPublicKey):
        return _is_made_by_rsa(key, signature, mac)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _is_made_by_curve(key, signature, mac)
    raise NotImplementedError("signatures by the kind of key in its certificate are not known")


def _is_made_by_rsa(key: Any, signature: bytes, mac: Mac) -> bool:
    """The padding and the whole DigestInfo are compared, so nothing can hide in them."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    # A key of an odd number of bytes has signatures with a byte of padding (PS3.5 6.2, OB).
    exact = signature[: (key.key_size + 7) // 8]
    if len(signature) - len(exact) > 1:
        return False
    try:
        found: bytes = key.recover_data_from_signature(exact, PKCS1v15(), None)
    except (InvalidSignature, ValueError):
        return False
    digest = mac.digest()
    # Some makers leave the parameters of the algorithm out, which RFC 8017 A.2.4 wants taken.
    return any(
        hmac.compare_digest(found, digest_info(mac.algorithm, digest, parameters))
        for parameters in (element(NULL), b"")
    )


def digest_info(mac_algorithm: str, digest: bytes, parameters: bytes = element(NULL)) -> bytes:
    """The DigestInfo that is padded and signed (RFC 8017 9.2)."""
    identifier = MAC_ALGORITHMS[mac_algorithm].identifier
    return element(
        SEQUENCE,
        algorithm(identifier, parameters),
        element(OCTET_STRING, digest),
    )


def _is_made_by_curve(key: Any, signature: bytes, mac: Mac) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    kind = _hash(mac.algorithm)
    if kind is None:
        raise NotImplementedError(f"ECDSA with {mac.algorithm} is not known")
    try:
        key.verify(unpadded(signature), mac.digest(), ECDSA(Prehashed(kind)))
    except InvalidSignature:
        return False
    except UnsupportedAlgorithm as error:
        raise NotImplementedError(f"ECDSA with {mac.algorithm} is not known") from error
    return True


def _hash(mac_algorithm: str) -> Any:
    """The hash of `cryptography`, None where it has none."""
    from cryptography.hazmat.primitives import hashes

    kind = getattr(hashes, MAC_ALGORITHMS[mac_algorithm].digest.upper(), None)
    return None if kind is None else kind()


def unpadded(der: bytes) -> bytes:
    """An element in DER without the byte that made its value even (PS3.5 6.2, OB)."""
    if len(der) < 2:
        return der
    size = 2 + (der[1] - 0x80 if der[1] > 0x80 else 0)
    length = int.from_bytes(der[2:size], "big") if size > 2 else der[1]
    whole = size + length
    return der[:whole] if len(der) - whole == 1 else der
