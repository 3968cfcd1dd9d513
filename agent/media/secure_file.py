"""Opening Secure DICOM files (PS3.10 7.4, PS3.15 D.1): decrypted, verified, and only then given.

The plain file is written to a file without a name; its descriptor is handed out when digest or
signature have been found right. Files of other makers may be in BER, with lengths that are not
known beforehand; all is read in one pass.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from agent.dataset.whole_write import write_whole
from agent.errors import GantryError, StorageError
from agent.media.opening import Keys, folder_of
from agent.security.cms import (
    CLAUSE,
    DATA,
    DIGESTED_DATA,
    ENVELOPED_DATA,
    LONGEST_ELEMENT,
    SIGNED_DATA,
    ContentCipher,
    read_cipher,
    read_digest,
    read_digests,
    unsupported,
)
from agent.security.credentials import certificates, password_of, private_key
from agent.security.der import INTEGER, OBJECT_IDENTIFIER, SEQUENCE, Reader, context
from agent.security.recipients import content_keys, derived, read_recipients
from agent.security.signed_data import check_signatures, damaged, read_certificates

_BLOCK = 1 << 18
_REMEMBERED = 64
_OUTSIDE = "the envelope"
_INSIDE = "what is in the envelope"


@dataclass(frozen=True, slots=True)
class Opened:
    """A plain file: its descriptor, which belongs to the caller, and who signed it, "" for none."""

    descriptor: int
    signer: str


class SecureFiles:
    """Opens any number of files with the same keys. Memory: two MiB, whatever their size."""

    def __init__(self, keys: Keys) -> None:
        """Reads keys, passwords and certificates. Raises ConfigurationError where one is wrong."""
        self._keys = keys
        self._private_keys = [private_key(each) for each in keys.private_keys]
        self._passwords = [password_of(each) for each in keys.passwords]
        self._anchors = [found for each in keys.trust for found in certificates(each)]
        self._derived: dict[tuple[bytes, bytes, int, int, str], bytes] = {}

    def open(self, source: int) -> Opened:
        """The plain file in a Secure DICOM file.

        Raises StorageError, which says in one sentence why it cannot be had; nothing of the file
        was used then.
        """
        return self._opened(source, self._decrypt)

    def open_mail(self, source: int) -> Opened:
        """The MIME entity in one layer of S/MIME (RFC 8551): what is signed, or what is encrypted,
        which may be another layer. Raises StorageError, as `open` does."""
        return self._opened(source, self._unseal)

    def _opened(self, source: int, read: Callable[[int, int], str]) -> Opened:
        try:
            with tempfile.TemporaryFile(dir=folder_of(self._keys)) as plain:
                signer = read(source, plain.fileno())
                # A descriptor of its own, for reading only, from the first byte on.
                descriptor = os.open(f"/proc/self/fd/{plain.fileno()}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise StorageError(
                f"it cannot be opened: {error.strerror}",
                value=error.errno,
                way_out="Make room where temporary files are.",
            ) from error
        return Opened(descriptor, signer)

    def _decrypt(self, source: int, target: int) -> str:
        reader, kind = _content_info(source)
        if kind != ENVELOPED_DATA:
            raise StorageError("it is not encrypted, as the profile wants it", clause=CLAUSE)
        return self._enveloped(reader, target, self._content, _looks_right)

    def _unseal(self, source: int, target: int) -> str:
        reader, kind = _content_info(source)
        if kind == ENVELOPED_DATA:
            return self._enveloped(reader, target, self._entity, _looks_like_either)
        if kind != SIGNED_DATA:
            raise unsupported("the content type", kind)
        reader.enter(SEQUENCE)
        signer = self._signed(reader, target)
        for _ in range(3):
            reader.leave()
        return signer

    def _entity(self, reader: Reader, kind: str, target: int) -> str:
        """An entity that is encrypted and nothing more; or one that is signed, without a MIME
        entity around the signature."""
        if kind != DATA or reader.next_tag() == SEQUENCE:
            return self._content(reader, kind, target)
        for piece in reader.rest():
            write_whole(target, piece)
        return ""

    def _enveloped(
        self,
        reader: Reader,
        target: int,
        take: Callable[[Reader, str, int], str],
        looks_right: Callable[[bytes], bool],
    ) -> str:
        """What is encrypted, read by `take`; who signed it."""
        reader.enter(SEQUENCE)
        reader.integer()
        if reader.next_tag() == context(0):
            reader.whole(LONGEST_ELEMENT)  # what the originator says of himself
        recipients = read_recipients(reader)
        reader.enter(SEQUENCE)
        inner = reader.object_identifier()
        if inner not in (DATA, SIGNED_DATA, DIGESTED_DATA):
            raise unsupported("the content type", inner)
        cipher, vector = read_cipher(reader)
        encrypted = reader.octets(context(0, constructed=False))
        beginning, encrypted = _beginning(encrypted, 2 * cipher.block_length)
        key = self._content_key(recipients, cipher, vector, beginning, looks_right)
        plain = Reader(_decrypted(encrypted, cipher, key, vector), _INSIDE)
        signer = take(plain, inner, target)
        if plain.next_tag() is not None:
            raise plain.fault("goes on behind its end")
        reader.leave()
        if reader.next_tag() == context(1):
            reader.whole(LONGEST_ELEMENT)
        for _ in range(3):
            reader.leave()
        return signer

    def _content_key(
        self,
        recipients: Sequence[bytes],
        cipher: ContentCipher,
        vector: bytes,
        beginning: bytes,
        looks_right: Callable[[bytes], bool],
    ) -> bytes:
        reason = "none of our keys opens"
        for key in content_keys(
            recipients, self._private_keys, self._passwords, cipher.key_length, self._derive
        ):
            reason = "none of our keys opens, or in which nothing is signed or digested"
            decryptor = cipher.transformation(key, vector).decryptor()
            if looks_right(decryptor.update(beginning)):
                return key
        raise StorageError(f"it is a Secure DICOM file that {reason}", clause=CLAUSE)

    def _derive(
        self, password: bytes, salt: bytes, iterations: int, length: int, digest: str
    ) -> bytes:
        """PBKDF2 is slow by design; who writes a medium may use one salt for all its files."""
        wanted = password, salt, iterations, length, digest
        key = self._derived.get(wanted)
        if key is None:
            if len(self._derived) >= _REMEMBERED:
                self._derived.clear()
            key = self._derived[wanted] = derived(*wanted)
        return key

    def _content(self, reader: Reader, kind: str, target: int) -> str:
        """Write the file that is signed or digested, and check it; the name of the signer.

        The content is what its type says (RFC 5652), or a ContentInfo that says its own: openssl
        and others write that, often under the type of plain data.
        """
        reader.enter(SEQUENCE)
        is_wrapped = reader.next_tag() == OBJECT_IDENTIFIER
        if is_wrapped:
            kind = reader.object_identifier()
            reader.enter(context(0))
            reader.enter(SEQUENCE)
        if kind == DIGESTED_DATA:
            signer = self._digested(reader, target)
        elif kind == SIGNED_DATA:
            signer = self._signed(reader, target)
        else:
            raise StorageError("it is neither signed nor digested", clause=CLAUSE, value=kind)
        reader.leave()
        if is_wrapped:
            reader.leave()
            reader.leave()
        return signer

    def _digested(self, reader: Reader, target: int) -> str:
        reader.integer()
        name = read_digest(reader)
        found = _written(reader, (name,), target)[name]
        if not hmac.compare_digest(reader.octet_string(64), found):
            raise damaged()
        return ""

    def _signed(self, reader: Reader, target: int) -> str:
        reader.integer()
        names = read_digests(reader)
        digests = _written(reader, names, target)
        try:
            return check_signatures(
                reader,
                digests,
                read_certificates(reader),
                self._anchors,
                any_signer=self._keys.any_signer,
            )
        except (GantryError, OSError):
            raise
        except Exception as error:
            # Certificates are read when they are asked for, and the ways in which one can be wrong
            # have exceptions of many families.
            raise reader.fault("has a certificate that cannot be understood") from error


def _content_info(source: int) -> tuple[Reader, str]:
    """A reader within the content of a ContentInfo, and its type (RFC 5652 3)."""
    reader = Reader(_pieces(source), _OUTSIDE)
    reader.enter(SEQUENCE)
    kind = reader.object_identifier()
    reader.enter(context(0))
    return reader, kind


def _written(reader: Reader, names: Iterable[str], target: int) -> dict[str, bytes]:
    """Write the encapsulated content (RFC 5652 5.2); its digests by name."""
    digests = {name: hashlib.new(name) for name in names}
    reader.enter(SEQUENCE)
    kind = reader.object_identifier()
    if kind != DATA:
        raise unsupported("the inner content type", kind)
    if reader.next_tag() != context(0):
        raise StorageError("there is no file in the envelope", clause=CLAUSE)
    reader.enter(context(0))
    for piece in reader.octets():
        for each in digests.values():
            each.update(piece)
        write_whole(target, piece)
    reader.leave()
    reader.leave()
    return {name: each.digest() for name, each in digests.items()}


def _pieces(source: int) -> Iterator[bytes]:
    position = 0
    while piece := os.pread(source, _BLOCK, position):
        yield piece
        position += len(piece)


def _beginning(pieces: Iterator[bytes], length: int) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, and all pieces, they included."""
    first: list[bytes] = []
    size = 0
    for piece in pieces:
        first.append(piece)
        size += len(piece)
        if size >= length:
            break
    return b"".join(first)[:length], chain(first, pieces)


def _looks_right(plain: bytes) -> bool:
    """Whether this is the beginning of a SEQUENCE of a version or of an identifier: of all that a
    wrong key makes, one in 20,000 would."""
    if plain[:1] != bytes((SEQUENCE,)) or len(plain) < 2:
        return False
    size = 2 + (plain[1] - 0x80 if plain[1] > 0x80 else 0)
    return plain[size : size + 1] in (bytes((INTEGER,)), bytes((OBJECT_IDENTIFIER,)))


def _looks_like_either(plain: bytes) -> bool:
    """Whether this is that, or the beginning of a MIME entity, which is text."""
    return _looks_right(plain) or all(0x20 <= each < 0x7F or each in b"\t\r\n" for each in plain)


def _decrypted(
    pieces: Iterable[bytes], cipher: ContentCipher, key: bytes, vector: bytes
) -> Iterator[bytes]:
    """The plain bytes, without the padding (RFC 5652 6.3)."""
    decryptor: Any = cipher.transformation(key, vector).decryptor()
    block = cipher.block_length
    held = b""
    for piece in pieces:
        held += decryptor.update(piece)
        if len(held) > block:
            yield held[:-block]
            held = held[-block:]
    try:
        held += decryptor.finalize()
    except ValueError as error:
        raise StorageError(
            f"{_OUTSIDE} ends within a block: it seems cut off", clause=CLAUSE
        ) from error
    count = held[-1] if held else 0
    if not 0 < count <= min(block, len(held)) or held[-count:] != bytes((count,)) * count:
        raise StorageError(f"{_INSIDE} is damaged at its end", clause=CLAUSE)
    yield held[:-count]
