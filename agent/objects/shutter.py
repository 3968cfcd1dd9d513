"""What a presentation state hides around the region of interest (PS3.3 C.7.6.11, C.11.12)."""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import LocalError
from agent.objects.element import Element


@dataclass(frozen=True, slots=True)
class Shutter:
    """A rectangle (left, right, top and bottom edge: columns and rows), a circle (row and column of
    its centre, radius), or both; what is outside is hidden.

    `grey` is the P-Value shown instead, 0 black to 65535 white.
    """

    rectangle: tuple[int, int, int, int] | None = None
    circle: tuple[int, int, int] | None = None
    grey: int = 0

    def elements(self, *, colour: bool) -> dict[int, Element]:
        """Both modules. Raises LocalError for a shutter without a shape."""
        shapes: list[str] = []
        made: dict[int, Element] = {}
        if self.rectangle is not None:
            shapes.append("RECTANGULAR")
            for tag, edge in zip(range(0x00181602, 0x0018160A, 2), self.rectangle, strict=True):
                made[tag] = Element("IS", edge)
        if self.circle is not None:
            shapes.append("CIRCULAR")
            made[0x00181610] = Element("IS", self.circle[:2])
            made[0x00181612] = Element("IS", self.circle[2])
        if not shapes:
            raise LocalError("A shutter has a shape.", clause="PS3.3 C.7.6.11")
        made[0x00181600] = Element("CS", tuple(shapes))
        made[0x00181622] = Element("US", self.grey)
        if colour:
            # C.10.7.1.1: L* from 0 to 65535, and a* and b* of grey in the middle of theirs.
            made[0x00181624] = Element("US", (self.grey, 0x8080, 0x8080))
        return made
