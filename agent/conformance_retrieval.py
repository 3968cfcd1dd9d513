"""What the conformance statement says of retrieval (PS3.4 C.4.2, C.4.3, C.6, Y.6.1.2, Z.6.1.2)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.conformance_sections import section
from agent.services.retrieval_services import SERVICES

_MOVES = ("move", "instance-move")
_OF_FRAMES = ("instance-move", "instance-get")
_WITHOUT_BULK_DATA = "get-without-bulk-data"


def retrieval(entity: Entity, configuration: Configuration) -> Iterator[str]:
    """The section of an entity from which something can be retrieved, as lines of Markdown."""
    offered = {each.name for each in SERVICES if entity.services_of(each.name, "scp")}
    if not offered:
        return
    rows = _rows(entity, configuration, offered)
    yield from section("Retrieval as SCP (PS3.4 C.4.2.3, C.4.3.3)", rows)
    yield ""
    yield "| status | meaning |"
    yield "|---|---|"
    yield from _statuses(offered)


def _rows(
    entity: Entity, configuration: Configuration, offered: set[str]
) -> Iterator[tuple[str, str]]:
    answers = entity.retrieval
    yield (
        "Identifier",
        "unique keys; lists of UIDs at the levels STUDY, SERIES and IMAGE; what is no unique key of"
        " the model is passed over",
    )
    yield (
        "Relational retrieval (C.5.3)",
        "agreed to where it is proposed" if answers.relational else "not supported",
    )
    yield "Enhanced Multi-Frame Image Conversion", "not supported: byte 2 is answered 0"
    yield "Alternate representations", "none: each instance has one encoding"
    yield "Priority", "not regarded; sub-operations have that of the request"
    yield "Storage SOP classes of sub-operations", "those of the instances; all of Table B.5-1"
    if offered - set(_MOVES):
        yield (
            "Role selection of a C-GET (C.5.3)",
            "every Storage SOP class is accepted with the requestor as SCP"
            if entity.role_selection
            else "switched off: no sub-operation of a C-GET succeeds",
        )
    yield (
        "Transfer syntaxes of sub-operations",
        "that of the instance; where the peer does not take it, another that it takes and that can"
        " be made of it without loss",
    )
    yield "Retrievals at once", f"{answers.at_once}, of one caller {answers.at_once_per_caller}"
    if offered & set(_MOVES):
        yield "Move destinations", _destinations(entity, configuration)
        yield (
            "Associations of a C-MOVE",
            "one of its own, released before the final response; more, one after the other, where"
            " the instances need more than 128 contexts",
        )
        yield "Extended negotiation, roles", "as Storage SCU (PS3.4 B.4.3.1)"
    yield (
        "After an object that failed",
        "the others are sent" if answers.on_failure == "go-on" else "nothing more is sent: A702H",
    )
    yield (
        "Association of the request is lost",
        "its sub-operations end; an object under way is aborted",
    )
    yield "Pending responses", "after each sub-operation; of more than 100, two a second"
    yield "Counters", "of more than 65535, 65535 is told (US)"
    yield "Failed SOP Instance UID List", "all that failed, up to 64 KiB in explicit VR, else 1 MiB"
    if offered & set(_OF_FRAMES):
        yield from _frames()
    if _WITHOUT_BULK_DATA in offered:
        yield "Private attributes, without bulk data (Z.1.3)", "all are sent"


def _destinations(entity: Entity, configuration: Configuration) -> str:
    names = entity.retrieval.destinations or tuple(
        each.name for each in configuration.peers if "storage" in each.services
    )
    titles = [each.title for each in configuration.peers if each.name in names and each.addresses]
    return ", ".join(titles) or "none is configured"


def _frames() -> Iterator[tuple[str, str]]:
    """Y.6.1.2.2 wants the transformations stated."""
    yield (
        "Frames (Y.3.3): levels and keys",
        "IMAGE and FRAME; Simple Frame List, Calculated Frame List, Time Range",
    )
    yield (
        "Frames: the new instance",
        "same class, study and series; SOP Instance UID follows from the image and the frames, so"
        " that the same request gives the same instance; frames as they are stored",
    )
    yield (
        "Frames: attributes brought in line",
        "Number of Frames, Per-Frame Functional Groups, Frame Time, Frame Time Vector, Frame Delay,"
        " Frame Increment Pointer, Representative Frame Number, vectors of multi-frame SC, NM and"
        " XA; Frame Extraction Sequence and Contributing Equipment get an item",
    )
    yield (
        "Frames: attributes left out",
        "private ones, Concatenation, Pixel Data Provider URL, multi-frame overlays, masks, trims,"
        " Frame Numbers of Interest, R Wave Pointer, Instance Creation, digital signatures",
    )
    yield (
        "Frames: not extracted",
        "of single-frame classes, TILED_FULL images and RT Dose (AA01H); of video, and where frames"
        " share bytes (AA02H)",
    )


def _statuses(offered: set[str]) -> Iterator[str]:
    yield "| 0000H | all sub-operations succeeded, or nothing matched |"
    yield "| A701H | the index cannot be read |"
    yield "| A702H | no sub-operation succeeded, or the rest was given up |"
    if offered & set(_MOVES):
        yield "| A801H | Move Destination is none of the configured ones |"
    yield "| A900H | the identifier does not fit the information model |"
    if offered & set(_OF_FRAMES):
        yield "| AA00H | none of the frames, or no such instance |"
        yield "| AA01H, AA02H | the frames of this instance cannot be an instance of their own |"
        yield "| AA03H | the times of the frames are not known |"
        yield "| AA04H | not one instance and one frame key, or frames that do not increase |"
    yield "| B000H | some sub-operations failed, or ended with a warning |"
    yield "| C000H | the identifier cannot be read |"
    yield "| FE00H | cancelled |"
