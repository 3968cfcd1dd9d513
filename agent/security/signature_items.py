"""Items of the two sequences of a signature, as events of a data set; adding and removing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource
from agent.dataset.conversion import Replacement, Through, skip_over
from agent.dataset.reader import Element, Event, ItemEnd, ItemStart, SequenceEnd, SequenceStart
from agent.dataset.value_representations import UNDEFINED_LENGTH, swap
from agent.dataset.writer import ElementWriter
from agent.security.signature_place import Location, Place
from agent.security.signature_reading import StoredSignature

Node = Event | Replacement
Nodes = list[Node]

_DEPTH = 1
"""Of events that are made here: what matters is that it is not the top level, which may change."""


def item(*attributes: Node) -> Nodes:
    """An item with these attributes."""
    return [
        ItemStart(0, 0, UNDEFINED_LENGTH, _DEPTH, 0),
        *attributes,
        ItemEnd(_DEPTH, 0),
    ]


def sequence(tag: int, items: Sequence[Node]) -> Nodes:
    """A sequence with these items."""
    return [
        SequenceStart(tag, "SQ", 0, UNDEFINED_LENGTH, _DEPTH, 0),
        *items,
        SequenceEnd(tag, _DEPTH, 0),
    ]


def replay(nodes: Sequence[Node], writer: ElementWriter, *, little_endian: bool) -> None:
    """Write made events, as `rewrite` does it."""
    for node in nodes:
        if isinstance(node, Replacement):
            tag, vr, value = node
            writer.element(tag, vr, value if little_endian else swap(vr, value))
        elif isinstance(node, SequenceStart):
            writer.begin_sequence(node.tag)
        elif isinstance(node, ItemStart):
            writer.begin_item()
        elif isinstance(node, ItemEnd):
            writer.end_item()
        elif isinstance(node, SequenceEnd):
            writer.end_sequence()


def adding(location: Location, items: Mapping[int, Nodes]) -> Through:
    """For `rewrite`: an item more in each of these sequences of the data set or item at `location`;
    a sequence that is not there is made."""

    def through(source: ByteSource, events: Iterator[Event]) -> Iterator[Node]:
        pending = sorted(items)
        place = Place()
        for event in events:
            if place.is_directly_in(location):
                last = _last_tag(event)
                while last is not None and pending and pending[0] < last:
                    tag = pending.pop(0)
                    yield from sequence(tag, items[tag])
                if isinstance(event, SequenceStart) and event.tag in pending:
                    pending.remove(event.tag)
                    yield from _grown(event, events, items[event.tag])
                    continue
            place.follow(event)
            yield event
        for tag in pending:
            yield from sequence(tag, items[tag])

    return through


def setting(location: Location, attributes: Mapping[int, Replacement]) -> Through:
    """For `rewrite`: these attributes of the item at `location`, whatever it has of them."""

    def through(source: ByteSource, events: Iterator[Event]) -> Iterator[Node]:
        pending = sorted(attributes)
        place = Place()
        for event in events:
            if place.is_directly_in(location):
                last = _last_tag(event)
                while last is not None and pending and pending[0] <= last:
                    yield attributes[pending.pop(0)]
                if isinstance(event, Element | SequenceStart) and event.tag in attributes:
                    skip_over(event, events)
                    continue
            place.follow(event)
            yield event

    return through


def _last_tag(event: Event) -> int | None:
    """Before which tags must have been written now."""
    if isinstance(event, Element | SequenceStart):
        return event.tag
    return 0x1_0000_0000 if isinstance(event, ItemEnd) else None


def _grown(start: SequenceStart, events: Iterator[Event], more: Nodes) -> Iterator[Node]:
    yield start
    for event in events:
        if isinstance(event, SequenceEnd) and event.depth == start.depth:
            yield from more
            yield event
            return
        yield event


def removal(
    signatures: Sequence[StoredSignature], goes: Callable[[StoredSignature], bool]
) -> Through | None:
    """For `rewrite`: without the signatures that go, and without MAC parameters that nobody uses
    then; None where all stay. A sequence without items goes, too."""
    touched = {each.location for each in signatures if goes(each)}
    if not touched:
        return None
    kept: dict[tuple[Location, int], set[int]] = {}
    for location in touched:
        kept[location, tags.DIGITAL_SIGNATURES_SEQUENCE] = set()
        kept[location, tags.MAC_PARAMETERS_SEQUENCE] = set()
    for each in signatures:
        if each.location in touched and not goes(each):
            kept[each.location, tags.DIGITAL_SIGNATURES_SEQUENCE].add(each.item)
            if each.parameters is not None:
                kept[each.location, tags.MAC_PARAMETERS_SEQUENCE].add(each.parameters.item)

    def through(source: ByteSource, events: Iterator[Event]) -> Iterator[Node]:
        place = Place()
        for event in events:
            if isinstance(event, SequenceStart):
                numbers = kept.get((place.location, event.tag))
                if numbers is not None and place.is_directly_in(place.location):
                    yield from _thinned(event, events, numbers)
                    continue
            place.follow(event)
            yield event

    return through


def _thinned(start: SequenceStart, events: Iterator[Event], numbers: set[int]) -> Iterator[Node]:
    """The sequence with these of its items."""
    if not numbers:
        skip_over(start, events)
        return
    yield start
    passing = True
    for event in events:
        if isinstance(event, ItemStart) and event.depth == start.depth:
            passing = event.number in numbers
        if isinstance(event, SequenceEnd) and event.depth == start.depth:
            yield event
            return
        if passing:
            yield event
