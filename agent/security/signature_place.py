"""Where in a data set an event stands, by sequences and numbers of items."""

from __future__ import annotations

import re

from agent.dataset import tags
from agent.dataset.conversion import Replacement
from agent.dataset.reader import Event, ItemEnd, ItemStart, SequenceEnd, SequenceStart
from agent.errors import ConfigurationError
from agent.quoting import quoted

Location = tuple[tuple[int, int], ...]
"""Where a data set or an item is: sequences and numbers of items (from 1); () is the data set."""

_STEP = re.compile(r"(?P<sequence>[^\[\]]+)\[(?P<number>\d{1,9})\]")


def described(location: Location) -> str:
    """A location for a person, items counted from 0 as dcmsign does it: (0040,A730)[0]."""
    if not location:
        return "the data set"
    return ".".join(f"{tags.format_tag(tag)}[{number - 1}]" for tag, number in location)


def location_of(text: str) -> Location:
    """A location as a person writes it: sequences by keyword or tag, items counted from 0, such as
    ContentSequence[0].ConceptNameCodeSequence[0]. Raises ConfigurationError."""
    steps: list[tuple[int, int]] = []
    for part in text.split("."):
        match = _STEP.fullmatch(part)
        if match is None:
            raise ConfigurationError(
                f"{quoted(repr(text))} is no item",
                value=text,
                way_out="Write it as ContentSequence[0], with more of it after a point.",
            )
        steps.append((tags.from_text(match["sequence"]), int(match["number"]) + 1))
    return tuple(steps)


class Place:
    """Follows the events of a data set."""

    def __init__(self) -> None:
        self._location: list[tuple[int, int]] = []
        self._sequences: list[int] = []

    def follow(self, event: Event | Replacement) -> None:
        """The event was passed."""
        if isinstance(event, SequenceStart):
            self._sequences.append(event.tag)
        elif isinstance(event, ItemStart):
            self._location.append((self._sequences[-1], event.number))
        elif isinstance(event, ItemEnd):
            self._location.pop()
        elif isinstance(event, SequenceEnd):
            self._sequences.pop()

    @property
    def location(self) -> Location:
        """The data set or item that was entered last."""
        return tuple(self._location)

    def is_directly_in(self, location: Location) -> bool:
        """Whether what comes now belongs to this data set or item, not to something within it."""
        here = len(self._sequences) == len(self._location) == len(location)
        return here and self.location == location
