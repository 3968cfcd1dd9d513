"""What the box tells of by itself, to whom, and how often."""

from __future__ import annotations

from agent.configuration.connection import DAY
from agent.configuration.key import key, section
from agent.configuration.kinds import (
    Amount,
    Choice,
    ListOf,
    Table,
    Tables,
    Text,
    duration,
    fraction,
)
from agent.configuration.mail import MailServer
from agent.configuration.syslog import SyslogReceiver

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
class AlertSyslog(SyslogReceiver):
    """A receiver of alerts by syslog (RFC 5424)."""

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

    @property
    def are_wanted(self) -> bool:
        """Whether there is somebody to tell."""
        return bool(self.mail.recipients or self.syslog)
