"""`gantry doctor` and the mail server; and which tables for mails cannot be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli_of import gantry
from tests.peers.certificates import Certificates
from tests.peers.mail_server import PASSWORD, USER, MailServer
from tests.peers.programs import missing

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module", autouse=True)
def aiosmtpd() -> None:
    if not Path("/usr/lib/python3/dist-packages/aiosmtpd").exists():
        missing("aiosmtpd", "apt-get install python3-aiosmtpd, or './gantry test' as root")


def said(folder: Path, table: str, *words: str) -> list[str]:
    """What it says of mails."""
    (folder / "gantry.toml").write_text(f'[node]\nstate = "{folder}"\n{table}')
    output = gantry("doctor", "--config", folder / "gantry.toml", *words).output
    return [line for line in output.splitlines() if "mail" in line]


def test_a_server_that_takes_our_mails_is_found_good(
    tmp_path: Path, certificates: Certificates
) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "recipients").mkdir()
    more = (
        f'user = "{USER}"\nsecret = {{ file = "{tmp_path}/password" }}\n'
        f'trust = ["{certificates.authority}"]\ncertificates = "{tmp_path}/recipients"\n'
        f'signing_key = "{certificates.client.key}"\n'
        f'signing_certificate = "{certificates.server.certificate}"\n'
    )
    with MailServer(
        tmp_path / "smtp", security="starttls", credentials=certificates.server
    ) as server:
        server.answer(largest=5_000_000)
        table = server.table(more, "starttls")
        lines = said(tmp_path, table)
        assert "ok  the mail server localhost answers (starttls). box may log in." in lines
        assert any(
            line.startswith("!!") and "takes mails of 5000000 bytes; set largest" in line
            for line in lines
        )
        assert any(line.startswith("!!  mail: mails cannot be signed") for line in lines)
        assert f"--  mail: certificates of 0 recipients in {tmp_path}/recipients" in lines
        assert not any("mail server" in line for line in said(tmp_path, table, "--offline"))
        (tmp_path / "password").write_text("wrong")
        assert any(line.startswith("!!") and "535" in line for line in said(tmp_path, table))


def test_a_server_that_is_not_there_is_found_bad(tmp_path: Path) -> None:
    table = '[mail]\nhost = "localhost"\nport = 9\nfrom = "a@b.example"\n'
    (line,) = said(tmp_path, table)
    assert line.startswith("!!  the mail server localhost: it cannot be reached")
    assert said(tmp_path, "") == []


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('host = "x"\n', "mail.from: is empty"),
        (
            'host = "x"\nfrom = "a@b"\nuser = "u"\nsecurity = "none"\n',
            "mail.security: is none, and a password would go over the network",
        ),
        ("[mail.retry]\nfirst = 60\nlongest = 5\n", "mail.retry.longest: 5 s is shorter"),
        ('profile = "STD-GEN-CD"\n', "mail.profile"),
        ('secret = "open sesame"\n', "mail.secret"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, table: str, problem: str) -> None:
    (tmp_path / "gantry.toml").write_text(f"[mail]\n{table}")
    done = gantry("config", "check", "--config", tmp_path / "gantry.toml")
    assert done.returncode == 2
    assert problem in done.output
    assert "open sesame" not in done.output
