"""Procedures: the worklist, the steps that are reported, and who commits to what."""

from __future__ import annotations

from agent.configuration.key import key, section
from agent.configuration.kinds import (
    ApplicationEntityTitle,
    Choice,
    Flag,
    ListOf,
    Path,
    Text,
    count,
    duration,
)

_CODE_STRING = r"[A-Z0-9_ ]*"


@section
class Worklist:
    """The worklist that we ask for as SCU, and keep so that work goes on without the network."""

    peer: str = key(Text(64), "the peer that is asked", default="", default_text="none")
    every: float = key(
        duration(5, 86400, zero="only when a person asks"),
        "how often it is asked",
        default=60.0,
    )
    station: str = key(
        ApplicationEntityTitle(optional=True),
        "Scheduled Station AE Title (0040,0001) to ask for",
        default="",
        default_text="any",
    )
    modality: str = key(
        Text(16, pattern=_CODE_STRING, what="a code string of at most 16 characters"),
        "Modality (0008,0060) to ask for",
        default="",
        default_text="any",
    )
    days_before: int = key(count(0, 365), "days before today", default=0)
    days_after: int = key(count(0, 365), "days after today", default=0)
    any_day: bool = key(Flag(), "ask for every day there is", default=False)
    fuzzy: bool = key(
        Flag(), "propose fuzzy semantic matching of names (PS3.4 K.5.1)", default=False
    )
    character_set: str = key(
        Text(64), "Specific Character Set of queries with text beyond ASCII", default="ISO_IR 192"
    )
    most: int = key(
        count(1, 100000), "entries that are taken; the query is cancelled there", default=1000
    )


@section
class WorklistAnswers:
    """The worklist that an entity answers from, as SCP."""

    folder: str = key(
        Path(),
        "where entries lie: DICOM files (.wl, .dcm) and JSON, and such folders named as a called "
        "AE title",
        default="",
        default_text="`worklist` in the state folder",
    )
    keep: float = key(
        duration(3600, 3650 * 86400, zero="for ever"),
        "how long entries that were made here are kept after their day; never one under way",
        default=30 * 86400.0,
    )
    keep_of_others: float = key(
        duration(3600, 3650 * 86400, zero="for ever"),
        "how long files that others put there are kept so",
        default=0.0,
    )


@section
class StepAnswers:
    """The performed procedure steps that are reported to an entity, as SCP."""

    forward: tuple[str, ...] = key(
        ListOf(Text(64)), "peers to which they are reported in turn", default=()
    )
    notify: tuple[str, ...] = key(
        ListOf(Text(64)), "peers that are notified of each change (PS3.4 F.9)", default=()
    )
    keep: float = key(
        duration(3600, 3650 * 86400, zero="for ever"),
        "how long one is kept after its end; never one in progress or still to be reported",
        default=30 * 86400.0,
    )


@section
class EventAnswers:
    """The events that an entity logs, as SCP (PS3.4 P)."""

    unknown_studies: bool = key(
        Flag(),
        "log the events of a study that neither archive nor worklist knows, under the UID that "
        "they give; else they are refused (C101H)",
        default=True,
    )
    unknown_patients: bool = key(
        Flag(),
        "record administrations for patients that neither archive nor worklist knows; else they "
        "are refused (C110H)",
        default=True,
    )
    operators: tuple[str, ...] = key(
        ListOf(Text(128)),
        "codes of who may add administrations, as VALUE or VALUE^SCHEME; others are refused "
        "(C10EH)",
        default=(),
        default_text="everybody",
        example='["4711^99STAFF"]',
    )


@section
class Steps:
    """The steps that we perform ourselves."""

    peers: tuple[str, ...] = key(
        ListOf(Text(64)), "peers to which they are reported", default=(), name="peer"
    )
    retrieve_title: str = key(
        ApplicationEntityTitle(optional=True),
        "Retrieve AE Title (0008,0054): where the objects of a step can be had",
        default="",
        default_text="the first peer that gets them",
    )
    location: str = key(Text(16), "Performed Location (0040,0243)", default="")
    available: tuple[str, ...] = key(
        ListOf(Text(64)),
        "peers that are notified when the objects of a step can be retrieved (PS3.4 R)",
        default=(),
    )


@section
class Commitment:
    """Whether a peer is asked to commit to what it was sent (PS3.4 J)."""

    each: str = key(
        Choice("never", "study", "object"),
        "what one request is about: all objects of a study that are waiting, or one",
        default="never",
    )
    peer: str = key(
        Text(64), "the peer that is asked", default="", default_text="the one that was sent to"
    )
    gather: float = key(
        duration(0, 86400),
        "after a delivery, the time in which more objects of the study may come",
        default=10.0,
    )
    wait: float = key(
        duration(60, 30 * 86400),
        "how long the result may take; then it is asked again",
        default=86400.0,
    )
    linger: float = key(
        duration(0, 3600),
        "how long the association is kept open for a result",
        default=60.0,
    )
    failure: str = key(
        Choice("deliver", "hold"),
        "what becomes of an object that the peer does not have: it is sent again, or held for a "
        "person",
        default="deliver",
    )
