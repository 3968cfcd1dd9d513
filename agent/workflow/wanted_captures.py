"""What is to be captured: stills, bursts of them, clips, and what was before."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.errors import LocalError
from agent.objects.description import ExaminationIdentity
from agent.quoting import quoted
from agent.workflow.capture_settings import Exposure

ALL = "all"
"""As `last`: all that is kept."""

_MOST_OBJECTS = 10_000
_LONGEST = 86400.0


@dataclass(frozen=True, slots=True)
class WantedCaptures:
    """`stills` single images, `interval` seconds from one to the next; `clips` of so many `frames`
    each, or of so many `seconds`; and, before all of them, a clip of the `last` seconds.

    `interval` 0 is as they come; `seconds` 0 counts frames; `last` 0 is none, infinite is all that
    is kept. Raises LocalError for what is no such thing.
    """

    stills: int = 1
    interval: float = 0.0
    clips: int = 0
    frames: int = 25
    seconds: float = 0.0
    last: float = 0.0

    def __post_init__(self) -> None:
        wrong = None
        if min(self.stills, self.clips) < 0 or not 0 < self.objects <= _MOST_OBJECTS:
            wrong = "there are 1 to 10000 objects"
        elif self.clips and not self.seconds and self.frames < 1:
            wrong = "a clip has at least one frame"
        elif not (0 <= self.interval <= _LONGEST and 0 <= self.seconds <= _LONGEST):
            wrong = "times are from 0 to 86400 seconds"
        elif not self.last >= 0:
            wrong = "what was before is a time"
        if wrong is not None:
            raise LocalError(f"this cannot be captured: {wrong}", value=self)

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> WantedCaptures:
        """What a request by the names of the fields asks for; others are passed over. With `last`
        and nothing else there is no still."""
        last = request.get("last")
        try:
            return cls(
                int(request.get("stills", 0 if last else 1)),
                float(request.get("interval", 0)),
                int(request.get("clips", 0)),
                int(request.get("frames", 25)),
                float(request.get("seconds", 0)),
                math.inf if last == ALL else float(last or 0),
            )
        except (TypeError, ValueError) as error:
            raise LocalError(f"this cannot be captured: {quoted(error)}") from error

    @property
    def objects(self) -> int:
        return self.stills + self.clips + bool(self.last)

    def exposures(
        self, identity: ExaminationIdentity, first: int, new_uid: Callable[[], str]
    ) -> Iterator[Exposure]:
        """One for each object, in order, numbered from `first`."""
        number = first
        if self.last:
            yield Exposure(identity, new_uid(), number, last=self.last)
            number += 1
        for index in range(self.stills):
            after = index * self.interval if self.interval else None
            yield Exposure(identity, new_uid(), number + index, after=after)
        number += self.stills
        frames = 0 if self.seconds else self.frames
        for index in range(self.clips):
            yield Exposure(identity, new_uid(), number + index, frames=frames, seconds=self.seconds)
