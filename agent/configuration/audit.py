"""The audit trail: which messages are made, and where they go (PS3.15 A.5 to A.7)."""

from __future__ import annotations

from agent.configuration.connection import DAY, Retry
from agent.configuration.key import key, section
from agent.configuration.kinds import (
    Amount,
    Choice,
    Flag,
    ListOf,
    Table,
    Tables,
    Text,
    duration,
    size,
)
from agent.configuration.syslog import SyslogReceiver

AUDIT_EVENTS = (
    "application",
    "audit-log-used",
    "begin-transferring",
    "export",
    "import",
    "accessed",
    "transferred",
    "deleted",
    "network-entry",
    "query",
    "security-alert",
    "user-authentication",
    "order-record",
    "patient-record",
    "procedure-record",
)
"""The messages of PS3.15 A.5.3, in its order."""


@section
class AuditRepository(SyslogReceiver):
    """One receiver of audit messages. Each gets every message, in order, at its own pace."""

    enabled: bool = key(Flag(), "false switches it off", default=True)
    facility: int = key(
        Amount(0, 23), "the facility of RFC 5424; 10 is what PS3.15 A.6 wants", default=10
    )
    byte_order_mark: bool = key(
        Flag(), "UTF-8 is marked as such, as RFC 5424 6.4 wants it", default=True
    )
    largest: int = key(
        size(2048, 2**20, zero="65,507 over UDP, else without limit"),
        "bytes of a syslog message at most: what is longer is not sent, and that is told. Messages "
        "are below 8 KiB, but for a query with a long identifier",
        default=0,
    )
    confirm: float = key(
        duration(1, 3600),
        "over TLS, how long the connection must have lived after the receiver's kernel has "
        "acknowledged a message, before it is never sent again: RFC 5425 knows no acknowledgement, "
        "and a receiver that dies takes with it what it had not read",
        default=10.0,
    )
    retry: Retry = key(
        Table(Retry),
        "how it is tried again when it is away; there is no end to it",
        default=Retry(first=1.0, longest=60.0),
    )


@section
class Audit:
    """The audit trail. It is on when there is a repository.

    Messages wait in a queue on disk, in `audit` below the state folder, and survive a crash.
    """

    source: str = key(
        Text(256),
        "the Audit Source ID: what this box is called in messages",
        default="",
        default_text="the name of the node",
    )
    site: str = key(
        Text(256), "the Audit Enterprise Site ID", default="", example='"General Hospital"'
    )
    source_type: str = key(
        Choice("1", "2", "3", "4", "5", "6", "7", "8", "9"),
        "the Audit Source Type Code (PS3.15 A.5.1.2.1): 2 is a data acquisition device, 4 a server",
        default="2",
    )
    address: str = key(
        Text(253),
        "the name or address of this box in messages, the same in all (PS3.15 A.5.2.4)",
        default="",
        default_text="the name of the host",
    )
    left_out: tuple[str, ...] = key(
        ListOf(Choice(*AUDIT_EVENTS)),
        "messages of PS3.15 A.5.3 that are not made",
        default=(),
        default_text="all are made",
        example='["query"]',
    )
    size: int = key(size(2**20), "bytes that the queue takes at most", default=64 * 2**20)
    when_full: str = key(
        Choice("oldest", "newest", "refuse"),
        "what gives way when messages wait and there is no room: the oldest, the newest, or work "
        "itself: new associations are refused until there is room. All three are told in the log",
        default="oldest",
    )
    keep: float = key(
        duration(60, zero="no longer than needed"),
        "how long messages that every repository has stay, for `gantry audit`",
        default=7 * DAY,
    )
    gather: float = key(
        duration(0.1, 600),
        "objects of one association and study are one message; it is made when so long none more "
        "came, or the association ended",
        default=10.0,
    )
    longest: float = key(
        duration(1, DAY),
        "the message of what goes on longer is made after this time",
        default=300.0,
    )
    repositories: tuple[AuditRepository, ...] = key(
        Tables(AuditRepository), "receivers", default=(), name="repository"
    )
