"""A sequence of defined length that somebody has written as UN: looked into all the same.

The value of a UN is in Implicit VR Little Endian, whatever is around it (PS3.5 6.2.2 note 2).
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.dataset.byte_source import ByteSource
from agent.dataset.element_encoding import encode_header
from agent.dataset.reader import (
    Element,
    Event,
    FragmentStart,
    ItemStart,
    SequenceStart,
    elements,
)
from agent.dataset.tags import dictionary_value_representation
from agent.dataset.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN, encoding_of

_HEADER_LENGTH = 8


def sequence_in_unknown(source: ByteSource, element: Element) -> Iterator[Event]:
    """The events of the sequence in the value of an element, at their places in `source`.

    Raises PeerError where the value is no sequence. Memory: one block of 8 KiB.
    """
    implicit = encoding_of(IMPLICIT_VR_LITTLE_ENDIAN)
    for event in elements(
        _WithHeader(encode_header(element.tag, "SQ", element.length, implicit), source, element),
        implicit,
        through_bulk=True,
        value_representation=dictionary_value_representation,
    ):
        yield _moved(event, element.value_offset - _HEADER_LENGTH, element.depth)


class _WithHeader:
    """The value of an element behind a header that says that it is a sequence."""

    def __init__(self, header: bytes, source: ByteSource, element: Element) -> None:
        self._header = header
        self._source = source
        self._element = element

    def read(self, position: int, length: int) -> bytes:
        if position < _HEADER_LENGTH:
            return self._header[position : position + length]
        position -= _HEADER_LENGTH
        left = self._element.length - position
        return self._source.read(self._element.value_offset + position, max(0, min(length, left)))


def _moved(event: Event, by: int, deeper: int) -> Event:
    """An event of a part of a data set as one of the whole."""
    depth = event.depth + deeper
    if isinstance(event, Element | SequenceStart | ItemStart):
        return event._replace(
            depth=depth, offset=event.offset + by, value_offset=event.value_offset + by
        )
    if isinstance(event, FragmentStart):
        return event._replace(depth=depth, value_offset=event.value_offset + by)
    return event._replace(depth=depth, offset=event.offset + by)
