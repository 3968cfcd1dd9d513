"""Audit messages as syslog messages (RFC 5424, 5425) and as entries of the journal."""

from __future__ import annotations

import os

from agent.security.audit_syslog import (
    NOTICE,
    Recorded,
    Sender,
    framed,
    journal_entry,
    syslog_message,
)

ONE = Recorded(1, 1_700_000_000.25, NOTICE, "<AuditMessage é/>".encode())


def test_the_header_is_that_of_rfc_5424_and_ps3_15_a_6() -> None:
    message = syslog_message(ONE, Sender("box.example.org"))
    header, mark, xml = message.partition(b"\xef\xbb\xbf")
    assert header == (
        b"<85>1 2023-11-14T22:13:20.250000Z box.example.org gantry "
        + str(os.getpid()).encode()
        + b' DICOM+RFC3881 [meta sequenceId="1"] '
    )
    assert mark
    assert xml == ONE.xml


def test_facility_mark_and_host_are_as_configured() -> None:
    message = syslog_message(ONE, Sender("a b\n", facility=13, bom=False))
    assert message.startswith(b"<109>1 ")
    assert b" a_b_ gantry " in message
    assert b"\xef\xbb\xbf" not in message
    assert b"Z - gantry" in syslog_message(ONE, Sender(""))


def test_sequence_numbers_begin_again_after_the_last_of_rfc_5424() -> None:
    for number, told in ((2147483647, 2147483647), (2147483648, 1)):
        message = syslog_message(Recorded(number, 1.0, NOTICE, b""), Sender("box"))
        assert f'sequenceId="{told}"'.encode() in message


def test_a_frame_counts_octets() -> None:
    assert framed("é".encode()) == b"2 \xc3\xa9"


def test_an_entry_of_the_journal_holds_line_ends() -> None:
    entry = journal_entry(Recorded(7, 1.0, 4, b"<a>\n</a>"), Sender("box"))
    assert entry.startswith(b"MESSAGE\n\x08\0\0\0\0\0\0\0<a>\n</a>\nPRIORITY=4\n")
    assert b"SYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=gantry\n" in entry
    assert entry.endswith(b"GANTRY_AUDIT_NUMBER=7\n")
