"""Writing Secure DICOM files (PS3.10 7.4) of the Basic DICOM Media Security Profile (PS3.15 D.1).

Enveloped-data over Signed-data, or over Digested-data where nobody signs, around one DICOM file.
All lengths are known before the first byte is read and digest or signature come behind the content,
so one pass is enough.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.configuration.secrets import Secret
from agent.errors import ConfigurationError, StorageError
from agent.security.cms import (
    CLAUSE,
    DATA,
    DIGESTED_DATA,
    DIGESTS,
    ENVELOPED_DATA,
    SIGNED_DATA,
    check_digest,
    cipher_of,
    digest_length,
)
from agent.security.credentials import KeyFile, password_of, recipient_certificate
from agent.security.der import (
    OCTET_STRING,
    SEQUENCE,
    SET,
    algorithm,
    context,
    element,
    header,
    integer,
    object_identifier,
)
from agent.security.recipients import (
    ITERATIONS,
    CertificateRecipient,
    PasswordRecipient,
    Recipient,
    envelope_version,
    recipient_infos,
)
from agent.security.signed_data import Signer

CLAUSE_OF_MAIL = "PS3.15 B.8"

_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class Protection:
    """How files are secured, and for whom.

    `recipients` are files with a certificate each; each password is one recipient more. With
    `signing_key` files are signed, and `signing_certificate` goes with them. `cipher` is "aes-128",
    "aes-192" or "aes-256", `digest` "sha1", "sha256", "sha384" or "sha512".
    """

    recipients: tuple[str, ...] = ()
    passwords: tuple[Secret, ...] = ()
    signing_key: KeyFile | None = None
    signing_certificate: str = ""
    cipher: str = "aes-256"
    digest: str = "sha256"
    iterations: int = ITERATIONS


class Envelope:
    """Secures any number of files in the same way. Memory: one MiB, whatever their size."""

    def __init__(self, protection: Protection) -> None:
        """Reads keys and certificates, and derives the key of a password, which takes a second.

        Raises ConfigurationError where there is no recipient, or a file cannot be used.
        """
        check_digest(protection.digest)
        self._cipher = cipher_of(protection.cipher)
        self._digest = protection.digest
        self._recipients: list[Recipient] = [
            CertificateRecipient(recipient_certificate(each)) for each in protection.recipients
        ]
        self._recipients += [
            PasswordRecipient(password_of(each), self._cipher, protection.iterations)
            for each in protection.passwords
        ]
        if not self._recipients:
            raise ConfigurationError(
                "nobody could open the files",
                clause=CLAUSE,
                way_out="Name the certificate of a recipient, or a password.",
            )
        self._signer: Signer | None = None
        if protection.signing_key is not None:
            self._signer = Signer(
                protection.signing_key, protection.signing_certificate, protection.digest
            )
        # It is the same for all files: a digest, an RSA signature and a moment have fixed lengths.
        self._ending_length = len(self._ending(bytes(digest_length(self._digest))))

    def write(
        self, write: Callable[[bytes], None], source: int, offset: int = 0, head: bytes = b""
    ) -> None:
        """Secure the file that is `head` and what the descriptor has from `offset` (bytes) on.

        `write` is called with piece after piece. Raises OSError of reading and what `write` raises;
        StorageError where the file changes meanwhile: what was written is no file then.
        """
        size = len(head) + max(0, os.fstat(source).st_size - offset)
        before = self._beginning(size)
        inner = SIGNED_DATA if self._signer else DIGESTED_DATA
        encrypt, finish = self._encryption(write, inner, len(before) + size + self._ending_length)
        encrypt(before)
        encrypt(self._copied(encrypt, _pieces(head, source, offset), size))
        finish()

    def sign(self, write: Callable[[bytes], None], source: int) -> None:
        """Signed-data around a MIME entity, as S/MIME has it (RFC 8551 3.5.2).

        Raises OSError, what `write` raises, StorageError as `write` does, and ConfigurationError
        where nobody is named who signs.
        """
        if self._signer is None:
            raise ConfigurationError(
                "nobody signs the mail",
                clause=CLAUSE_OF_MAIL,
                way_out="Name a private key and its certificate.",
            )
        size = os.fstat(source).st_size
        signed = self._beginning(size)
        write(_content_info(SIGNED_DATA, len(signed) + size + self._ending_length) + signed)
        write(self._copied(write, _pieces(b"", source, 0), size))

    def encrypt(self, write: Callable[[bytes], None], source: int) -> None:
        """Enveloped-data around a MIME entity, as S/MIME has it (RFC 8551 3.3).

        Raises OSError, what `write` raises, and StorageError as `write` does.
        """
        size = os.fstat(source).st_size
        encrypt, finish = self._encryption(write, DATA, size)
        done = 0
        for piece in _pieces(b"", source, 0):
            done += len(piece)
            encrypt(piece)
        _check_size(done, size)
        finish()

    def _copied(self, write: Callable[[bytes], None], pieces: Iterator[bytes], size: int) -> bytes:
        """Write the pieces; what stands behind them."""
        digest = hashlib.new(self._digest)
        done = 0
        for piece in pieces:
            digest.update(piece)
            done += len(piece)
            write(piece)
        _check_size(done, size)
        return self._ending(digest.digest())

    def _encryption(
        self, write: Callable[[bytes], None], inner: str, size: int
    ) -> tuple[Callable[[bytes], None], Callable[[], None]]:
        """What encrypts piece after piece, `size` bytes in all, and what comes behind the last."""
        block = self._cipher.block_length
        padding = block - size % block
        key, vector = os.urandom(self._cipher.key_length), os.urandom(block)
        write(self._head(inner, key, vector, size + padding))
        encryptor = self._cipher.transformation(key, vector).encryptor()

        def encrypt(piece: bytes) -> None:
            write(encryptor.update(piece))

        def finish() -> None:
            write(encryptor.update(bytes((padding,)) * padding) + encryptor.finalize())

        return encrypt, finish

    def _head(self, inner: str, key: bytes, vector: bytes, encrypted: int) -> bytes:
        """All before the first encrypted byte (RFC 5652 6.1)."""
        cipher = algorithm(self._cipher.identifier, element(OCTET_STRING, vector))
        head = header(context(0, constructed=False), encrypted)
        for tag, before in (
            (SEQUENCE, object_identifier(inner) + cipher),
            (
                SEQUENCE,
                integer(envelope_version(self._recipients))
                + recipient_infos(self._recipients, key),
            ),
            (context(0), b""),
            (SEQUENCE, object_identifier(ENVELOPED_DATA)),
        ):
            head = before + head
            head = header(tag, len(head) + encrypted) + head
        return head

    def _beginning(self, size: int) -> bytes:
        """What stands before the file in Signed-data or Digested-data (RFC 5652 5.1, 7)."""
        digest = algorithm(DIGESTS[self._digest])
        head = header(OCTET_STRING, size)
        head = header(context(0), len(head) + size) + head
        head = object_identifier(DATA) + head
        head = header(SEQUENCE, len(head) + size) + head
        if self._signer:
            head = integer(1) + element(SET, digest) + head
        else:
            head = integer(0) + digest + head
        return header(SEQUENCE, len(head) + size + self._ending_length) + head

    def _ending(self, digest: bytes) -> bytes:
        """What stands behind the file."""
        if self._signer:
            return self._signer.certificates + self._signer.infos(digest)
        return element(OCTET_STRING, digest)


def _content_info(kind: str, length: int) -> bytes:
    """What stands before a content of so many bytes (RFC 5652 3), its own header included."""
    inside = object_identifier(kind) + header(context(0), length)
    return header(SEQUENCE, len(inside) + length) + inside


def _check_size(done: int, size: int) -> None:
    if done != size:
        raise StorageError("The file was changed while it was read.", value=done, limit=size)


def _pieces(head: bytes, source: int, offset: int) -> Iterator[bytes]:
    if head:
        yield head
    while piece := os.pread(source, _BLOCK, offset):
        yield piece
        offset += len(piece)
