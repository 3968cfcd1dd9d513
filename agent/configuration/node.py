"""The node itself: where it keeps its state, what it says, and the limits of the whole process."""

from __future__ import annotations

from agent.configuration.key import key, section
from agent.configuration.kinds import (
    Amount,
    Choice,
    FileMode,
    Flag,
    Path,
    Text,
    UniqueIdentifier,
    count,
    duration,
    size,
)

DAY = 86400.0


@section
class Node:
    """The node as a whole."""

    name: str = key(
        Text(64, minimum=1), "what this box is called in logs and status", default="gantry"
    )
    state: str = key(
        Path(optional=False),
        "the folder for everything that must survive a restart",
        default="/var/lib/gantry",
        restart=True,
    )
    control: str = key(
        Path(),
        "the socket by which commands talk to the running node",
        default="/run/gantry/control",
        default_text="no control socket",
        restart=True,
    )
    control_mode: int = key(
        FileMode(), "permissions of the control socket", default=0o660, restart=True
    )
    control_group: str = key(
        Text(32),
        "the group that the control socket belongs to",
        default="",
        default_text="that of the process",
        restart=True,
    )
    uid_root: str = key(
        UniqueIdentifier(maximum=43),
        "the root under which new UIDs are made",
        default="",
        default_text="2.25 (a UUID as a number, PS3.5 B.2)",
    )
    implementation_class_uid: str = key(
        UniqueIdentifier(),
        "the Implementation Class UID of associations and files (PS3.7 D.3.3.2)",
        default="",
        default_text="Gantry's own",
    )
    implementation_version_name: str = key(
        Text(16, pattern=r"[\x20-\x7e]*", what="at most 16 characters of ASCII"),
        "the Implementation Version Name",
        default="",
        default_text="Gantry's name and version",
    )
    drain: float = key(
        duration(0, 600), "after SIGTERM, the time for running associations to end", default=20.0
    )


@section
class Log:
    """Log events: one line each, to standard error."""

    level: str = key(
        Choice("error", "warning", "notice", "info", "debug"),
        "the least severe level that is shown; only debug may hold patient data",
        default="info",
    )
    format: str = key(Choice("text", "json"), "the form of a line", default="text")


@section
class Metrics:
    """Metrics in the text form of Prometheus."""

    file: str = key(
        Path(),
        "a file that is written anew each interval",
        default="",
        default_text="none; the control socket always gives them",
        example='"/run/gantry/metrics.prom"',
    )
    interval: float = key(duration(1, 3600), "time between two writings", default=15.0)


@section
class LoopBudget:
    """The event loop."""

    turn_budget: float = key(
        duration(0.001, 1),
        "CPU time that one task may use before others get their turn (0.015 suits a Raspberry Pi "
        "4); a turn ends with the step that uses it up",
        default=0.003,
        restart=True,
    )
    lag_budget: float = key(
        duration(0.001, 10),
        "a turn that starts later than this is counted as late",
        default=0.05,
        restart=True,
    )


@section
class Workers:
    """Worker processes, started when needed."""

    general: int = key(
        count(1, 64), "how many at once for disks and names", default=2, restart=True
    )
    codecs: int = key(
        count(1, 64, zero="one less than there are processors"),
        "how many objects at once are converted for each peer; one at least",
        default=0,
        restart=True,
    )
    idle: float = key(
        duration(1, DAY), "an idle worker ends after this time", default=30.0, restart=True
    )


@section
class Clock:
    """A clock that may not be set: a Raspberry Pi has no battery for it."""

    earliest: str = key(
        Text(10, pattern=r"20[0-9]{2}-[01][0-9]-[0-3][0-9]", what="a date such as 2025-01-31"),
        "before this date the clock is held to be unset",
        default="2025-01-01",
    )
    wait: float = key(
        duration(1, 3600, zero="no waiting"),
        "at start, the time to wait for the clock to be set before associations are opened",
        default=0.0,
    )
    server: bool = key(
        Flag(),
        "the clock is held to be certain only while a time server disciplines it, as IHE "
        "Consistent Time wants; else a hardware clock with a battery is enough",
        default=False,
    )
    timezone_offset: bool = key(
        Flag(), "write Timezone Offset From UTC (0008,0201) into created objects", default=True
    )


@section
class Limits:
    """What peers can take of the whole node: all that a peer can grow ends at one of these."""

    associations: int = key(
        count(1, 65535), "accepted associations, over all entities", default=400
    )
    waiting_connections: int = key(
        count(1, 65535), "connections on which no A-ASSOCIATE-RQ has come yet", default=1024
    )
    waiting_connections_per_host: int = key(
        count(1, 65535, zero="no limit of its own"),
        "the same, from one address: one host alone keeps nobody else out",
        default=512,
    )
    association_request: int = key(
        size(8192, 2**24), "the length of an A-ASSOCIATE-RQ or -AC PDU", default=2**20
    )
    command_set: int = key(size(1024, 2**24), "the length of a DIMSE command set", default=2**16)
    data_set_in_memory: int = key(
        size(4096, 2**28),
        "the length of a data set that is no composite object: identifiers, N-SET, N-CREATE",
        default=2**20,
    )
    object_size: int = key(
        size(2**20, zero="as much as the archive takes"),
        "the length of a composite object",
        default=0,
    )
    head: int = key(
        size(2**16, 2**28),
        "the part of a data set that stands before its pixel data",
        default=2**24,
    )
    memory: int = key(
        size(2**24, zero="not watched"),
        "proportional memory of all processes above which new associations are refused",
        default=0,
    )
    connections_per_second: int = key(
        Amount(1, 10**6, zero="no limit"), "new connections accepted a second", default=0
    )
    connections_per_second_per_host: int = key(
        count(1, 10**6, zero="no limit of its own"),
        "new connections accepted a second from one address; more are reset",
        default=0,
    )
