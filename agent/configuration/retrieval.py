"""How an entity answers C-MOVE and C-GET (PS3.4 C.4.2, C.4.3, Y, Z)."""

from __future__ import annotations

from agent.configuration.key import key, section
from agent.configuration.kinds import Choice, Flag, ListOf, Text, count, duration


@section
class RetrievalAnswers:
    """What others may retrieve, where to, and how much at once."""

    destinations: tuple[str, ...] = key(
        ListOf(Text(64)),
        "peers to which objects may be moved (C-MOVE)",
        default=(),
        default_text="all with an address and the service storage",
    )
    at_once: int = key(
        count(1, 1024), "retrievals that are performed at once; others wait their turn", default=8
    )
    at_once_per_caller: int = key(
        count(1, 1024), "of them at once for one calling AE title", default=4
    )
    on_failure: str = key(
        Choice("go-on", "stop"),
        "whether the rest is sent after an object that failed (PS3.4 C.4.2.3.1), or not",
        default="go-on",
    )
    relational: bool = key(
        Flag(),
        "agree to relational retrieval where it is negotiated (PS3.4 C.5.3.1)",
        default=True,
    )
    grace: float = key(
        duration(0, 3600),
        "after a cancel, how long an object that is under way may take to be finished; then the "
        "association to the destination is aborted",
        default=5.0,
    )
