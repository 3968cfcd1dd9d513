"""What stands in a data set or item, looked up before its elements pass."""

from __future__ import annotations

from typing import NamedTuple

from agent.dataset.byte_source import ByteSource
from agent.dataset.element_header import read_element_header, read_item_header
from agent.dataset.head import skip_sequence
from agent.dataset.reader import ItemStart, SequenceStart, read_exactly
from agent.dataset.tags import ITEM
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.dataset.window import Window
from agent.security.structured_content import ContentItem

_CODE_VALUE, _CODING_SCHEME = 0x0008_0100, 0x0008_0102
_VALUE_TYPE, _CONCEPT_NAME = 0x0040_A040, 0x0040_A043
_LONGEST = 64
_BUDGET = 256 << 20


class Place(NamedTuple):
    """Where an element is: its first byte, its value, the length of that as it says, its end."""

    offset: int
    value_offset: int
    length: int
    end: int


def places_of(
    source: ByteSource,
    syntax: TransferSyntax,
    wanted: frozenset[int],
    position: int = 0,
    end: int | None = None,
) -> dict[int, Place]:
    """Where these attributes are, in the data set or item that begins at a position.

    Nothing is read but headers; what comes behind the greatest of them is not looked at. Memory:
    512 bytes of the source. Raises PeerError where the bytes are damaged.
    """
    explicit, little = syntax.explicit_vr, syntax.little_endian
    window = Window(source, _BUDGET, 512)
    last = max(wanted)
    found: dict[int, Place] = {}
    while end is None or position < end:
        header = read_element_header(window, position, explicit, little)
        # The delimiter of an item is greater than all that may be wanted.
        if header is None or header.tag > last:
            break
        tag, vr, length, value_offset = header
        if length == UNDEFINED_LENGTH:
            unknown = explicit and vr == "UN"
            after = skip_sequence(window, value_offset, explicit and not unknown, little or unknown)
        else:
            after = value_offset + length
        if tag in wanted:
            found[tag] = Place(position, value_offset, length, after)
        position = after
    return found


def contents_of(source: ByteSource, syntax: TransferSyntax, item: ItemStart) -> ContentItem:
    """What a content item says of itself. Raises PeerError where the bytes are damaged."""
    wanted = frozenset((_VALUE_TYPE, _CONCEPT_NAME))
    places = places_of(source, syntax, wanted, item.value_offset, _end(item))
    value_type = _text(source, places.get(_VALUE_TYPE))
    concept = places.get(_CONCEPT_NAME)
    code = None
    if concept is not None and concept.length:
        code = _first_item(source, syntax, concept.value_offset)
    if code is None:
        return ContentItem(value_type)
    wanted = frozenset((_CODING_SCHEME, _CODE_VALUE))
    places = places_of(source, syntax, wanted, code.value_offset, _end(code))
    scheme, value = (_text(source, places.get(each)) for each in (_CODING_SCHEME, _CODE_VALUE))
    return ContentItem(value_type, scheme, value)


def scheme_of(source: ByteSource, syntax: TransferSyntax, item: ItemStart) -> str:
    """The Coding Scheme Designator of an item; empty where it is no code."""
    wanted = frozenset((_CODING_SCHEME,))
    places = places_of(source, syntax, wanted, item.value_offset, _end(item))
    return _text(source, places.get(_CODING_SCHEME))


def first_text(source: ByteSource, syntax: TransferSyntax, start: SequenceStart, tag: int) -> str:
    """The value of an attribute of the first item; empty where there is none."""
    item = _first_item(source, syntax, start.value_offset) if start.length else None
    if item is None:
        return ""
    places = places_of(source, syntax, frozenset((tag,)), item.value_offset, _end(item))
    return _text(source, places.get(tag))


def _first_item(source: ByteSource, syntax: TransferSyntax, position: int) -> ItemStart | None:
    tag, length = read_item_header(Window(source, 4096, 64), position, syntax.little_endian)
    return ItemStart(1, position + 8, length, 0, position) if tag == ITEM else None


def _end(item: ItemStart) -> int | None:
    return None if item.length == UNDEFINED_LENGTH else item.value_offset + item.length


def _text(source: ByteSource, place: Place | None) -> str:
    if place is None or place.length > _LONGEST:
        return ""
    raw = read_exactly(source, place.value_offset, place.length)
    return raw.decode("ascii", "replace").strip(" \0")
