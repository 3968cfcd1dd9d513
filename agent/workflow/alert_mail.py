"""A mail of alerts; made and sent in a worker.

Its Message-ID follows from what it tells, so that a mail that comes twice, because we were killed
before we had noted that it was accepted, can be told to be the same.
"""

from __future__ import annotations

import hashlib
import smtplib
import time
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate

from agent.configuration.mail import MailServer
from agent.errors import DeviceError
from agent.quoting import quoted
from agent.workflow.alert_record import BEGUN, GOES_ON, OVER, Told
from agent.workflow.export_mail import session

_HEADINGS = {BEGUN: "New:", GOES_ON: "Still so:", OVER: "Over:"}
_LONGEST_SUBJECT = 100


def send(server: MailServer, recipients: Sequence[str], box: str, tidings: Sequence[Told]) -> str:
    """Send it; who was refused, in words, "" where all have it.

    Blocks. Raises DeviceError where nobody has it: it can be tried again.
    """
    message = composed(server.sender, recipients, box, tidings)
    with session(server) as smtp:
        try:
            refused = smtp.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            raise DeviceError(
                f"the mail server {server.host} refuses everybody", value=server.host
            ) from error
        except (OSError, smtplib.SMTPException) as error:
            raise DeviceError(
                f"the mail server {server.host}: {quoted(error)}", value=server.host
            ) from error
    return ", ".join(refused)


def composed(
    sender: str, recipients: Sequence[str], box: str, tidings: Sequence[Told]
) -> EmailMessage:
    """The mail: plain text, marked as made by a machine (RFC 3834 5)."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Subject"] = f"{box}: {_subject(tidings)}"
    message["Date"] = formatdate(localtime=True)
    told = repr([(each.key, each.what, each.since, each.over) for each in sorted(tidings)])
    name = hashlib.sha256(f"{box} {told}".encode()).hexdigest()[:32]
    message["Message-ID"] = f"<alert-{name}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(_lines(box, tidings)))
    return message


def _subject(tidings: Sequence[Told]) -> str:
    if len(tidings) == 1:
        first = tidings[0]
        text = f"over: {first.text}" if first.what == OVER else first.text
        return text[:_LONGEST_SUBJECT]
    counts = [
        f"{count} {word}"
        for what, word in ((BEGUN, "new"), (GOES_ON, "still so"), (OVER, "over"))
        if (count := sum(each.what == what for each in tidings))
    ]
    return f"{len(tidings)} alerts: {', '.join(counts)}"


def _lines(box: str, tidings: Sequence[Told]) -> list[str]:
    lines = [f"The box {box} tells:", ""]
    for what, heading in _HEADINGS.items():
        those = [each for each in tidings if each.what == what]
        if those:
            lines += [heading, *(f"  {_line(each)}" for each in those), ""]
    return [*lines, "`gantry status` and `gantry doctor` on the box say more."]


def _line(told: Told) -> str:
    since = f"since {_moment(told.since)}"
    return f"{told.text} ({since}{f', until {_moment(told.over)}' if told.over else ''})"


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
