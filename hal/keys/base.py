"""The interface of what keeps private keys: one store, a driver each for files, tokens and chips.

Every step blocks; the owner runs it in a worker or in a command. The private key of a token or of
a chip never leaves it: what comes out is a public key and signatures.

    KeyStoreError
    ├── StoreGone         example: the token was pulled out, no such device
    ├── KeyRefused        example: a wrong PIN, a file that others may read
    ├── NoSuchKey         example: nothing has been created under this name yet
    └── WrongStore        example: settings that the driver cannot use, a key that is there already
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hal.drivers import made_by_driver

DRIVERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "files": ("hal.keys.files", "FileStore"),
        "pkcs11": ("hal.keys.pkcs11", "TokenStore"),
        "tpm": ("hal.keys.tpm", "ChipStore"),
    }
)
"""Driver name to (module, class)."""

SLOTS = ("a", "b")
"""A name has two places: one for the key in use, one for the key that follows it."""

# DigestInfo of RFC 8017 9.2, note 1, up to the digest.
_DIGEST_INFO = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


class KeyStoreError(Exception):
    """The root of what a store can raise; never raised itself."""


class StoreGone(KeyStoreError):
    """The folder, the token or the chip cannot be reached, or stopped working."""


class KeyRefused(KeyStoreError):
    """The store does not let us use the key, or we do not trust how it is kept."""


class NoSuchKey(KeyStoreError):
    """There is no key in this slot."""


class WrongStore(KeyStoreError):
    """The store cannot do what it was told."""


class Key(ABC):
    """A private key that can be used until its store is closed."""

    @property
    @abstractmethod
    def public_key(self) -> bytes:
        """SubjectPublicKeyInfo (RFC 5280 4.1.2.7) in DER."""

    @property
    @abstractmethod
    def is_rsa(self) -> bool:
        """RSA; else ECDSA over a curve of NIST."""

    @property
    def file(self) -> str:
        """The file that holds the key; empty where it cannot be read from one."""
        return ""

    @abstractmethod
    def sign_digest(self, digest: bytes) -> bytes:
        """ECDSA of a digest: the two numbers in DER (RFC 3279 2.2.3). Raises KeyStoreError."""

    @abstractmethod
    def sign_block(self, block: bytes, *, padded: bool) -> bytes:
        """The private operation of RSA (RFC 8017 5.2.1), as long as the modulus.

        `padded`: the block is as long as the modulus, all padding done; else it is a DigestInfo
        that the store pads as EMSA-PKCS1-v1_5. Raises KeyStoreError.
        """

    def sign(self, message: bytes, hash_name: str = "sha256") -> bytes:
        """RSASSA-PKCS1-v1_5 or ECDSA over the message; what certificates are signed with."""
        if hash_name not in _DIGEST_INFO:
            raise WrongStore(f"{hash_name} is none of {', '.join(_DIGEST_INFO)}")
        digest = hashlib.new(hash_name, message).digest()
        if self.is_rsa:
            return self.sign_block(_DIGEST_INFO[hash_name] + digest, padded=False)
        return self.sign_digest(digest)


class KeyStore(ABC):
    """Where the keys of one name are kept, each in a slot of its own.

    `open` and `close` may be called again; what needs an open store opens it by itself.
    """

    @abstractmethod
    def open(self) -> None:
        """Raises StoreGone, KeyRefused, WrongStore."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the store; its keys can no longer be used. Never raises."""

    @abstractmethod
    def create(self, slot: str, algorithm: str) -> Key:
        """A new key in a slot that is free. Raises WrongStore where it is not."""

    @abstractmethod
    def key(self, slot: str) -> Key:
        """The key of a slot. Raises NoSuchKey."""

    @abstractmethod
    def delete(self, slot: str) -> None:
        """Destroy the key of a slot for good; a slot that is empty stays so."""

    @property
    def slots(self) -> list[str]:
        """The slots that hold a key."""
        found = []
        for slot in SLOTS:
            try:
                self.key(slot)
            except NoSuchKey:
                continue
            found.append(slot)
        return found

    def __enter__(self) -> KeyStore:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_driver(name: str, **options: Any) -> KeyStore:
    """Make the store of a driver by name; it is not opened yet.

    Raises WrongStore for one that is not in DRIVERS and for settings that it cannot use.
    """
    misuse = (TypeError, ValueError, LookupError, AttributeError)
    made = made_by_driver(DRIVERS, name, options, "key store", WrongStore, misuse)
    assert isinstance(made, KeyStore)
    return made
