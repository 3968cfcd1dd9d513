"""When the frames of an image were, by one of the attributes of PS3.4 Y.3.2.1.3."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import accumulate

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource
from agent.dataset.head import scan_head
from agent.dataset.reader import Element, ItemStart, SequenceStart, elements, read_exactly
from agent.dataset.transfer_syntaxes import TransferSyntax

_FRAME_TIME = 0x0018_1063
_FRAME_TIME_VECTOR = 0x0018_1065
_FRAME_DELAY = 0x0018_1066
_FRAME_REFERENCE_DATE_TIME = 0x0018_9151
_FRAME_CONTENT_SEQUENCE = 0x0020_9111
_PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE = 0x5200_9230
_LOOKED_AT = frozenset(
    (_FRAME_TIME, _FRAME_TIME_VECTOR, _FRAME_DELAY, tags.CONTENT_DATE, tags.CONTENT_TIME)
)
_LONGEST_DATE_TIME = 26


class FrameTimes:
    """`seconds` are those of each frame after Content Time, None where the image does not tell;
    `is_cine` says that a constant or a vector of increments told it, `by_vector` which."""

    def __init__(self, source: ByteSource, syntax: TransferSyntax, frames: int) -> None:
        values = scan_head(source, syntax, _LOOKED_AT).values
        self._source = source
        self._syntax = syntax
        self.seconds: list[float] | None = None
        increments = _numbers(values.get(_FRAME_TIME_VECTOR, b""))
        step = _numbers(values.get(_FRAME_TIME, b""))
        self.by_vector = len(increments) == frames > 1
        if self.by_vector:
            # The first increment is that before the first frame: 0 (PS3.3 C.7.6.5).
            self.seconds = [each / 1000 for each in accumulate([0.0, *increments[1:]])]
        elif step and step[0] >= 0:
            self.seconds = [number * step[0] / 1000 for number in range(frames)]
        self.is_cine = self.seconds is not None
        if self.seconds is not None:
            delay = (_numbers(values.get(_FRAME_DELAY, b"")) or [0.0])[0] / 1000
            self.seconds = [each + delay for each in self.seconds]
            return
        begun = _moment(
            values.get(tags.CONTENT_DATE, b"").strip(b" \0")
            + values.get(tags.CONTENT_TIME, b"").strip(b" \0")
        )
        moments = self._references()
        if begun is not None and len(moments) == frames and None not in moments:
            self.seconds = [(each - begun).total_seconds() for each in moments if each is not None]

    def _references(self) -> list[datetime | None]:
        """Frame Reference DateTime of each frame."""
        found: list[datetime | None] = []
        top = inner = 0
        for event in elements(self._source, self._syntax):
            if isinstance(event, SequenceStart):
                if not event.depth:
                    top = event.tag
                elif event.depth == 1:
                    inner = event.tag
            elif top != _PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE:
                continue
            elif isinstance(event, ItemStart) and not event.depth:
                found.append(None)
            elif (
                isinstance(event, Element)
                and inner == _FRAME_CONTENT_SEQUENCE
                and event.tag == _FRAME_REFERENCE_DATE_TIME
                and event.length <= _LONGEST_DATE_TIME
                and found
            ):
                found[-1] = _moment(read_exactly(self._source, event.value_offset, event.length))
        return found


def _numbers(raw: bytes) -> list[float]:
    """The values of a DS; none where one of them is no number."""
    try:
        return [float(each) for each in raw.strip(b" \0").split(b"\\")] if raw.strip() else []
    except ValueError:
        return []


def _moment(raw: bytes) -> datetime | None:
    """A DT, or a DA with a TM behind it; an offset from UTC is left aside, as Content Time has
    none of its own."""
    text = raw.decode("ascii", "replace").strip(" \0")
    for sign in "+-":
        text = text.partition(sign)[0]
    whole, _, fraction = text.partition(".")
    try:
        moment = datetime.strptime(whole.ljust(14, "0"), "%Y%m%d%H%M%S")
        return moment + timedelta(microseconds=int(fraction.ljust(6, "0")[:6] or "0"))
    except ValueError:
        return None
