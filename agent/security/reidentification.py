"""A de-identified object gets its attributes back from whoever has the key (PS3.15 E.1.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource, MemoryBytes, decoded
from agent.dataset.conversion import Replacement, rewrite, skip_over
from agent.dataset.inference import looks_like_data_set
from agent.dataset.reader import (
    Element,
    Event,
    ItemEnd,
    ItemStart,
    SequenceStart,
    elements,
    read_exactly,
)
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    TransferSyntax,
    encoding_of,
)
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.errors import GantryError, PeerError, StorageError
from agent.security.deidentification_marks import (
    DEIDENTIFICATION_METHOD,
    DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
    ENCRYPTED_ATTRIBUTES_SEQUENCE,
    LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED,
    PATIENT_IDENTITY_REMOVED,
)
from agent.security.encrypted_attributes import (
    ENCRYPTED_CONTENT,
    ENCRYPTED_CONTENT_TRANSFER_SYNTAX_UID,
    LONGEST_CONTENT,
    MODIFIED_ATTRIBUTES_SEQUENCE,
)
from agent.security.enveloped_data import opened
from agent.security.item_contents import places_of

_LONGEST_ENVELOPE = LONGEST_CONTENT + (1 << 20)
_RESTORED_AT = 1 << 60
"""Where the decrypted bytes begin, behind those of any object."""
_MARKS = frozenset(
    (
        DEIDENTIFICATION_METHOD,
        DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
        ENCRYPTED_ATTRIBUTES_SEQUENCE,
        LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED,
    )
)

# Modified Attributes Sequence at the very beginning, in either byte order.
_BARE = (b"\0\4\x50\5", b"\4\0\5\x50")

Attribute = list[Event]


class Reidentification:
    """One object and its own attributes. Memory: those, at most `LONGEST_CONTENT`."""

    def __init__(self, source: ByteSource, encoding_uid: str, private_keys: Sequence[Any]) -> None:
        """Finds and decrypts them. Raises StorageError where there are none, or none of the keys
        opens them; PeerError where the data set is damaged."""
        syntax = encoding_of(encoding_uid)
        plain = decoded(source, syntax)
        # What was deflated is read inflated here, and deflated again when it is written.
        self._read_as = EXPLICIT_VR_LITTLE_ENDIAN if syntax.deflated else encoding_uid
        self._target = encoding_uid
        content, content_syntax = _decrypted(plain, encoding_of(self._read_as), private_keys)
        try:
            item = _modified_attributes(content, content_syntax)
            self._restored = _attributes(item, content_syntax)
        except PeerError as error:
            raise _damaged() from error
        self._source = _Both(plain, item)
        self.sop_instance_uid = self._text(item, tags.SOP_INSTANCE_UID, content_syntax)
        """As it was; empty where that is not among the attributes."""

    def write(self, write: Callable[[bytes], object]) -> None:
        """Write the data set. Raises PeerError where it is damaged, and what `write` raises."""
        rewrite(self._source, self._read_as, self._target, write, through=self._through)

    def _through(self, _: ByteSource, events: Iterator[Event]) -> Iterator[Event | Replacement]:
        marked: list[Event | Replacement] = [Replacement(PATIENT_IDENTITY_REMOVED, "CS", b"NO")]
        instead: dict[int, Sequence[Event | Replacement]] = {
            **self._restored,
            PATIENT_IDENTITY_REMOVED: marked,
        }
        pending = sorted(instead, reverse=True)
        for event in events:
            if isinstance(event, Element | SequenceStart) and not event.depth:
                while pending and pending[-1] < event.tag:
                    yield from instead[pending.pop()]
                if event.tag in instead or event.tag in _MARKS:
                    skip_over(event, events)
                    continue
            yield event
        while pending:
            yield from instead[pending.pop()]

    @staticmethod
    def _text(item: bytes, tag: int, syntax: TransferSyntax) -> str:
        place = places_of(MemoryBytes(item), syntax, frozenset((tag,))).get(tag)
        if place is None:
            return ""
        raw = item[place.value_offset : place.value_offset + place.length]
        return raw.decode("ascii", "replace").strip(" \0")


def _decrypted(
    source: ByteSource, syntax: TransferSyntax, private_keys: Sequence[Any]
) -> tuple[bytes, TransferSyntax]:
    """The first Encrypted Attributes Data Set that one of the keys opens."""
    failure: GantryError | None = None
    for content_syntax, envelope in _envelopes(source, syntax):
        row = TRANSFER_SYNTAXES.get(content_syntax)
        if row is None or row.encapsulated or row.deflated:
            failure = StorageError(
                f"Encrypted attributes in {content_syntax or 'no transfer syntax'} are not read.",
                clause="PS3.15 E.1.2",
                value=content_syntax,
            )
            continue
        try:
            return opened(envelope, private_keys, _is_data_set), encoding_of(content_syntax)
        except GantryError as error:
            failure = error
    raise failure or StorageError(
        "The object has no encrypted attributes.",
        clause="PS3.15 E.1.2",
        way_out="Only who de-identified it can tell whose it is, if anybody.",
    )


def _is_data_set(content: bytes) -> bool:
    return looks_like_data_set(content[:132].ljust(132, b"\0")) or content[:4] in _BARE


def _envelopes(source: ByteSource, syntax: TransferSyntax) -> Iterator[tuple[str, bytes]]:
    """Transfer syntax and Encrypted Content of each item, none where there is no sequence."""
    inside, found = False, ""
    for event in elements(
        source, syntax, value_representation=tags.dictionary_value_representation
    ):
        if not event.depth and isinstance(event, Element | SequenceStart):
            inside = event.tag == ENCRYPTED_ATTRIBUTES_SEQUENCE
            if event.tag > ENCRYPTED_ATTRIBUTES_SEQUENCE:
                return
        elif inside and isinstance(event, Element):
            if event.length > _LONGEST_ENVELOPE:
                continue
            if event.tag == ENCRYPTED_CONTENT_TRANSFER_SYNTAX_UID:
                raw = read_exactly(source, event.value_offset, event.length)
                found = raw.decode("ascii", "replace").strip(" \0")
            elif event.tag == ENCRYPTED_CONTENT:
                yield found, read_exactly(source, event.value_offset, event.length)


def _modified_attributes(content: bytes, syntax: TransferSyntax) -> bytes:
    """The item of the Modified Attributes Sequence: its bytes."""
    item: ItemStart | None = None
    inside = False
    for event in elements(
        MemoryBytes(content),
        syntax,
        value_representation=tags.dictionary_value_representation,
    ):
        if event.depth:
            continue
        if isinstance(event, Element | SequenceStart):
            inside = event.tag == MODIFIED_ATTRIBUTES_SEQUENCE
        elif inside and isinstance(event, ItemStart):
            item = event
        elif inside and isinstance(event, ItemEnd) and item is not None:
            delimiter = 8 if item.length == UNDEFINED_LENGTH else 0
            return content[item.value_offset : event.offset - delimiter]
    raise _damaged()


def _damaged() -> StorageError:
    return StorageError(
        "What is encrypted is no Encrypted Attributes Data Set, or damaged.",
        clause="PS3.15 E.1.2",
    )


def _attributes(item: bytes, syntax: TransferSyntax) -> dict[int, Attribute]:
    """The events of each attribute, at the places that they have in `_Both`."""
    found: dict[int, Attribute] = {}
    current: Attribute = []
    for event in elements(
        MemoryBytes(item),
        syntax,
        through_bulk=True,
        value_representation=tags.dictionary_value_representation,
    ):
        if isinstance(event, Element | SequenceStart) and not event.depth:
            current = found.setdefault(event.tag, [])
        if isinstance(event, Element):
            event = event._replace(value_offset=event.value_offset + _RESTORED_AT)
        current.append(event)
    return found


class _Both:
    """An object, and far behind it what was decrypted."""

    def __init__(self, source: ByteSource, restored: bytes) -> None:
        self._source = source
        self._restored = restored

    def read(self, position: int, length: int) -> bytes:
        if position < _RESTORED_AT:
            return self._source.read(position, length)
        position -= _RESTORED_AT
        return self._restored[position : position + length]
