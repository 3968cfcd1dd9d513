"""EST (RFC 7030): `gantry keys enrol` and `renew` against a server whose authority is openssl."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.main import main
from tests.peers.certificates import Authority
from tests.peers.est_server import PATH, EstServer, running_est_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EstServer]:
    with running_est_server(tmp_path, Authority("trusted")) as made:
        yield made


def test_a_certificate_is_enrolled_and_renewed(
    server: EstServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "password").write_text("sesame\n")
    configuration = tmp_path / "gantry.toml"
    configuration.write_text(
        f'profile = "gateway"\n[node]\nstate = "{tmp_path}/state"\ncontrol = ""\n'
        '[[key]]\nname = "box"\nalgorithm = "ec-p256"\nsubject = "CN=box"\nhosts = ["localhost"]\n'
        f'enrolment = "https://localhost:{server.server_port}{PATH}"\n'
        f'enrolment_trust = ["{server.authority.certificate}"]\n'
        f'enrolment_user = "box"\nenrolment_secret = {{ file = "{tmp_path}/password" }}\n'
    )

    def keys(*words: str) -> str:
        main(["keys", *words, "--config", str(configuration)])
        return "".join(capsys.readouterr())

    keys("create", "box")
    assert "installed CN=box, issuer CN=trusted" in keys("enrol", "box")
    basic = base64.b64encode(b"box:sesame").decode()
    assert server.asked == [(f"{PATH}simpleenroll", f"Basic {basic}")]
    first = json.loads(keys("list", "--json"))
    assert 89 < first["days"] < 91 and first["keys"] == ["a"]
    assert "not due box" in keys("renew", "box", "--if-due")
    server.asked.clear()
    assert "installed CN=box" in keys("renew", "box")
    assert server.asked == [(f"{PATH}simplereenroll", "box")], "by its certificate"
    assert json.loads(keys("list", "--json"))["keys"] == ["b"]

    for status, words in ((202, "asked again: 60"), (401, "another user"), (500, "status 500")):
        server.status = status
        assert words in keys("enrol", "box")
    server.status, server.kind = 200, "text/html"
    assert "answers with text/html" in keys("enrol", "box")
    assert json.loads(keys("list", "--json"))["keys"] == ["b"], "what was good goes on"
