"""The attributes that de-identification takes from an object, encrypted for those who may have them
back (PS3.15 E.1.1): the Encrypted Attributes Sequence (0400,0500)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource, decoded
from agent.dataset.conversion import Replacement, rewrite, skip_over
from agent.dataset.element_encoding import encode_element, item_header
from agent.dataset.reader import Element, Event, SequenceStart, read_exactly
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TransferSyntax, encoding_of
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.errors import LocalError
from agent.security.cms import CIPHERS
from agent.security.enveloped_data import enveloped
from agent.security.item_contents import places_of
from agent.security.recipients import CertificateRecipient

ENCRYPTED_CONTENT_TRANSFER_SYNTAX_UID = 0x0400_0510
ENCRYPTED_CONTENT = 0x0400_0520
MODIFIED_ATTRIBUTES_SEQUENCE = 0x0400_0550

LONGEST_CONTENT = 16 << 20
"""Bytes of attributes that are encrypted with one object; they are held in memory."""


def encrypted_attributes(
    source: ByteSource,
    encoding_uid: str,
    wanted: Set[int],
    recipients: Sequence[CertificateRecipient],
    target: TransferSyntax,
) -> bytes:
    """The items of an Encrypted Attributes Sequence with these top-level attributes of a data set,
    encoded for `target`.

    One item, for all recipients. Raises LocalError where the attributes are longer than
    `LONGEST_CONTENT`, PeerError where the data set is damaged.
    """
    explicit = encoding_of(EXPLICIT_VR_LITTLE_ENDIAN)
    pieces: list[bytes] = []
    size = 0

    def keep(piece: bytes) -> None:
        nonlocal size
        size += len(piece)
        if size > LONGEST_CONTENT:
            raise LocalError(
                "The attributes to be encrypted are too long.",
                clause="PS3.15 E.1.1",
                limit=LONGEST_CONTENT,
                way_out="De-identify such objects without keeping their attributes.",
            )
        pieces.append(piece)

    def only(_: ByteSource, events: Iterator[Event]) -> Iterator[Event | Replacement]:
        for event in events:
            if isinstance(event, Element | SequenceStart):
                # Compressed icons are left out: they can be made again from the image.
                compressed = isinstance(event, Element) and event.length == UNDEFINED_LENGTH
                if compressed or (not event.depth and event.tag not in wanted):
                    skip_over(event, events)
                    continue
            yield event

    rewrite(source, encoding_uid, explicit.uid, keep, through=only)
    item = b"".join(pieces)
    content = _character_set(source, encoding_uid) + encode_element(
        MODIFIED_ATTRIBUTES_SEQUENCE, "SQ", item_header(len(item), True) + item, explicit
    )
    envelope = enveloped(content, recipients, CIPHERS["aes-256"])
    made = encode_element(
        ENCRYPTED_CONTENT_TRANSFER_SYNTAX_UID, "UI", explicit.uid.encode(), target
    ) + encode_element(ENCRYPTED_CONTENT, "OB", envelope, target)
    return item_header(len(made), target.little_endian) + made


def _character_set(source: ByteSource, encoding_uid: str) -> bytes:
    """The Specific Character Set of the object: its attributes are in it."""
    syntax = encoding_of(encoding_uid)
    tag = tags.SPECIFIC_CHARACTER_SET
    plain = decoded(source, syntax)
    place = places_of(plain, syntax._replace(deflated=False), frozenset((tag,))).get(tag)
    if place is None:
        return b""
    value = read_exactly(plain, place.value_offset, place.length)
    return encode_element(tag, "CS", value, encoding_of(EXPLICIT_VR_LITTLE_ENDIAN))
