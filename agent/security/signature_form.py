"""The stream of bytes of which the MAC of a signature is made (PS3.3 C.12.1.1.3.1.2).

A data set passes once; each signature in it, at whatever level, takes of it what it is over.
Memory: a piece of 64 KiB, and 200 bytes for each open sequence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource
from agent.dataset.conversion import Replacement, present, skip_over
from agent.dataset.element_encoding import encode_element, encode_header, encode_tag
from agent.dataset.reader import Element, Event, ItemEnd, ItemStart, SequenceEnd, SequenceStart
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    TransferSyntax,
    encoding_of,
)
from agent.dataset.value_representations import encode_numbers
from agent.errors import LocalError
from agent.security.signature_place import Location
from agent.security.signature_terms import MAC_ALGORITHMS, NOT_IN_THE_MAC

_LENGTH_TO_END = 0x0008_0001
_SMALL = 64
"""Elements so short are read even where nobody signs them: they may decide about other VRs."""


def is_signable(tag: int) -> bool:
    """Whether the attribute may be signed at all (C.12.1.1.3.1.1), whatever its VR."""
    group, number = tag >> 16, tag & 0xFFFF
    return (
        group >= 8
        and number != 0
        and group != 0xFFFA
        and tag not in (_LENGTH_TO_END, tags.MAC_PARAMETERS_SEQUENCE)
        and tag not in (tags.DATA_SET_TRAILING_PADDING, tags.ITEM_DELIMITATION)
    )


@dataclass(eq=False)
class Mac:
    """A MAC on its way: over the elements with these tags of the data set or item at `location`.

    `item` is the number of the signature's own item there, 0 where it has none yet. `unknown` tells
    of an element that was met and whose VR nobody knows.
    """

    location: Location
    elements: Collection[int]
    algorithm: str
    item: int = 0
    unknown: str = ""
    _hash: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError where OpenSSL does not have the algorithm."""
        digest = MAC_ALGORITHMS[self.algorithm].digest
        self._hash = hashlib.new(digest, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    def digest(self) -> bytes:
        made: bytes = self._hash.digest()
        return made


class SignatureForm:
    """An `ElementWriter` that gives bytes to MACs: sequences, items and fragments have no length
    there, and items no end."""

    def __init__(self, syntax: TransferSyntax) -> None:
        self._syntax = syntax
        self._little = syntax.little_endian
        self._padding = b""
        self.takers: Sequence[Mac] = ()
        """Who takes what is written now."""

    def element(self, tag: int, vr: str, value: bytes) -> None:
        self._emit(encode_element(tag, vr, value, self._syntax))

    def begin_value(self, tag: int, vr: str, length: int) -> None:
        if vr == "UN":
            self.meet_unknown(tag)
        self._emit(encode_header(tag, vr, length, self._syntax))

    def value(self, data: bytes) -> None:
        self._emit(data)

    def end_value(self) -> None:
        pass

    def begin_sequence(self, tag: int) -> None:
        self._emit(encode_tag(tag, self._little) + b"SQ\0\0")

    def begin_item(self) -> None:
        self._emit(encode_tag(tags.ITEM, self._little))

    def end_item(self) -> None:
        pass

    def end_sequence(self) -> None:
        self._emit(encode_tag(tags.SEQUENCE_DELIMITATION, self._little))

    def begin_fragments(
        self, offsets: Sequence[int] = (), *, tag: int = tags.PIXEL_DATA, vr: str = "OB"
    ) -> None:
        self._emit(encode_tag(tag, self._little) + vr.encode() + b"\0\0")
        self.begin_item()
        self._emit(encode_numbers("UL", offsets, little_endian=self._little))

    def begin_fragment(self, length: int) -> None:
        self.begin_item()
        self._padding = b"\0" * (length % 2)

    def fragment_data(self, data: bytes) -> None:
        self._emit(data)

    def end_fragment(self) -> None:
        self._emit(self._padding)

    def end_fragments(self) -> None:
        self.end_sequence()

    def close(self) -> None:
        pass

    def meet_unknown(self, tag: int) -> None:
        """An element whose VR nobody knows is to be signed."""
        for taker in self.takers:
            taker.unknown = taker.unknown or tags.format_tag(tag)

    def _emit(self, data: bytes) -> None:
        for taker in self.takers:
            taker.update(data)


@dataclass(slots=True)
class _Level:
    """The data set, an item, or a sequence (then `tag` is its own): who takes what of it."""

    location: Location
    takers: Sequence[Mac]
    """Who takes all of it."""
    own: Sequence[Mac] = ()
    """Whose signatures stand in it: these take what they name."""
    signature: Sequence[Mac] = ()
    """Whose own item it is."""
    tag: int = 0


class _Selection:
    """Goes through a data set and says at each event who takes it."""

    def __init__(self, form: SignatureForm, macs: Sequence[Mac]) -> None:
        self._form = form
        self._macs: Mapping[Location, list[Mac]] = _by_location(macs)
        self._levels = [_Level((), (), self._macs.get((), ()))]

    def through(self, source: ByteSource, events: Iterator[Event]) -> Iterator[Event | Replacement]:
        """All but long values that nobody signs."""
        levels, form = self._levels, self._form
        for event in events:
            if isinstance(event, Element):
                form.takers = self._takers(event.tag)
                if not form.takers and event.length > _SMALL:
                    skip_over(event, events)
                    continue
            elif isinstance(event, SequenceStart):
                form.takers = self._takers(event.tag)
                if event.vr == "UN":
                    form.meet_unknown(event.tag)
                levels.append(_Level(levels[-1].location, form.takers, tag=event.tag))
            elif isinstance(event, ItemStart):
                form.takers = levels[-1].takers
                levels.append(self._item(levels[-1], event.number))
            elif isinstance(event, ItemEnd):
                levels.pop()
            elif isinstance(event, SequenceEnd):
                form.takers = levels.pop().takers
            yield event

    def _takers(self, tag: int) -> Sequence[Mac]:
        level = self._levels[-1]
        if level.signature:
            excluded = tag in NOT_IN_THE_MAC or not tag & 0xFFFF
            return () if excluded else level.signature
        if not is_signable(tag):
            return ()
        if not level.own:
            return level.takers
        return (*level.takers, *(each for each in level.own if tag in each.elements))

    def _item(self, sequence: _Level, number: int) -> _Level:
        location = (*sequence.location, (sequence.tag, number))
        if sequence.tag == tags.DIGITAL_SIGNATURES_SEQUENCE:
            here = self._macs.get(sequence.location, ())
            own = [each for each in here if each.item == number]
            return _Level(location, (), signature=own)
        return _Level(location, sequence.takers, self._macs.get(location, ()))


def _by_location(macs: Sequence[Mac]) -> dict[Location, list[Mac]]:
    found: dict[Location, list[Mac]] = {}
    for each in macs:
        found.setdefault(each.location, []).append(each)
    return found


def form_for(source_syntax: str, mac_syntax: str) -> TransferSyntax | None:
    """How elements of a data set are written for a MAC in this transfer syntax; None where it has
    no explicit VR (note 2 of C.12.1.1.3.1.2) or is not known.

    Where pixel data are encapsulated, they are signed as they are.
    """
    wanted = TRANSFER_SYNTAXES.get(mac_syntax)
    if wanted is None or not wanted.explicit_vr or wanted.deflated:
        return None
    if encoding_of(source_syntax).encapsulated:
        return encoding_of(source_syntax)
    return encoding_of(
        EXPLICIT_VR_LITTLE_ENDIAN if wanted.little_endian else EXPLICIT_VR_BIG_ENDIAN
    )


def compute_macs(
    source: ByteSource, source_syntax: str, form: SignatureForm, target: str, macs: Sequence[Mac]
) -> None:
    """Give all MACs their bytes, in one pass. Raises PeerError where the data set is damaged."""
    if not macs:
        raise LocalError("There is no MAC to be made.", clause="PS3.3 C.12.1.1.3.1.2")
    present(source, source_syntax, target, form, _Selection(form, macs).through)
