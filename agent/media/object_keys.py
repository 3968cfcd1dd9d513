"""The keys of a composite object: some attributes of its head, sequences among them, as they are.

What `scan_head` does for plain values, this does for the keys of Directory Records, of which some
are sequences and one, the Content Sequence of a report, is wanted in part only.
"""

from __future__ import annotations

from agent.dataset import tags
from agent.dataset.attributes import Attribute, Attributes, Value
from agent.dataset.attributes_encoding import decode_attributes
from agent.dataset.byte_source import ByteSource, FileBytes, decoded
from agent.dataset.file_meta import FileMeta
from agent.dataset.reader import (
    Element,
    ItemEnd,
    ItemStart,
    SequenceEnd,
    SequenceStart,
    elements,
    read_exactly,
)
from agent.dataset.tags import SPECIFIC_CHARACTER_SET, dictionary_value_representation
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    TransferSyntax,
)
from agent.dataset.value_representations import UNDEFINED_LENGTH

LONGEST_KEY = 1 << 20
"""Bytes of one key; a longer one is left out, as if the object had none."""

_CONTENT_SEQUENCE = tags.from_text("ContentSequence")
_SHARED_GROUPS = tags.from_text("SharedFunctionalGroupsSequence")
IN_SHARED_GROUPS = frozenset(
    tags.from_text(each)
    for each in (
        "ReferencedImageSequence",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
    )
)
"""What PS3.11 Table H.3-2 looks for in the Shared Functional Groups (5200,9229), too."""
_ITEM_DELIMITATION_LENGTH = 8


def read_keys(descriptor: int, meta: FileMeta, wanted: frozenset[int]) -> Attributes:
    """Those of the wanted attributes that the object has, at the top level.

    Of a Content Sequence, the items that modify the title of the document are given, and no others
    (PS3.3 F.5.25). Of `IN_SHARED_GROUPS` those that an enhanced object has there are taken from
    there. Memory: the keys, each up to `LONGEST_KEY`, and a block. Raises PeerError where the data
    set cannot be parsed, StorageError where the file cannot be read.
    """
    shared = wanted & IN_SHARED_GROUPS
    if shared:
        wanted |= {_SHARED_GROUPS}
    source = decoded(FileBytes(descriptor, meta.data_set_offset), meta.encoding)
    syntax = meta.encoding
    if syntax.deflated:
        syntax = TRANSFER_SYNTAXES[EXPLICIT_VR_LITTLE_ENDIAN]
    reading = _Reading(source, syntax, wanted | {SPECIFIC_CHARACTER_SET})
    reading.run()
    found = decode_attributes(b"".join(reading.pieces), syntax)
    if reading.modifiers:
        found.put(_CONTENT_SEQUENCE, Attribute("SQ", tuple(reading.modifiers)))
    for tag in shared:
        _take_from_groups(found, tag)
    found.remove(_SHARED_GROUPS)
    return found


def _take_from_groups(found: Attributes, tag: int) -> None:
    """What is at the top level goes before (PS3.11 Table H.3-2)."""
    groups = found.item_of(_SHARED_GROUPS)
    if not len(groups) or found.has(tag):
        return
    for macro in groups:
        # The attribute is the macro itself, or within its one item (PS3.3 C.7.6.16.2).
        value = groups[macro] if macro == tag else groups.item_of(macro).get(tag)
        if value is not None and not value.is_empty:
            found.put(tag, value)
            return


class _Reading:
    def __init__(self, source: ByteSource, syntax: TransferSyntax, wanted: frozenset[int]) -> None:
        self._source = source
        self._syntax = syntax
        self._wanted = wanted
        self._last = max(wanted)
        self._charset = b""
        self._item = 0
        self.pieces: list[bytes] = []
        self.modifiers: list[Value] = []

    def run(self) -> None:
        sequence: SequenceStart | None = None
        item: ItemStart | None = None
        for event in elements(
            self._source,
            self._syntax,
            value_representation=dictionary_value_representation,
        ):
            if isinstance(event, Element | SequenceStart) and not event.depth:
                if event.tag > self._last:
                    return
                if isinstance(event, SequenceStart):
                    sequence = event if event.tag in self._wanted else None
                elif event.tag in self._wanted and event.length != UNDEFINED_LENGTH:
                    self._take(event.offset, event.value_offset + event.length)
                    if event.tag == SPECIFIC_CHARACTER_SET:
                        self._charset = self.pieces[-1]
            elif sequence is None:
                continue
            elif isinstance(event, SequenceEnd) and not event.depth:
                if sequence.tag != _CONTENT_SEQUENCE:
                    self._take(sequence.offset, event.offset)
                sequence = None
            elif sequence.tag == _CONTENT_SEQUENCE and isinstance(event, ItemStart | ItemEnd):
                if event.depth:
                    continue
                if isinstance(event, ItemStart):
                    item = event
                elif item is not None:
                    self._modifier(item, event)

    def _take(self, start: int, end: int) -> None:
        if end - start <= LONGEST_KEY:
            self.pieces.append(read_exactly(self._source, start, end - start))

    def _modifier(self, start: ItemStart, end: ItemEnd) -> None:
        stop = end.offset
        if start.length == UNDEFINED_LENGTH:
            stop -= _ITEM_DELIMITATION_LENGTH
        if stop - start.value_offset > LONGEST_KEY:
            return
        raw = read_exactly(self._source, start.value_offset, stop - start.value_offset)
        item = decode_attributes(self._charset + raw, self._syntax)
        item.remove(SPECIFIC_CHARACTER_SET)
        if item.text("RelationshipType") == "HAS CONCEPT MOD":
            self.modifiers.append(item)
