"""What the Storage services need of whoever keeps objects: the archive, or a plain folder."""

from __future__ import annotations

from typing import Any, Protocol

from agent.archive.decision import Origin
from agent.errors import StatusReaction


class Keeping(Protocol):
    """One object on its way in: a descriptor to write the data set to."""

    @property
    def descriptor(self) -> int: ...

    def discard(self) -> None:
        """Give it up: nothing of it stays. Safe to call at any time, also twice."""


class Verdict(Protocol):
    """What became of an object, as the answer that the sender gets (PS3.4 Table B.2-1)."""

    @property
    def status(self) -> int: ...
    @property
    def comment(self) -> str: ...
    @property
    def offending_elements(self) -> tuple[int, ...]: ...


class Keeper(Protocol):
    """Keeps objects safe; `agent.archive.Archive` is one."""

    def refusal(self) -> StatusReaction | None:
        """Why no object can be taken now, asked before any data is received. Cheap."""

    def receive(self, file_meta: bytes) -> Any:
        """A `Keeping`: room for one object, its Part 10 beginning written; raises StorageError."""

    async def commit(self, reception: Any, origin: Origin) -> Verdict:
        """Make the object safe and answer; success means: on stable storage (PS3.4 B.2.2)."""
