"""Which frames of an image a request means (PS3.4 Y.3.2).

Frames are counted from 1 here, as there. A request that cannot be meant is refused with AA04H; one
that means none of the image's frames with AA00H, one for times that the image does not tell with
AA03H.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from agent.dataset.attributes import Attribute, Attributes
from agent.errors import PeerError, StatusReaction

NONE_OF_THE_FRAMES_FOUND = 0xAA00
CANNOT_CREATE_OBJECT = 0xAA01
CANNOT_EXTRACT_FRAMES = 0xAA02
NOT_TIME_BASED = 0xAA03
INVALID_REQUEST = 0xAA04

SIMPLE_FRAME_LIST = 0x0008_1161
CALCULATED_FRAME_LIST = 0x0008_1162
TIME_RANGE = 0x0008_1163
FRAME_KEYS = (SIMPLE_FRAME_LIST, CALCULATED_FRAME_LIST, TIME_RANGE)

_NEARLY = 5e-7
"""Seconds by which two moments are the same: DS and DT tell microseconds at most."""


def refused(status: int, comment: str, *offending: int) -> PeerError:
    """The error of a request at FRAME level (Tables Y.4-1 and Y.4-2)."""
    return PeerError(
        comment, clause="PS3.4 Y.3.2", reaction=StatusReaction(status, comment, offending)
    )


@dataclass(frozen=True, slots=True)
class FrameSelection:
    """One frame key with its values, as they were sent."""

    key: int
    values: tuple[float, ...]

    @property
    def attribute(self) -> Attribute:
        """As the Frame Extraction Module repeats it."""
        return Attribute("FD" if self.key == TIME_RANGE else "UL", self.values)


def frame_selection_of(identifier: Attributes) -> FrameSelection:
    """The one frame key of an identifier at FRAME level. Raises PeerError with AA04H."""
    found = [each for each in FRAME_KEYS if identifier.has(each)]
    if len(found) != 1:
        raise refused(INVALID_REQUEST, "One frame key is needed, and only one", *found)
    key = found[0]
    values = identifier[key].values
    if not all(isinstance(each, int | float) for each in values):
        raise refused(INVALID_REQUEST, "The frame key holds no numbers", key)
    numbers = tuple(each for each in values if isinstance(each, int | float))
    selection = FrameSelection(key, numbers)
    _check(selection)
    return selection


def _check(selection: FrameSelection) -> None:
    """What can be said without the image."""
    key, values = selection.key, selection.values
    if key == TIME_RANGE:
        if len(values) != 2 or not 0 <= values[0] <= values[1]:
            raise refused(INVALID_REQUEST, "Time Range is no start with an end behind it", key)
    elif key == SIMPLE_FRAME_LIST:
        if values[0] < 1 or any(b <= a for a, b in pairwise(values)):
            raise refused(INVALID_REQUEST, "Simple Frame List does not increase", key)
    elif len(values) % 3 or any(
        first < 1 or last < first or step < 1 for first, last, step in _triples(values)
    ):
        raise refused(INVALID_REQUEST, "Calculated Frame List has a wrong sub-range", key)


def _triples(values: Sequence[float]) -> list[tuple[int, int, int]]:
    numbers = [int(each) for each in values]
    return list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))


def selected_frames(
    selection: FrameSelection, frames: int, times: Sequence[float] | None = None
) -> list[int]:
    """The frames that are meant, of an image with so many; at least one.

    `times` are those of the frames in seconds after Content Time, None where the image does not
    tell. Frames behind the last are passed over. Raises PeerError with AA00H, AA03H or AA04H.
    """
    if selection.key == TIME_RANGE:
        if times is None:
            raise refused(NOT_TIME_BASED, "The times of the frames are not known", TIME_RANGE)
        start, end = selection.values
        found = [
            number
            for number, moment in enumerate(times, 1)
            if start - _NEARLY <= moment <= end + _NEARLY
        ]
    elif selection.key == SIMPLE_FRAME_LIST:
        found = [int(each) for each in selection.values if each <= frames]
    else:
        found = []
        for first, last, step in _triples(selection.values):
            some = range(first, min(last, frames) + 1, step)
            if some and found and some[0] <= found[-1]:
                raise refused(
                    INVALID_REQUEST, "Calculated Frame List does not increase", selection.key
                )
            found += some
    if not found:
        raise refused(NONE_OF_THE_FRAMES_FOUND, "None of these frames is there", selection.key)
    return found
