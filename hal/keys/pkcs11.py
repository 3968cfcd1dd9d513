"""Keys on a token with a PKCS#11 library (Cryptoki 2.40): smart cards, USB tokens, HSMs.

A key is made on the token, sensitive and not extractable; it has the label LABEL.SLOT.
"""

from __future__ import annotations

from hal.keys import cryptoki
from hal.keys.base import Key, KeyStore, NoSuchKey, WrongStore
from hal.keys.cryptoki import Cryptoki
from hal.keys.names import ALGORITHMS
from hal.keys.public_key import (
    CURVES,
    content_of,
    ec_public_key,
    ecdsa_signature,
    rsa_public_key,
)

_BARE_POINTS = (65, 97)
"""Lengths of points of the two curves that stand without the head of an OCTET STRING."""


class TokenKey(Key):
    """A key on the token, by the handles of its two objects."""

    def __init__(self, token: Cryptoki, private: int, public: int) -> None:
        self._token = token
        self._private = private
        kind = int.from_bytes(token.attribute(public, cryptoki.KEY_TYPE), "little")
        self._is_rsa = kind == 0
        if self._is_rsa:
            modulus = int.from_bytes(token.attribute(public, cryptoki.MODULUS), "big")
            exponent = int.from_bytes(token.attribute(public, cryptoki.PUBLIC_EXPONENT), "big")
            self._public_key = rsa_public_key(modulus, exponent)
        else:
            point = token.attribute(public, cryptoki.EC_POINT)
            # The standard says an OCTET STRING; some tokens give the point as it is.
            point = point if len(point) in _BARE_POINTS else content_of(point)
            self._public_key = ec_public_key(token.attribute(public, cryptoki.EC_PARAMS), point)

    @property
    def public_key(self) -> bytes:
        return self._public_key

    @property
    def is_rsa(self) -> bool:
        return self._is_rsa

    def sign_digest(self, digest: bytes) -> bytes:
        made = self._token.sign(self._private, cryptoki.ECDSA, digest)
        return ecdsa_signature(made[: len(made) // 2], made[len(made) // 2 :])

    def sign_block(self, block: bytes, *, padded: bool) -> bytes:
        mechanism = cryptoki.RSA_RAW if padded else cryptoki.RSA_PKCS
        return self._token.sign(self._private, mechanism, block)


class TokenStore(KeyStore):
    """Keys labelled LABEL.SLOT on the token with the label `token`, by the library `module`."""

    def __init__(self, label: str, module: str, token: str, pin: bytes) -> None:
        self._label = label
        self._module = module
        self._token_label = token
        self._pin = pin
        self._session: Cryptoki | None = None

    def open(self) -> None:
        if self._session is None:
            self._session = Cryptoki(self._module, self._token_label, self._pin)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    @property
    def _token(self) -> Cryptoki:
        self.open()
        assert self._session is not None
        return self._session

    def _find(self, slot: str, kind: int) -> list[int]:
        label = f"{self._label}.{slot}".encode()
        return self._token.find({cryptoki.CLASS: kind, cryptoki.TOKEN: True, cryptoki.LABEL: label})

    def key(self, slot: str) -> Key:
        private = self._find(slot, cryptoki.PRIVATE_KEY_CLASS)
        public = self._find(slot, cryptoki.PUBLIC_KEY_CLASS)
        if not private or not public:
            raise NoSuchKey(
                f"there is no key {self._label}.{slot} on the token {self._token_label!r}"
            )
        if len(private) > 1:
            raise WrongStore(f"the token holds several keys {self._label}.{slot}")
        return TokenKey(self._token, private[0], public[0])

    def create(self, slot: str, algorithm: str) -> Key:
        if algorithm not in ALGORITHMS:
            raise WrongStore(f"{algorithm} is none of {', '.join(ALGORITHMS)}")
        if self._find(slot, cryptoki.PRIVATE_KEY_CLASS):
            raise WrongStore(f"there is a key {self._label}.{slot} on the token already")
        label = f"{self._label}.{slot}".encode()
        public: dict[int, int | bytes | bool] = {
            cryptoki.TOKEN: True,
            cryptoki.LABEL: label,
            cryptoki.IDENTIFIER: label,
            cryptoki.VERIFY: True,
        }
        if algorithm in CURVES:
            mechanism = cryptoki.EC_KEY_PAIR_GENERATION
            public[cryptoki.EC_PARAMS] = CURVES[algorithm]
        else:
            mechanism = cryptoki.RSA_KEY_PAIR_GENERATION
            public[cryptoki.MODULUS_BITS] = int(algorithm.removeprefix("rsa-"))
            public[cryptoki.PUBLIC_EXPONENT] = b"\1\0\1"
        private: dict[int, int | bytes | bool] = {
            cryptoki.TOKEN: True,
            cryptoki.PRIVATE: True,
            cryptoki.LABEL: label,
            cryptoki.IDENTIFIER: label,
            cryptoki.SIGN: True,
            cryptoki.SENSITIVE: True,
            cryptoki.EXTRACTABLE: False,
        }
        self._token.generate(mechanism, public, private)
        return self.key(slot)

    def delete(self, slot: str) -> None:
        for kind in (cryptoki.PRIVATE_KEY_CLASS, cryptoki.PUBLIC_KEY_CLASS):
            self._token.destroy(self._find(slot, kind))
