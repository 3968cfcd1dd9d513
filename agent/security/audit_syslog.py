"""Audit messages as syslog messages: the frame, and how each transport carries it.

RFC 5424 is the message, RFC 5425 its frame on TLS, RFC 5426 on UDP; PS3.15 A.6 and A.7 say how they
are filled in. For the journal of systemd it is the datagram of its native protocol.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from datetime import UTC, datetime

MSGID = "DICOM+RFC3881"
WARNING, NOTICE = 4, 5
_BOM = b"\xef\xbb\xbf"
_LARGEST_SEQUENCE_ID = 2147483647


@dataclass(frozen=True, slots=True)
class Recorded:
    """A message of the queue: `number` counts from 1, `when` is in seconds since 1970."""

    number: int
    when: float
    severity: int
    xml: bytes


@dataclass(frozen=True, slots=True)
class Sender:
    """What the header of a syslog message says of us; `facility` as in RFC 5424 Table 1."""

    host: str
    facility: int = 10
    application: str = "gantry"
    bom: bool = True
    message_id: str = MSGID
    journal_number: str = "GANTRY_AUDIT_NUMBER"
    """The field of the journal that has the message's number."""


def syslog_message(recorded: Recorded, sender: Sender) -> bytes:
    """A SYSLOG-MSG (RFC 5424 6).

    Its sequenceId (7.3.1) is the message's number here: one that is sent again bears the same.
    """
    priority = sender.facility * 8 + recorded.severity
    moment = datetime.fromtimestamp(recorded.when, UTC).isoformat(timespec="microseconds")
    sequence = (recorded.number - 1) % _LARGEST_SEQUENCE_ID + 1
    header = (
        f"<{priority}>1 {moment.replace('+00:00', 'Z')} {_name(sender.host, 255)}"
        f" {_name(sender.application, 48)} {os.getpid()} {sender.message_id}"
        f' [meta sequenceId="{sequence}"] '
    )
    return header.encode() + (_BOM if sender.bom else b"") + recorded.xml


def framed(message: bytes) -> bytes:
    """On TLS: octets are counted, so that a message may have line ends (RFC 5425 4.3)."""
    return b"%d %s" % (len(message), message)


def journal_entry(recorded: Recorded, sender: Sender) -> bytes:
    """A datagram for the journal (systemd's Native Journal Protocol): fields, one a line."""
    return b"".join(
        (
            _field("MESSAGE", recorded.xml),
            _field("PRIORITY", b"%d" % recorded.severity),
            _field("SYSLOG_FACILITY", b"%d" % sender.facility),
            _field("SYSLOG_IDENTIFIER", sender.application.encode()),
            _field("SYSLOG_MSGID", sender.message_id.encode()),
            _field(sender.journal_number, b"%d" % recorded.number),
        )
    )


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return name.encode() + b"=" + value + b"\n"


def _name(text: str, longest: int) -> str:
    """PRINTUSASCII of RFC 5424, or the NILVALUE."""
    plain = "".join(each if "!" <= each <= "~" else "_" for each in text)
    return plain[:longest] or "-"
