"""What a node keeps in its audit trail, without a repository that listens."""

from __future__ import annotations

from pathlib import Path

from agent.security.audit_message import AuditMessage
from agent.security.audit_reading import faults_of, read_message
from tests.node.running import NodeProcess
from tests.peers.process import wait_until
from tests.peers.rsyslog import free_udp_port
from tests.security.test_audit_messages import judged


def kept_here(more: str = "") -> str:
    """The configuration of an audit trail; `more` goes into its table."""
    return (
        f"[audit]\ngather = 0.5\n{more}"
        '[[audit.repository]]\nname = "nobody"\ntransport = "udp"\n'
        f'address = "127.0.0.1:{free_udp_port()}"\n'
    )


def documents(node: NodeProcess) -> list[str]:
    """The XML of all messages; to ask for them here is not told of."""
    found = node.ask("audit", what="messages", number=1, limit=1000, again=True)
    return [each["xml"] for each in found]


def heard(node: NodeProcess, event: str, kind: str = "") -> list[AuditMessage]:
    """Messages of this event, and of this type where one is named."""
    found = (read_message(each.encode()) for each in documents(node))
    return [
        each
        for each in found
        if each.event.meaning == event and (not kind or each.types[0].meaning == kind)
    ]


def wait_for(node: NodeProcess, event: str, kind: str = "", number: int = 1) -> list[AuditMessage]:
    """As `heard`, once there are so many."""
    wait_until(lambda: len(heard(node, event, kind)) >= number, f"{number} of {event} {kind}")
    return heard(node, event, kind)


def all_are_valid(node: NodeProcess, folder: Path) -> None:
    """By the schema, and by the tables of the annex."""
    found = documents(node)
    folder.mkdir()
    judged(folder, found).check()
    assert [fault for each in found for fault in faults_of(each.encode())] == []
