"""What the box tells of by itself, to whom, and how often."""

from __future__ import annotations

from agent.configuration.addresses import Address, address
from agent.configuration.connection import DAY, Tls
from agent.configuration.key import key, section
from agent.configuration.kinds import (
    Amount,
    Choice,
    ListOf,
    Path,
    Table,
    Tables,
    Text,
    duration,
    fraction,
    identifier,
)
from agent.configuration.mail import MailServer

UNDELIVERED, CERTIFICATE, DISK, CLOCK, AWAY, FAILING, DOCTOR = ALERTS = (
    "undelivered",
    "certificate",
    "disk",
    "clock",
    "away",
    "failing",
    "doctor",
)
"""What there are alerts of."""


@section
class AlertMail(MailServer):
    """Alerts by mail. Without a host of its own it goes by the server of [mail]."""

    recipients: tuple[str, ...] = key(
        ListOf(Text(254, minimum=3), maximum=100),
        "who gets them",
        default=(),
        default_text="nobody",
        example='["imaging-support@clinic.example"]',
        name="to",
    )


@section
class AlertSyslog:
    """A receiver of alerts by syslog (RFC 5424)."""

    name: str = key(identifier(), "its name in this configuration")
    transport: str = key(
        Choice("tls", "udp", "journal"),
        "syslog over TLS (RFC 5425), over UDP (RFC 5426; what is lost on the way is lost), or the "
        "journal of this machine",
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
    facility: int = key(Amount(0, 23), "the facility of RFC 5424; 3 is a system daemon", default=3)


@section
class Alerts:
    """Alerts. They are on when there is somebody to tell.

    Each is told once when it begins, and once when it is over; what was told is remembered in the
    state folder. No alert holds patient data.
    """

    undelivered: float = key(
        duration(60, 365 * DAY), "a job that waits for longer is told", default=4 * 3600.0
    )
    disk: float = key(
        fraction(0.5), "more than this part of an archive's room in use is told", default=0.95
    )
    clock: float = key(
        duration(0, 30 * DAY), "a clock that is not certain for longer is told", default=3600.0
    )
    away: float = key(
        duration(0, 30 * DAY),
        "a device or a folder that is not there for longer is told, and work that fails for longer",
        default=900.0,
    )
    left_out: tuple[str, ...] = key(
        ListOf(Choice(*ALERTS)),
        "what is not told",
        default=(),
        default_text="all is told",
        example='["clock"]',
    )
    repeat: float = key(
        duration(60, 365 * DAY, zero="never"), "what goes on is told again after this", default=DAY
    )
    quiet: str = key(
        Text(
            11,
            pattern=r"([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]",
            what='hours of a day such as "22:00-06:00", or empty',
        ),
        "mails wait in these hours of local time",
        default="",
        default_text="mails never wait",
        example='"22:00-06:00"',
    )
    look: float = key(duration(1, 3600), "time between two looks", default=60.0)
    mail: AlertMail = key(Table(AlertMail), "alerts by mail", default=AlertMail())
    syslog: tuple[AlertSyslog, ...] = key(Tables(AlertSyslog), "alerts by syslog", default=())
