"""Archives: where objects are kept, how many, and when they may go."""

from __future__ import annotations

from agent.configuration.key import key, section
from agent.configuration.kinds import (
    Choice,
    Flag,
    Path,
    Table,
    Text,
    duration,
    fraction,
    identifier,
    size,
)


@section
class Retention:
    """When objects may be deleted. Objects with unfinished jobs never are."""

    delete: str = key(
        Choice("never", "for-space", "by-age"),
        "never; when space is needed, down to the low watermark; or also when they are old",
        default="never",
    )
    after: str = key(
        Choice("delivered", "committed", "received"),
        "what must have happened before: delivered to every destination, and storage committed by "
        "it; or nothing",
        default="delivered",
    )
    age: float = key(
        duration(0), "with by-age: delete what is older than this", default=30 * 86400.0
    )
    keep: float = key(duration(0), "never delete what is younger than this", default=3600.0)
    order: str = key(
        Choice("oldest", "least-recently-used"),
        "what goes first when space is needed",
        default="oldest",
    )
    examinations: float = key(
        duration(3600, 3650 * 86400, zero="for ever"),
        "how long an examination that is over can be listed, shown and gone on with, once all of "
        "it is reported and delivered; its objects go by the keys above",
        default=90 * 86400.0,
    )
    commitments: float = key(
        duration(3600, 3650 * 86400, zero="for ever"),
        "how long Transaction UIDs of storage commitment are known: of those asked of us (PS3.4 "
        "J.3.2), and of our own that nothing waits for",
        default=30 * 86400.0,
    )


@section
class Archive:
    """A spool of objects with its index."""

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    description: str = key(Text(256), "for people", default="")
    folder: str = key(
        Path(),
        "where it lies",
        default="",
        default_text="archive/NAME in the state folder",
        restart=True,
    )
    volume: str = key(
        Path(),
        "a mount point that must be mounted, else storage is refused with the status `volume_away`",
        default="",
        default_text="not checked",
        example='"/srv/images"',
    )
    quota: int = key(
        size(2**20, zero="the file system is the limit"), "how much it may hold", default=0
    )
    high_watermark: float = key(
        fraction(0.01, 1.0),
        "storage is refused when this part of the quota or of the file system (its bytes, or the "
        "files that it has room for) is in use",
        default=0.95,
    )
    low_watermark: float = key(
        fraction(0.0, 1.0), "where retention stops deleting for space", default=0.85
    )
    reserve: int = key(
        size(), "free bytes of the file system that are never used for objects", default=64 * 2**20
    )
    retention: Retention = key(Table(Retention), "when objects may go", default=Retention())
