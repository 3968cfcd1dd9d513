"""Audit messages of others, as `gantry audit check` reads them (PS3.15 A.5)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.security.audit_message import AuditSource
from agent.security.audit_reading import faults_of, read_message
from tests.fuzz.target import Target
from tests.security.test_audit_messages import ROWS, right

_SOURCE = AuditSource("SOURCE")


def run(data: bytes) -> None:
    """What can be read can be written again, and is the same then."""
    list(faults_of(data))
    message = read_message(data)
    assert read_message(message.xml(_SOURCE).encode()).event == message.event


def seeds() -> Iterator[bytes]:
    """One of each table with as much as it allows, and what expands."""
    for row in ROWS:
        yield right(row, most=True, text="Müller & <Söhne>").xml(_SOURCE).encode()
    yield b'<!DOCTYPE a [<!ENTITY b "c">]><AuditMessage>&b;</AuditMessage>'
    yield b"<AuditMessage>" * 4000


TARGET = Target(run, seeds)
