"""One data set under the Basic Application Level Confidentiality Profile (PS3.15 E.1.1, E.2, E.3).

The events of the data set pass through, item by item and sequence by sequence: what the profile
wants removed does not come out, what it wants replaced comes as a value of its own, all else is
copied by who writes (`agent.dataset.conversion.rewrite`). Memory: one value, and 200 bytes for each
open sequence. Pixels are not looked at here; private attributes, overlays, curves and trailing
padding are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource
from agent.dataset.character_set import decode_text
from agent.dataset.conversion import Replacement, skip_over
from agent.dataset.reader import (
    Element,
    Event,
    ItemEnd,
    ItemStart,
    SequenceEnd,
    SequenceStart,
    elements,
)
from agent.dataset.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN, TransferSyntax, encoding_of
from agent.dataset.value_representations import UNDEFINED_LENGTH, VALUE_REPRESENTATIONS
from agent.errors import LocalError
from agent.security.confidentiality_actions import Action, ConfidentialityProfile
from agent.security.confidentiality_table import Option
from agent.security.deidentification_marks import ENCRYPTED_ATTRIBUTES_SEQUENCE, marks
from agent.security.dummy_sequences import (
    GRAPHIC_ANNOTATION_SEQUENCE,
    GRAPHIC_LAYER,
    dummy_items,
)
from agent.security.dummy_values import REMOVED, dummy_document
from agent.security.item_contents import contents_of, first_text, scheme_of
from agent.security.new_values import PATIENT, SEARCHED, NewValues
from agent.security.original_identity import OriginalIdentity, original_identity
from agent.security.pseudonyms import Pseudonyms
from agent.security.structured_content import PUBLIC_SCHEMES, ContentItem, keeps_value
from agent.security.unknown_sequence import sequence_in_unknown

Passing = Iterator[Event | Replacement]

_ENCAPSULATED_DOCUMENT_LENGTH = 0x0042_0015
_PRIVATE_CHARACTERISTICS = 0x0008_0300
_CONCEPT_CODE = 0x0040_A168
_MEASURED_VALUE = 0x0040_A300
_VALUES = frozenset((0x0040_A160, 0x0040_A161, 0x0040_A162, 0x0040_A163, 0x0040_A30A))
"""Text Value, and what Numeric Value and its more exact forms are."""
_FREE_TEXT = SEARCHED | {"AE"}
_OF_AN_OVERLAY: Mapping[int, Action] = {
    0x6000_0022: Action.CLEAN,
    0x6000_1500: Action.CLEAN,
    0x6000_3000: Action.KEEP,
}
"""Overlay Description, Overlay Label, Overlay Data."""
_OVERLAYS = range(0x6000, 0x6100)


@dataclass(slots=True)
class _Level:
    """The data set, or an item: what holds for its elements.

    `action` is what the sequence around it wants of free text, `content` what kind of content item
    it is, where that is looked at.
    """

    depth: int
    character_set: bytes = b""
    action: Action = Action.KEEP
    content: ContentItem | None = None
    creators: dict[int, str] = field(default_factory=dict)


class Deidentification:
    """What becomes of one data set.

    `source` and `syntax` are those of the data set as it is parsed: inflated, where it is deflated.
    Raises PeerError with status C000H where it is damaged.
    """

    def __init__(
        self,
        source: ByteSource,
        syntax: TransferSyntax,
        profile: ConfidentialityProfile,
        pseudonyms: Pseudonyms,
        *,
        replacements: Mapping[int, tuple[str, bytes]] | None = None,
    ) -> None:
        """`replacements` are set at the top level when all is done: VR and little endian value."""
        if syntax.deflated:
            raise LocalError("A deflated data set is inflated before it is changed.")
        self._profile = profile
        self._identity: OriginalIdentity = original_identity(source, syntax)
        self._syntax = syntax
        self._source = source
        self._values = NewValues(source, profile, pseudonyms, self._identity)
        self._changes = 0
        self._changed: set[int] = set()
        self._additions = marks(profile, self._identity.codes)
        self._marks = frozenset(self._additions)
        if self._identity.mime_type:
            length = len(dummy_document(self._identity.mime_type)).to_bytes(4, "little")
            self._additions[_ENCAPSULATED_DOCUMENT_LENGTH] = [
                Replacement(_ENCAPSULATED_DOCUMENT_LENGTH, "UL", length)
            ]
        for tag, (vr, value) in (replacements or {}).items():
            self._additions[tag] = [Replacement(tag, vr, value)]

    @property
    def sop_instance_uid(self) -> str:
        """What the copy is called; the file meta information needs it first."""
        return self._values.uid(self._identity.sop_instance_uid)

    @property
    def identity(self) -> OriginalIdentity:
        """What the object was."""
        return self._identity

    def protected(self) -> frozenset[int]:
        """The top-level attributes that do not stay as they are, but for those that say that. Walks
        through the data set. Raises PeerError for what is damaged."""
        events = elements(
            self._source,
            self._syntax,
            through_bulk=True,
            value_representation=tags.dictionary_value_representation,
        )
        for _ in self.through(self._source, events):
            pass
        return frozenset(self._changed - self._marks)

    def keep_encrypted(self, items: bytes) -> None:
        """The copy gets these items of the Encrypted Attributes Sequence, encoded as it will be."""
        tag = ENCRYPTED_ATTRIBUTES_SEQUENCE
        self._additions[tag] = [Replacement(tag, "SQ", items)]

    def through(self, source: ByteSource, events: Iterator[Event]) -> Passing:
        """The events of the copy; for `rewrite`. Raises PeerError for what is damaged."""
        self._source = self._values.source = source
        pending = sorted(self._additions, reverse=True)
        depth = 0
        for event in self._data_set(events, _Level(0)):
            if isinstance(event, ItemStart):
                depth += 1
            elif isinstance(event, ItemEnd):
                depth -= 1
            elif not depth and isinstance(event, Element | SequenceStart | Replacement):
                while pending and pending[-1] < event.tag:
                    yield from self._additions[pending.pop()]
            yield event
        while pending:
            yield from self._additions[pending.pop()]

    def _data_set(self, events: Iterator[Event], level: _Level) -> Passing:
        """What stands in a data set or an item, its end included."""
        for event in events:
            if isinstance(event, ItemEnd):
                yield event
                return
            if not isinstance(event, Element | SequenceStart):
                yield event
                continue
            before = self._changes
            yield from self._passed(event, events, level)
            if self._changes != before and not level.depth:
                self._changed.add(event.tag)

    def _drop(self, event: Element | SequenceStart, events: Iterator[Event]) -> None:
        self._changes += 1
        skip_over(event, events)

    def _put(self, tag: int, vr: str, value: bytes) -> Replacement:
        self._changes += 1
        return Replacement(tag, vr, value)

    def _passed(
        self, event: Element | SequenceStart, events: Iterator[Event], level: _Level
    ) -> Passing:
        tag = event.tag
        if tag & 0xFFFF == 0:
            return
        if not level.depth and tag in self._additions:
            self._drop(event, events)
            return
        if tag == tags.MAC_PARAMETERS_SEQUENCE:
            # Of signatures, which Table E.1-1 removes.
            self._drop(event, events)
            return
        if tags.is_private(tag):
            yield from self._private(event, events, level)
            return
        if tag >> 16 in _OVERLAYS and not self._keeps_overlay(tag >> 16):
            self._drop(event, events)
            return
        vr = self._representation(event)
        if isinstance(event, SequenceStart):
            yield from self._sequence(event, events, level)
        elif vr == "SQ":
            # A sequence that somebody has written as UN (PS3.5 6.2.2).
            inside = sequence_in_unknown(self._source, event)
            start = next(inside)
            assert isinstance(start, SequenceStart)
            yield from self._sequence(start, inside, level)
        else:
            yield from self._element(event, events, level, vr)

    def _keeps_overlay(self, group: int) -> bool:
        """Graphics can hold writing; a region of interest that was drawn is kept when asked for."""
        return Option.CLEAN_GRAPHICS in self._profile and group in self._identity.regions

    def _representation(self, event: Element | SequenceStart) -> str:
        if isinstance(event, SequenceStart):
            return "SQ"
        known = event.vr in VALUE_REPRESENTATIONS and event.vr != "UN"
        return event.vr if known else tags.dictionary_value_representation(event.tag)

    # Elements.

    def _element(
        self, element: Element, events: Iterator[Event], level: _Level, vr: str
    ) -> Passing:
        tag = element.tag
        if tag == tags.SPECIFIC_CHARACTER_SET:
            level.character_set = self._values.read(element, 1024).rstrip(b"\0 ")
            yield element
            return
        if not level.depth and tag in tags.BULK:
            yield element
            return
        action = self._action(tag, vr, level)
        if (
            action is Action.KEEP
            and vr in SEARCHED
            and self._values.quotes(element, vr, level.character_set)
        ):
            action = Action.DUMMY
        if action is Action.KEEP:
            yield element
            return
        if element.length == UNDEFINED_LENGTH:
            action = Action.REMOVE
        if not element.length and action is not Action.REMOVE and tag not in PATIENT:
            # Nothing is there that could be protected, and a dummy would say that there was.
            yield element
            return
        value = self._values.value(element, vr, action, level.character_set)
        if value is None:
            self._drop(element, events)
        else:
            yield self._put(tag, vr, value)

    def _action(self, tag: int, vr: str, level: _Level) -> Action:
        if tag == _PRIVATE_CHARACTERISTICS:
            return Action.KEEP if self._keeps_private else Action.REMOVE
        if tag & 0xFF00_FFFF in _OF_AN_OVERLAY:
            # Of one that stays: others do not come here.
            return _OF_AN_OVERLAY[tag & 0xFF00_FFFF]
        action = self._profile.action(tag, vr)
        if tag == tags.REFERENCED_STUDY_SEQUENCE and not level.depth and action is Action.EMPTY:
            # X/Z: in General Study it is of type 3, and without items it is none (PS3.3 C.7.2.1);
            # in items of requests it is of type 2.
            return Action.REMOVE
        if level.content is not None and tag in _VALUES:
            return self._of_content(level.content)
        if level.action is not Action.KEEP and vr in _FREE_TEXT and action is Action.KEEP:
            return level.action
        return action

    def _of_content(self, content: ContentItem) -> Action:
        if keeps_value(content, self._profile.options):
            return Action.KEEP
        is_text = content.value_type == "TEXT"
        cleans = is_text and Option.CLEAN_DESCRIPTORS in self._profile
        return Action.CLEAN if cleans else Action.DUMMY

    # Sequences.

    def _sequence(self, start: SequenceStart, events: Iterator[Event], level: _Level) -> Passing:
        action = self._action(start.tag, "SQ", level)
        items = self._dummy_items(start) if action is Action.DUMMY and start.length else None
        if action is Action.REMOVE:
            self._drop(start, events)
        elif action is Action.EMPTY:
            self._drop(start, events)
            yield Replacement(start.tag, "SQ", b"")
        elif items is not None:
            self._drop(start, events)
            yield from items
        else:
            yield from self._items(start, events, level, action)

    def _dummy_items(self, start: SequenceStart) -> list[Event | Replacement] | None:
        layer = ""
        if start.tag == GRAPHIC_ANNOTATION_SEQUENCE:
            encoding = self._encoding_in(start)
            layer = first_text(self._source, encoding, start, GRAPHIC_LAYER)
        return dummy_items(start, layer or REMOVED)

    def _items(
        self, start: SequenceStart, events: Iterator[Event], level: _Level, action: Action
    ) -> Passing:
        yield start
        for event in events:
            yield event
            if isinstance(event, SequenceEnd):
                return
            if isinstance(event, ItemStart):
                yield from self._data_set(events, self._item(start, event, level, action))

    def _item(self, start: SequenceStart, item: ItemStart, level: _Level, action: Action) -> _Level:
        """What holds in one item; what it is, is looked for ahead."""
        made = _Level(level.depth + 1, level.character_set, level.action)
        if action in (Action.DUMMY, Action.CLEAN):
            made.action = action
        if start.tag in _STRUCTURED and Option.CLEAN_STRUCTURED_CONTENT in self._profile:
            made.content = contents_of(self._source, self._encoding_in(start), item)
            made.action = Action.KEEP
        elif level.content is not None and start.tag == _MEASURED_VALUE:
            made.content = level.content
        elif level.content is not None and start.tag == _CONCEPT_CODE:
            kept = keeps_value(level.content, self._profile.options)
            made.action = self._of_code(start, item) if kept else Action.DUMMY
        elif made.action is Action.CLEAN:
            made.action = self._of_code(start, item)
        return made

    def _of_code(self, start: SequenceStart, item: ItemStart) -> Action:
        """Codes of published schemes identify nobody (E.1.1 notes 7 and 10)."""
        scheme = scheme_of(self._source, self._encoding_in(start), item)
        return Action.KEEP if scheme in PUBLIC_SCHEMES else Action.CLEAN

    def _encoding_in(self, start: SequenceStart) -> TransferSyntax:
        if start.vr == "UN":
            return encoding_of(IMPLICIT_VR_LITTLE_ENDIAN)
        return self._syntax

    # Private attributes (E.3.10).

    @property
    def _keeps_private(self) -> bool:
        return Option.RETAIN_SAFE_PRIVATE in self._profile

    def _private(
        self, event: Element | SequenceStart, events: Iterator[Event], level: _Level
    ) -> Passing:
        group, number = event.tag >> 16, event.tag & 0xFFFF
        safe = self._identity.safe_private
        if self._keeps_private and 0x10 <= number < 0x100 and isinstance(event, Element):
            creator = decode_text(self._values.read(event, 64), "LO", level.character_set).strip()
            level.creators[group << 8 | number] = creator
            if safe.has_creator(group, creator):
                yield event
            else:
                self._drop(event, events)
            return
        creator = level.creators.get(group << 8 | number >> 8, "")
        if not self._keeps_private or not creator or not safe.has(group, creator, number):
            self._drop(event, events)
        elif isinstance(event, SequenceStart):
            yield from self._items(event, events, level, Action.KEEP)
        elif event.vr == "UI":
            value = self._values.value(event, "UI", Action.REPLACE_UID, b"")
            assert value is not None
            yield self._put(event.tag, "UI", value)
        elif event.vr in SEARCHED and self._values.quotes(event, event.vr, level.character_set):
            yield self._put(event.tag, event.vr, REMOVED.encode())
        else:
            yield event


_STRUCTURED = frozenset((0x0040_A730, 0x0040_0555, 0x0040_0610, 0x0040_0612))
"""Content Sequence, Acquisition Context Sequence, Specimen Preparation Sequence, and the content of
its steps."""
