"""What the conformance statement says of audit and secure use."""

from __future__ import annotations

from pathlib import Path

from agent.configuration.audit import AUDIT_EVENTS
from agent.configuration.load import load
from agent.conformance import statement
from agent.vocabulary import vocabulary
from agent.workflow.audit_trail import EVENT_NAMES


def said(folder: Path, more: str) -> str:
    file = folder / "gantry.toml"
    file.write_text(f'profile = "gateway"\n{more}')
    return statement(load(files=[file], vocabulary=vocabulary()))


def test_every_message_is_stated_with_its_occasion(tmp_path: Path) -> None:
    assert "udit trail" not in said(tmp_path, "")
    text = said(tmp_path, '[[audit.repository]]\nname = "log"\ntransport = "journal"\n')
    for name in AUDIT_EVENTS:
        assert f"| {name} | " in text
    assert "the journal of this machine, /run/systemd/journal/socket" in text


def test_the_names_of_messages_are_those_of_their_events() -> None:
    assert {name: term.meaning for name, term in EVENT_NAMES.items()} == {
        "application": "Application Activity",
        "audit-log-used": "Audit Log Used",
        "begin-transferring": "Begin Transferring DICOM Instances",
        "export": "Export",
        "import": "Import",
        "accessed": "DICOM Instances Accessed",
        "transferred": "DICOM Instances Transferred",
        "deleted": "DICOM Study Deleted",
        "network-entry": "Network Entry",
        "query": "Query",
        "security-alert": "Security Alert",
        "user-authentication": "User Authentication",
        "order-record": "Order Record",
        "patient-record": "Patient Record",
        "procedure-record": "Procedure Record",
    }


def test_repositories_and_what_is_left_out_are_stated(tmp_path: Path) -> None:
    text = said(
        tmp_path,
        '[audit]\nleft_out = ["query"]\nwhen_full = "refuse"\n[[audit.repository]]\n'
        'name = "central"\naddress = "audit.example:6514"\n',
    )
    assert "SYSLOG-TLS (A.6, RFC 5425), audit.example:6514, facility 10" in text
    assert "| query | not made: left out by the configuration |" in text
    assert "new associations are refused" in text
    assert "Secure Use" not in text


def test_secure_use_is_stated_with_who_follows_it(tmp_path: Path) -> None:
    text = said(
        tmp_path, '[secure_use]\nenabled = true\n[[peer]]\nname = "LIKE"\nsecure_use = true\n'
    )
    assert "| Peers that follow the profile | LIKE; others get and give NS |" in text
