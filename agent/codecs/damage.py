"""The error for a compressed frame that is not what it should be."""

from __future__ import annotations

from agent.dataset.byte_source import CANNOT_UNDERSTAND
from agent.errors import PeerError, StatusReaction


class FrameDamaged(PeerError):
    """A compressed frame is truncated, corrupt, or not what the object's attributes say.

    `position` is the byte of the frame's stream where that was found; `frame` counts from 1, None
    until `of_frame` has told it. Status C000H: the object cannot be understood.
    """

    def __init__(
        self, message: str, position: int, *, clause: str, frame: int | None = None
    ) -> None:
        super().__init__(
            message,
            clause=clause,
            value=position,
            reaction=StatusReaction(CANNOT_UNDERSTAND, message[:64]),
        )
        self.position = position
        self.frame = frame

    def of_frame(self, number: int) -> FrameDamaged:
        """The same error, with the number of the frame."""
        return FrameDamaged(self.message, self.position, clause=self.clause, frame=number)

    @property
    def marked(self) -> str:
        place = (
            f"byte {self.position}"
            if self.frame is None
            else (f"frame {self.frame}, byte {self.position}")
        )
        return f"{super().marked}, at {place}"
