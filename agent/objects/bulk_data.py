"""A stored data set without its bulk data (PS3.4 Z.1.3), in any transfer syntax of data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.dataset.byte_source import ByteSource
from agent.dataset.conversion import rewrite
from agent.dataset.reader import Element, Event, SequenceStart
from agent.dataset.writer import DataSetWriter

_BULK = frozenset((0x7FE0_0010, 0x7FE0_0008, 0x7FE0_0009, 0x0028_7FE0, 0x5600_0020, 0x0042_0011))
_OVERLAY_DATA, _CURVE_DATA, _AUDIO_SAMPLE_DATA = 0x6000_3000, 0x5000_3000, 0x5000_200C
_REPEATING = frozenset((_OVERLAY_DATA, _CURVE_DATA, _AUDIO_SAMPLE_DATA))
_WAVEFORM_SEQUENCE = 0x5400_0100
_WAVEFORM_DATA = 0x5400_1010


def is_bulk_data(tag: int) -> bool:
    """Whether Table Z.1-1 has the attribute: none of the top level goes out."""
    return tag in _BULK or tag & 0xFF01_FFFF in _REPEATING


def write_without_bulk_data(
    source: ByteSource, source_syntax: str, target_syntax: str, write: Callable[[bytes], object]
) -> None:
    """Write a data set without the attributes of Table Z.1-1, and without Waveform Data.

    Icons keep their pixel data, and nothing else is changed. Frames are never decoded, so that this
    goes from every transfer syntax into every other, save that an icon which is compressed needs an
    encapsulated one. Memory: that of `conversion`. Raises what `rewrite` does.
    """
    rewrite(
        source, source_syntax, target_syntax, write, pixel_data=_nothing, filtered=_without_bulk
    )


def _nothing(element: Element, writer: DataSetWriter) -> None:
    """What becomes of Pixel Data."""


def _without_bulk(events: Iterator[Event]) -> Iterator[Event]:
    top = 0
    for event in events:
        if isinstance(event, Element | SequenceStart) and not event.depth:
            top = event.tag
        if isinstance(event, Element):
            if not event.depth and is_bulk_data(event.tag) and event.tag != 0x7FE0_0010:
                continue
            if event.depth == 1 and top == _WAVEFORM_SEQUENCE and event.tag == _WAVEFORM_DATA:
                continue
        yield event
