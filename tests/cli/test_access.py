"""`gantry access`: an engineer tries rules, and makes a passcode that a node then takes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from agent.security.passcodes import is_passcode_of
from tests.cli_of import ROOT, gantry
from tests.peers.programs import run

RULES = """
profile = "gateway"
[[entity]]
name = "GANTRY"
accept = { calling = "any", identity = { wanted = "optional" } }
[[entity.service]]
name = "query"
accept = { calling = "titles", calling_titles = ["VIEWER"] }
[identity]
passcodes = "/etc/gantry/passcodes"
[[access.rule]]
name = "ct-stores-ct"
calling = "CT1"
network = "192.0.2.0/24"
service = "storage"
sop_class = "CT Image Storage"
[[access.rule]]
name = "anna"
user = "anna"
[[access.rule]]
name = "archive"
subject = "CN=archive"
service = ["verification", "query"]
"""


def test_check_says_what_is_answered_and_by_which_rule(tmp_path: Path) -> None:
    file = tmp_path / "gantry.toml"
    file.write_text(RULES)
    check = ("access", "check", "--config", file)
    ct1 = gantry(*check, "--calling", "CT1", "--host", "192.0.2.7").check().output
    assert ct1.splitlines() == [
        "accepted by GANTRY",
        "  verification (we: scp), 1 SOP class: C-ECHO refused by otherwise",
        "  storage (we: scp), 189 SOP classes: C-STORE refused by otherwise",
        "  storage (we: scp), 1 SOP class: C-STORE allowed by ct-stores-ct",
        "  query (we: scp), 2 SOP classes: refused: accept of the service",
    ]
    elsewhere = gantry(*check, "--calling", "CT1", "--host", "198.51.100.1")
    assert elsewhere.returncode == 1
    assert (
        "service-provider (ACSE related function), no-reason-given; reason: user"
        in elsewhere.output
    )
    anna = gantry(*check, "--user", "anna", "--sop-class", "1.2.840.10008.1.1").check().output
    assert (
        anna
        == "accepted by GANTRY\n  verification (we: scp), Verification: C-ECHO allowed by anna\n"
    )
    said = gantry(*check, "--calling", "VIEWER", "--subject", "O=x,CN=Archive", "--json").check()
    found = json.loads(said.output)
    assert found["accepted"]
    allowed = {each["service"] for each in found["contexts"] if each["verdicts"][0]["allow"]}
    assert allowed == {"verification", "query"}


def test_a_passcode_is_read_from_a_pipe_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "passcodes"

    def passcode(typed: str, *more: str | Path) -> str:
        command = [sys.executable, "-m", "agent.cli.main", "access", "passcode", "anna", *more]
        script = 'printf "%s\\n" "$TYPED" | "$@"'
        found = run(
            ["/bin/sh", "-c", script, "sh", *command],
            environment={"PYTHONPATH": str(ROOT), "TYPED": typed},
        )
        return found.check().output

    assert passcode("schlüssel", "--into", file) == f"anna: added, in {file}\n"
    assert is_passcode_of(str(file), "anna", "schlüssel".encode())
    printed = passcode("geheim")
    assert printed.startswith("anna:scrypt:16384:8:5:")
    assert "geheim" not in printed
