"""The digital signatures that are in a data set, at every level (PS3.3 C.12.1.1.3).

Values are read of the two sequences of signatures only; all else is walked over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.dataset import tags
from agent.dataset.byte_source import CANNOT_UNDERSTAND, ByteSource, decoded
from agent.dataset.reader import (
    Element,
    Event,
    ItemStart,
    ReaderLimits,
    SequenceEnd,
    SequenceStart,
    elements,
    read_value,
)
from agent.dataset.transfer_syntaxes import encoding_of
from agent.dataset.value_representations import (
    UNDEFINED_LENGTH,
    VALUE_REPRESENTATIONS,
    decode_numbers,
    swap,
)
from agent.errors import LocalError, PeerError, StatusReaction
from agent.security.signature_place import Location, Place, described
from agent.security.signature_terms import (
    CODE_MEANING,
    DATA_ELEMENTS_SIGNED,
    DIGITAL_SIGNATURE_DATE_TIME,
    DIGITAL_SIGNATURE_PURPOSE_CODE_SEQUENCE,
    DIGITAL_SIGNATURE_UID,
    MAC_ALGORITHM,
    MAC_CALCULATION_TRANSFER_SYNTAX_UID,
    MAC_ID_NUMBER,
)

MOST_SIGNATURES = 32
"""In one object. Each wants a MAC of its own, over what may be gigabytes."""
_LONGEST_VALUE = 1 << 20
_MOST_READ = 8 << 20
_LIMITS = ReaderLimits(value_length=_LONGEST_VALUE)

_SIGNED_ATTRIBUTES = frozenset((tags.MAC_PARAMETERS_SEQUENCE, tags.DIGITAL_SIGNATURES_SEQUENCE))


@dataclass(slots=True)
class Fields:
    """An item of one of the two sequences, by its number: its plain values, in little endian."""

    item: int = 0
    values: dict[int, bytes] = field(default_factory=dict)
    purpose: str = ""

    def text(self, tag: int) -> str:
        """A value as text, "" where it is not there."""
        return self.values.get(tag, b"").decode("ascii", "replace").strip(" \0")

    @property
    def number(self) -> int | None:
        """MAC ID Number, by which the items of the two sequences belong together."""
        value = self.values.get(MAC_ID_NUMBER, b"")
        return int.from_bytes(value, "little") if len(value) == 2 else None


@dataclass(slots=True)
class StoredSignature:
    """One signature of an object. `item` is the number of its item at `location`, from 1.

    `parameters` is the item of the MAC Parameters Sequence that it names, None where there is none.
    """

    location: Location
    item: int
    fields: Fields
    parameters: Fields | None = None

    @property
    def uid(self) -> str:
        return self.fields.text(DIGITAL_SIGNATURE_UID)

    @property
    def date_time(self) -> str:
        return self.fields.text(DIGITAL_SIGNATURE_DATE_TIME)

    @property
    def mac_algorithm(self) -> str:
        return "" if self.parameters is None else self.parameters.text(MAC_ALGORITHM)

    @property
    def mac_syntax(self) -> str:
        if self.parameters is None:
            return ""
        return self.parameters.text(MAC_CALCULATION_TRANSFER_SYNTAX_UID)

    @property
    def elements(self) -> frozenset[int]:
        """The tags that it says to be over."""
        if self.parameters is None:
            return frozenset()
        value = self.parameters.values.get(DATA_ELEMENTS_SIGNED, b"")
        return frozenset(int(each) for each in decode_numbers("AT", value))


def stored_signatures(source: ByteSource, syntax_uid: str) -> list[StoredSignature]:
    """All signatures of a data set, in the order of their items.

    Raises PeerError where the data set is damaged, or has more than `MOST_SIGNATURES`. Memory: the
    signatures themselves.
    """
    syntax = encoding_of(syntax_uid)
    bytes_of = decoded(source, syntax)
    events = elements(
        bytes_of,
        syntax._replace(deflated=False),
        through_bulk=True,
        value_representation=tags.dictionary_value_representation,
    )
    reading = _Reading(bytes_of)
    reading.data_set(events)
    return reading.joined()


def elements_at(source: ByteSource, syntax_uid: str, location: Location) -> dict[int, bool]:
    """The elements of the data set, or of an item of it, and whether their VRs let them be signed
    (C.12.1.1.3.1.1). Raises LocalError where there is no such item, PeerError for what is damaged.
    """
    syntax = encoding_of(syntax_uid)
    events = elements(
        source,
        syntax,
        through_bulk=True,
        value_representation=tags.dictionary_value_representation,
    )
    place = Place()
    found: dict[int, bool] = {}
    is_there = not location
    last = 0
    for event in events:
        is_there = is_there or place.location == location
        if isinstance(event, Element | SequenceStart):
            if place.is_directly_in(location):
                last = event.tag
                found[last] = True
            if event.vr == "UN" or event.vr not in VALUE_REPRESENTATIONS:
                inside = place.location[: len(location)] == location
                if inside and last in found:
                    found[last] = False
        place.follow(event)
    if not is_there:
        raise LocalError(f"There is no item {described(location)}.", clause="PS3.3 C.12.1.1.3")
    return found


class _Reading:
    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._read = 0
        self._signatures: list[StoredSignature] = []
        self._parameters: dict[tuple[Location, int], Fields] = {}

    def data_set(self, events: Iterator[Event]) -> None:
        """Walk through all of it."""
        place = Place()
        for event in events:
            if (
                isinstance(event, SequenceStart)
                and event.tag in _SIGNED_ATTRIBUTES
                and event.vr == "SQ"
            ):
                self._sequence(event.tag, events, place.location, event.depth)
            else:
                place.follow(event)

    def joined(self) -> list[StoredSignature]:
        for each in self._signatures:
            number = each.fields.number
            if number is not None:
                each.parameters = self._parameters.get((each.location, number))
        return self._signatures

    def _sequence(self, tag: int, events: Iterator[Event], location: Location, depth: int) -> None:
        """The items of one of the two sequences, its end included."""
        current = Fields()
        for event in events:
            if isinstance(event, SequenceEnd) and event.depth == depth:
                return
            if isinstance(event, ItemStart) and event.depth == depth:
                current = Fields(event.number)
                if tag == tags.DIGITAL_SIGNATURES_SEQUENCE:
                    self._add(StoredSignature(location, event.number, current))
            elif isinstance(event, SequenceStart):
                self._nested(event, events, current)
            elif isinstance(event, Element) and event.length != UNDEFINED_LENGTH:
                current.values[event.tag] = self._value(event)
                if event.tag == MAC_ID_NUMBER and tag == tags.MAC_PARAMETERS_SEQUENCE:
                    number = current.number
                    if number is not None:
                        self._parameters.setdefault((location, number), current)

    def _nested(self, start: SequenceStart, events: Iterator[Event], current: Fields) -> None:
        """A sequence within an item: of the purpose, what it means is of interest."""
        is_purpose = start.tag == DIGITAL_SIGNATURE_PURPOSE_CODE_SEQUENCE
        for event in events:
            if isinstance(event, SequenceEnd) and event.depth == start.depth:
                return
            if is_purpose and isinstance(event, Element) and event.tag == CODE_MEANING:
                current.purpose = self._value(event).decode("utf-8", "replace").strip(" \0")

    def _add(self, signature: StoredSignature) -> None:
        if len(self._signatures) >= MOST_SIGNATURES:
            raise _too_many("signatures", MOST_SIGNATURES)
        self._signatures.append(signature)

    def _value(self, element: Element) -> bytes:
        value = read_value(self._source, element, limits=_LIMITS)
        self._read += len(value)
        if self._read > _MOST_READ:
            raise _too_many("bytes in signatures", _MOST_READ)
        if element.little_endian:
            return value
        return swap(tags.dictionary_value_representation(element.tag), value)


def _too_many(what: str, limit: int) -> PeerError:
    return PeerError(
        f"The object has more {what} than are looked at.",
        clause="PS3.3 C.12.1.1.3",
        limit=limit,
        reaction=StatusReaction(CANNOT_UNDERSTAND, "Too many digital signatures"),
    )
