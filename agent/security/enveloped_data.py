"""Enveloped-data of CMS around a few bytes (RFC 5652 6, RFC 3370, RFC 3565): for the attributes
that a de-identified object keeps for those who may know them (PS3.15 E.1.1)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from agent.errors import StorageError
from agent.security.cms import (
    DATA,
    ENVELOPED_DATA,
    LONGEST_ELEMENT,
    ContentCipher,
    read_cipher,
    unsupported,
)
from agent.security.der import (
    OCTET_STRING,
    SEQUENCE,
    Reader,
    algorithm,
    context,
    element,
    integer,
    object_identifier,
)
from agent.security.recipients import (
    CertificateRecipient,
    content_keys,
    derived,
    envelope_version,
    read_recipients,
    recipient_infos,
)

CLAUSE = "PS3.15 E.1.1"


def enveloped(
    content: bytes, recipients: Sequence[CertificateRecipient], cipher: ContentCipher
) -> bytes:
    """The content, for the holders of the recipients' keys; in DER. Memory: three times as much."""
    key, vector = os.urandom(cipher.key_length), os.urandom(cipher.block_length)
    padding = cipher.block_length - len(content) % cipher.block_length
    encryptor = cipher.transformation(key, vector).encryptor()
    encrypted: bytes = encryptor.update(content + bytes((padding,)) * padding)
    encrypted += encryptor.finalize()
    return element(
        SEQUENCE,
        object_identifier(ENVELOPED_DATA),
        element(
            context(0),
            element(
                SEQUENCE,
                integer(envelope_version(recipients)),
                recipient_infos(recipients, key),
                element(
                    SEQUENCE,
                    object_identifier(DATA),
                    algorithm(cipher.identifier, element(OCTET_STRING, vector)),
                    element(context(0, constructed=False), encrypted),
                ),
            ),
        ),
    )


def opened(
    envelope: bytes, private_keys: Sequence[Any], is_right: Callable[[bytes], bool]
) -> bytes:
    """The content, in whatever form of BER the envelope is.

    `is_right` says whether bytes can be the content: nothing else tells a wrong key for sure.
    Raises StorageError where it is no such envelope, or none of the keys opens it.
    """
    reader = Reader([envelope], "the envelope")
    reader.enter(SEQUENCE)
    kind = reader.object_identifier()
    if kind != ENVELOPED_DATA:
        raise unsupported("the content type", kind)
    reader.enter(context(0))
    reader.enter(SEQUENCE)
    reader.integer()
    if reader.next_tag() == context(0):
        reader.whole(LONGEST_ELEMENT)  # what the originator says of himself
    recipients = read_recipients(reader)
    reader.enter(SEQUENCE)
    reader.object_identifier()
    cipher, vector = read_cipher(reader)
    encrypted = b"".join(reader.octets(context(0, constructed=False)))
    for key in content_keys(recipients, private_keys, (), cipher.key_length, derived):
        plain = _decrypted(encrypted, cipher, key, vector)
        if plain is not None and is_right(plain):
            return plain
    raise StorageError(
        "None of the keys opens the encrypted attributes.",
        clause=CLAUSE,
        way_out="Use the private key to one of the certificates that they were encrypted for.",
    )


def _decrypted(encrypted: bytes, cipher: ContentCipher, key: bytes, vector: bytes) -> bytes | None:
    """The plain bytes (RFC 5652 6.3); None where the padding shows that the key is another."""
    if not encrypted or len(encrypted) % cipher.block_length:
        return None
    decryptor = cipher.transformation(key, vector).decryptor()
    plain: bytes = decryptor.update(encrypted) + decryptor.finalize()
    count = plain[-1]
    if not 0 < count <= cipher.block_length or plain[-count:] != bytes((count,)) * count:
        return None
    return plain[:-count]
