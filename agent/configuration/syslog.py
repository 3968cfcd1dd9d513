"""A receiver of syslog: of audit messages, or of alerts."""

from __future__ import annotations

from agent.configuration.addresses import Address, address
from agent.configuration.connection import Tls
from agent.configuration.key import key, section
from agent.configuration.kinds import Choice, Path, Table, identifier


@section
class SyslogReceiver:
    """Where it is, and how it is reached."""

    name: str = key(identifier(), "its name in this configuration")
    transport: str = key(
        Choice("tls", "udp", "journal"),
        "syslog over TLS (RFC 5425, PS3.15 A.6), syslog over UDP (RFC 5426, PS3.15 A.7; what is "
        "lost on the way is lost), or the journal of this machine",
        default="tls",
    )
    address: Address | None = key(
        address(),
        "where it is: the port is 6514 for TLS, 514 for UDP by custom",
        default=None,
        default_text="none",
        example='"syslog.example.org:6514"',
    )
    tls: Tls = key(Table(Tls), "TLS", default=Tls())
    socket: str = key(Path(), "of the journal, its socket", default="/run/systemd/journal/socket")
