"""What is retrieved from peers into our archives, and how (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

from agent.configuration.key import key, section
from agent.configuration.kinds import Choice, Flag, ListOf, Text, count, duration, identifier


def _code() -> Text:
    return Text(16, minimum=1, pattern=r"[A-Z0-9_ ]*", what="a code string")


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
    references: bool = key(
        Flag(),
        "retrieve also the instances that presentation states and key objects refer to",
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


@section
class Prefetch:
    """Prior studies of the patients of our worklist, retrieved before they come."""

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    peers: tuple[str, ...] = key(
        ListOf(Text(64), minimum=1),
        "peers that are asked; a study that several have comes from the first of them",
        name="peer",
    )
    every: float = key(
        duration(5, 86400), "how often the worklist that we know is looked at", default=60.0
    )
    most: int = key(count(1, 1000), "studies for one patient, the latest first", default=3)
    days: int = key(count(1, 36500, zero="any"), "their greatest age in days", default=1825)
    modalities: tuple[str, ...] = key(
        ListOf(_code()),
        "Modalities in Study (0008,0061), one of which they must have",
        default=(),
        default_text="any",
    )
    body_parts: tuple[str, ...] = key(
        ListOf(_code()),
        "Body Part Examined (0018,0015), one of which a series must have",
        default=(),
        default_text="any",
    )


@section
class Precache:
    """Studies of some days, retrieved again and again: those that are not here yet."""

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    peers: tuple[str, ...] = key(
        ListOf(Text(64), minimum=1),
        "peers that are asked; a study that several have comes from the first of them",
        name="peer",
    )
    every: float = key(duration(5, 30 * 86400), "how often they are asked", default=900.0)
    days_before: int = key(count(0, 36500), "Study Date: days before today", default=1)
    days_after: int = key(count(0, 365), "days after today", default=0)
    modalities: tuple[str, ...] = key(
        ListOf(_code()),
        "Modalities in Study (0008,0061), one of which they must have",
        default=(),
        default_text="any",
    )
    most: int = key(count(1, 10_000), "answers that are taken of one peer each time", default=500)
    skip: tuple[str, ...] = key(
        ListOf(Text(64, minimum=1)),
        "Patient IDs that are passed over, with * and ?",
        default=(),
        example='["TEST*"]',
    )
