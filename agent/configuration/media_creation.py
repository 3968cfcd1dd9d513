"""The media that an entity makes when it is asked to, as SCP (PS3.4 S)."""

from __future__ import annotations

from agent.configuration.key import key, section
from agent.configuration.kinds import Choice, ListOf, Text, count, duration, size
from agent.configuration.names import Term


@section
class MediaCreationAnswers:
    """Media Creation Management: where file-sets are put, and what may be asked for."""

    folder: str = key(
        Text(4096),
        "where they are put: a folder for each request, which appears when it is whole",
        default="",
        default_text="`media` in the state folder",
    )
    kind: str = key(
        Choice("folder", "image"),
        "file-sets as folders, or as images of discs (ISO 9660)",
        default="folder",
    )
    profile: str = key(
        Term("application profile", "media_profiles"),
        "the application profile for instances of which none was requested",
        default="STD-GEN-CD",
    )
    profiles: tuple[str, ...] = key(
        ListOf(Term("application profile", "media_profiles")),
        "application profiles that may be requested",
        default=(),
        default_text="all that can be written",
        example='["STD-GEN-CD", "STD-GEN-DVD-JPEG"]',
    )
    volume_size: int = key(
        size(1, zero="that of the profile's medium"), "bytes of one volume", default=0
    )
    copies: int = key(count(1, 999), "copies of a request at most", default=10)
    waiting: int = key(
        count(1, 100_000), "initiated requests that may wait; more are refused (0213H)", default=100
    )
    patience: float = key(
        duration(1, 30 * 86400),
        "how long it is tried again when the folder is away or full; then the request has failed",
        default=3600.0,
    )
    keep: float = key(
        duration(3600, 3650 * 86400, zero="for ever"),
        "how long the result of a request is kept; the media stay",
        default=7 * 86400.0,
    )
    keep_idle: float = key(
        duration(3600, 3650 * 86400, zero="for ever"),
        "how long a request is kept that was never initiated",
        default=86400.0,
    )
