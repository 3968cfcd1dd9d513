"""What is retrieved from a peer into our archives, and how (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

from agent.configuration.key import key, section
from agent.configuration.kinds import Choice, Flag, Text, duration


@section
class Fetch:
    """How objects are retrieved from a peer that offers `get` or `move`."""

    by: str = key(
        Choice("get", "move"), "what is used of a peer that offers both services", default="get"
    )
    entity: str = key(
        Text(64),
        "the local entity to which it moves objects, under the AE title of which it must know us; "
        "its archive keeps what comes",
        default="",
        default_text="the one in whose name we call it",
    )
    instance_query: bool = key(
        Flag(),
        "ask a peer that offers `query` which instances there are, and for those that did not "
        "come; false: only its last response tells whether all came",
        default=True,
    )
    grace: float = key(
        duration(0, 3600),
        "how long objects may still come after the final response",
        default=5.0,
    )
    patience: float = key(
        duration(1, 86400), "it is given up when nothing comes for so long", default=120.0
    )
