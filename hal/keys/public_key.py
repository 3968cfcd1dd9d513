"""Public keys and signatures in DER, from the numbers that tokens and chips give."""

from __future__ import annotations

CURVES = {
    "ec-p256": bytes.fromhex("06082a8648ce3d030107"),
    "ec-p384": bytes.fromhex("06052b81040022"),
}
"""The object identifiers of named curves in DER (RFC 5480 2.1.1.1)."""

_RSA = bytes.fromhex("300d06092a864886f70d0101010500")
_EC = bytes.fromhex("06072a8648ce3d0201")


def encoded(tag: int, content: bytes) -> bytes:
    """One value in DER (X.690 8.1)."""
    length = len(content)
    if length < 128:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 128 + len(size))) + size + content


def integer(number: int) -> bytes:
    """A number that is not negative."""
    return encoded(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def content_of(value: bytes) -> bytes:
    """What is in a value that is alone. Raises ValueError."""
    if len(value) < 2:
        raise ValueError("no DER")
    start, length = 2, value[1]
    if length > 128:
        start += length - 128
        length = int.from_bytes(value[2:start], "big")
    if len(value) != start + length:
        raise ValueError("no single value in DER")
    return value[start:]


def rsa_public_key(modulus: int, exponent: int) -> bytes:
    """SubjectPublicKeyInfo of an RSA key (RFC 3279 2.3.1)."""
    numbers = encoded(0x30, integer(modulus) + integer(exponent))
    return encoded(0x30, _RSA + encoded(3, b"\0" + numbers))


def ec_public_key(curve: bytes, point: bytes) -> bytes:
    """SubjectPublicKeyInfo of a point of a named curve, uncompressed (RFC 5480 2.2)."""
    return encoded(0x30, encoded(0x30, _EC + curve) + encoded(3, b"\0" + point))


def ecdsa_signature(r: bytes, s: bytes) -> bytes:
    """Both numbers of a signature (RFC 3279 2.2.3)."""
    return encoded(0x30, integer(int.from_bytes(r, "big")) + integer(int.from_bytes(s, "big")))
