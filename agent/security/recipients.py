"""Who may open an envelope: holders of RSA keys, and those who know a password.

RecipientInfos of RFC 5652 6.2: the key of the content is encrypted for each recipient with
RSAES-PKCS1-v1_5 (RFC 3370 4.2.1), or with a key that PBKDF2 derives from a password (RFC 8018 5.2)
and the key wrap of RFC 3211 2.3.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agent.security.cms import (
    HMACS,
    LONGEST_ELEMENT,
    PASSWORD_KEY_WRAP,
    PBKDF2,
    RSA_ENCRYPTION,
    ContentCipher,
    issuer_and_serial_number,
    read_cipher,
    unsupported,
)
from agent.security.der import (
    INTEGER,
    NULL,
    OCTET_STRING,
    SEQUENCE,
    SET,
    Reader,
    algorithm,
    context,
    element,
    integer,
    object_identifier,
    set_of,
)

ITERATIONS = 1_000_000
"""Of PBKDF2, when we write: half a second of a PC, once for all files of a medium."""

MOST_ITERATIONS = 5_000_000
"""When we read: a file must not keep us busy for ever."""

MOST_RECIPIENTS = 1000
_MOST_TRIES = 64
_TRIES_THAT_A_PASSWORD_COSTS = 8
_SALT_LENGTH = 16

_PASSWORD = context(3)

# Password, salt, iterations, length and digest -> the key of RFC 8018.
Derivation = Callable[[bytes, bytes, int, int, str], bytes]


class PasswordRecipient:
    """The password of what we write; its key is derived once, for the derivation is slow."""

    def __init__(
        self, password: bytes, cipher: ContentCipher, iterations: int = ITERATIONS
    ) -> None:
        self._cipher = cipher
        self._iterations = iterations
        self._salt = os.urandom(_SALT_LENGTH)
        # The profile cites RFC 2898, which knows of no other function than HMAC-SHA-1: every reader
        # has it, and of the weakness of SHA-1 nothing follows for it.
        self._key = derived(password, self._salt, iterations, cipher.key_length, "sha1")

    def info(self, content_key: bytes) -> bytes:
        """The PasswordRecipientInfo (RFC 5652 6.2.4)."""
        vector = os.urandom(self._cipher.block_length)
        derivation = element(
            context(0),
            object_identifier(PBKDF2),
            element(SEQUENCE, element(OCTET_STRING, self._salt), integer(self._iterations)),
        )
        wrap = algorithm(
            PASSWORD_KEY_WRAP,
            algorithm(self._cipher.identifier, element(OCTET_STRING, vector)),
        )
        wrapped = wrapped_key(self._cipher, self._key, vector, content_key)
        return element(_PASSWORD, integer(0), derivation, wrap, element(OCTET_STRING, wrapped))


class CertificateRecipient:
    """The holder of the private key to a certificate."""

    def __init__(self, certificate: Any) -> None:
        self._name = issuer_and_serial_number(certificate)
        self._key = certificate.public_key()

    def info(self, content_key: bytes) -> bytes:
        """The KeyTransRecipientInfo (RFC 5652 6.2.1)."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

        encrypted = self._key.encrypt(content_key, PKCS1v15())
        return element(
            SEQUENCE,
            integer(0),
            self._name,
            algorithm(RSA_ENCRYPTION, element(NULL)),
            element(OCTET_STRING, encrypted),
        )


Recipient = PasswordRecipient | CertificateRecipient


def recipient_infos(recipients: Sequence[Recipient], content_key: bytes) -> bytes:
    """The RecipientInfos of an envelope."""
    return set_of(SET, (each.info(content_key) for each in recipients))


def envelope_version(recipients: Sequence[Recipient]) -> int:
    """RFC 5652 6.1: 3 with a password, else 0."""
    return 3 if any(isinstance(each, PasswordRecipient) for each in recipients) else 0


def read_recipients(reader: Reader) -> list[bytes]:
    """The RecipientInfos, each as it stands. Raises StorageError."""
    found: list[bytes] = []
    size = 0
    reader.enter(SET)
    while reader.next_tag() is not None:
        found.append(reader.whole(LONGEST_ELEMENT))
        size += len(found[-1])
        if len(found) > MOST_RECIPIENTS or size > LONGEST_ELEMENT:
            raise reader.fault("has more recipients than we take")
    reader.leave()
    return found


def content_keys(
    infos: Sequence[bytes],
    private_keys: Sequence[Any],
    passwords: Sequence[bytes],
    key_length: int,
    derivation: Derivation,
) -> Iterator[bytes]:
    """Keys of the content that ours may open; whether one is right, the content must show.

    A wrong RSA key gives a random result in newer libraries, so as not to tell who tries.
    """
    tries = 0
    for info in infos:
        if tries > _MOST_TRIES:
            return
        reader = Reader([info], "the envelope")
        if info[0] == SEQUENCE and private_keys:
            encrypted = _encrypted_by_rsa(reader)
            for key in private_keys:
                if encrypted and (key.key_size + 7) // 8 == len(encrypted):
                    tries += 1
                    yield from _opened_by_rsa(key, encrypted, key_length)
        elif info[0] == _PASSWORD:
            for password in passwords:
                tries += _TRIES_THAT_A_PASSWORD_COSTS
                yield from _opened_by_password(info, password, key_length, derivation)


def _encrypted_by_rsa(reader: Reader) -> bytes:
    reader.enter(SEQUENCE)
    reader.integer()
    reader.whole(LONGEST_ELEMENT)
    identifier, _ = reader.algorithm()
    # Of a recipient with another algorithm we are none.
    return reader.octet_string(8192) if identifier == RSA_ENCRYPTION else b""


def _opened_by_rsa(key: Any, encrypted: bytes, key_length: int) -> Iterator[bytes]:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    try:
        found: bytes = key.decrypt(encrypted, PKCS1v15())
    except ValueError:
        return
    if len(found) == key_length:
        yield found


def _opened_by_password(
    info: bytes, password: bytes, key_length: int, derivation: Derivation
) -> Iterator[bytes]:
    reader = Reader([info], "the envelope")
    reader.enter(_PASSWORD)
    reader.integer()
    if reader.next_tag() != context(0):
        raise reader.fault("does not say how the key follows from the password")
    salt, iterations, digest = _read_derivation(reader)
    wrap, parameters = reader.algorithm()
    if wrap != PASSWORD_KEY_WRAP:
        raise unsupported("the key wrap", wrap)
    cipher, vector = read_cipher(parameters)
    wrapped = reader.octet_string(1024)
    key = derivation(password, salt, iterations, cipher.key_length, digest)
    found = unwrapped_key(cipher, key, vector, wrapped)
    if len(found) == key_length:
        yield found


def _read_derivation(reader: Reader) -> tuple[bytes, int, str]:
    inside = reader.inside(context(0), LONGEST_ELEMENT)
    identifier = inside.object_identifier()
    if identifier != PBKDF2:
        raise unsupported("the key derivation", identifier)
    inside.enter(SEQUENCE)
    salt = inside.octet_string(1024)
    iterations = inside.integer()
    if not 0 < iterations <= MOST_ITERATIONS:
        raise inside.fault(f"wants {iterations} iterations, more than {MOST_ITERATIONS}")
    if inside.next_tag() == INTEGER:
        inside.integer()  # the length of the key, which the cipher says as well
    digest = "sha1"
    if inside.next_tag() is not None:
        function, _ = inside.algorithm()
        if function not in HMACS:
            raise unsupported("the pseudo-random function", function)
        digest = HMACS[function]
    return salt, iterations, digest


def derived(password: bytes, salt: bytes, iterations: int, length: int, digest: str) -> bytes:
    """PBKDF2 (RFC 8018 5.2)."""
    return hashlib.pbkdf2_hmac(digest, password, salt, iterations, length)


def wrapped_key(cipher: ContentCipher, key: bytes, vector: bytes, content_key: bytes) -> bytes:
    """RFC 3211 2.3.1: length, check value, key and padding, encrypted twice in one chain."""
    block = cipher.block_length
    check = bytes(octet ^ 0xFF for octet in content_key[:3])
    plain = bytes((len(content_key),)) + check + content_key
    plain += os.urandom(max(-len(plain) % block, 2 * block - len(plain)))
    encryptor = cipher.transformation(key, vector).encryptor()
    once: bytes = encryptor.update(plain)
    twice: bytes = encryptor.update(once)
    return twice


def unwrapped_key(cipher: ContentCipher, key: bytes, vector: bytes, wrapped: bytes) -> bytes:
    """RFC 3211 2.3.2; nothing where the check value shows that the key is not the right one."""
    block = cipher.block_length
    if len(wrapped) % block or len(wrapped) < 2 * block:
        return b""
    # The last block of the first encryption was the vector of the second.
    last = cipher.transformation(key, wrapped[-2 * block : -block]).decryptor()
    chained = last.update(wrapped[-block:])
    once = cipher.transformation(key, chained).decryptor().update(wrapped)
    plain = cipher.transformation(key, vector).decryptor().update(once)
    found: bytes = plain[4 : 4 + plain[0]]
    is_right = len(found) == plain[0] and all(
        left ^ right == 0xFF for left, right in zip(plain[1:4], found[:3], strict=False)
    )
    return found if is_right and len(found) >= 3 else b""
