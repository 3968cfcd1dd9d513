"""The conformance statement says who may do what, and how users are identified."""

from __future__ import annotations

from pathlib import Path

from agent.configuration.load import load
from agent.conformance import statement
from agent.vocabulary import vocabulary

CONFIGURED = """
profile = "gateway"
[[entity]]
name = "GANTRY"
accept = { calling = "any", networks = ["192.0.2.0/24"], identity = { wanted = "required" } }
[identity]
passcodes = "/etc/gantry/passcodes"
[identity.verifier]
socket = "/run/verifier"
kinds = ["jwt"]
[limits]
connections_per_second_per_host = 20
[access.lock_out]
host = 50
[[access.rule]]
name = "ct"
calling = ["CT1", "CT2"]
user = "anna"
service = "storage"
sop_class = ["CT Image Storage"]
[[access.rule]]
name = "no-deletion"
allow = false
operation = "N-DELETE"
[[peer]]
name = "PACS"
identity = { kind = "username", user = "gantry" }
"""


def said(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "gantry.toml"
    file.write_text(text)
    return statement(load(files=[file], vocabulary=vocabulary())).splitlines()


def test_the_statement_has_identities_rules_and_lock_out(tmp_path: Path) -> None:
    lines = said(tmp_path, CONFIGURED)
    for line in (
        "| As acceptor | supported, and required |",
        "| Types accepted | username-and-passcode, jwt |",
        "| Identity refused | rejected-permanent, service-provider (ACSE), no-reason-given |",
        "| As requestor | PACS: username |",
        "| Networks | 192.0.2.0/24 |",
        "| Connections a second of one host | 20 |",
        "| Lock-out | after failures within 60 s: 50 of a host, 10 of a user; for 300 s |",
        "| ct | calling CT1 or CT2; user anna | may use service storage; SOP class CT Image Storage"
        " |",
        "| no-deletion | all | may not use operation N-DELETE |",
        "| otherwise | all others | refused |",
    ):
        assert line in lines, line


def test_a_statement_without_rules_claims_none(tmp_path: Path) -> None:
    lines = said(tmp_path, 'profile = "gateway"\n')
    assert not any(line.startswith("| otherwise") for line in lines)
    assert any(line.startswith("| As acceptor | not supported") for line in lines)
