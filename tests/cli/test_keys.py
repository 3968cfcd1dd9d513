"""`gantry keys`: keys in files, and whom we trust; tokens and TPMs are in tests/node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography import x509

from agent.cli.main import main
from tests.peers.certificates import Authority


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    file = tmp_path / "gantry.toml"
    file.write_text(
        f'profile = "gateway"\n[node]\nstate = "{tmp_path}/state"\ncontrol = ""\n'
        '[[key]]\nname = "box"\nalgorithm = "ec-p256"\nsubject = "CN=box"\nhosts = ["box"]\n'
    )
    return ["--config", str(file)]


def test_a_key_from_its_creation_to_its_end(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def keys(*what: str) -> str:
        assert main(["keys", *what, *words]) == 0
        return capsys.readouterr().out

    assert keys("list") == "box: in files: there is no key yet\n"
    assert keys("create", "box") == "created box, store files, algorithm ec-p256\n"
    assert keys("list") == "box: in files: a key without a certificate\n"
    request = x509.load_pem_x509_csr(keys("csr", "box").encode())
    given = tmp_path / "given.pem"
    given.write_bytes(Authority("trusted").sign(request, days=10))
    assert keys("install", "box", str(given)).startswith("installed CN=box, issuer CN=trusted")
    assert "CN=box, until " in keys("list")
    assert "BEGIN CERTIFICATE REQUEST" in keys("renew", "box", "--if-due"), "ten days are due"
    assert "the key that follows has no certificate yet" in keys("list")
    main(["doctor", "--offline", *words])
    assert "key box: in files: CN=box, until " in capsys.readouterr().out
    row = json.loads(keys("list", "--json"))
    assert row["keys"] == ["a", "b"] and not row["problem"]
    assert main(["keys", "delete", "box", *words]) == 2
    assert "--yes" in capsys.readouterr().err
    keys("delete", "box", "--yes")
    assert not list((tmp_path / "state").rglob("*.*"))


def test_what_cannot_be_is_told(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "create", "other", *words]) == 2
    assert "there is no key other" in capsys.readouterr().err
    assert main(["keys", "csr", "box", *words]) == 1
    assert "there is no key yet" in capsys.readouterr().err
    assert main(["keys", "enrol", "box", *words]) == 2
    assert "no EST server" in capsys.readouterr().err
    assert main(["keys", "create", "box", *words]) == 0
    (tmp_path / "state/keys/box/a.key").chmod(0o644)
    assert main(["keys", "list", *words]) == 1
    assert "can be read by others (mode 644)" in capsys.readouterr().out


def test_authorities_are_trusted_by_sets(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(Authority("one").certificate_pem + Authority("two").certificate_pem)
    assert main(["keys", "trust", "add", "PACS", str(both), *words]) == 0
    capsys.readouterr()
    assert main(["keys", "trust", "list", "--json", *words]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["subject"] for row in rows} == {"CN=one", "CN=two"}
    assert main(["keys", "trust", "remove", "PACS", "CN=one", *words]) == 0
    assert main(["keys", "trust", "remove", "PACS", rows[-1]["fingerprint"][:16], *words]) == 0
    assert main(["keys", "trust", "remove", "PACS", "CN=one", *words]) == 1
    assert list((tmp_path / "state" / "trust" / "PACS").iterdir()) == []
    leaf = Authority("three").issue(tmp_path, "leaf")
    assert main(["keys", "trust", "add", "PACS", str(leaf.certificate), *words]) == 1
    assert "is no authority" in capsys.readouterr().err
    assert main(["keys", "trust", "add", "../x", str(both), *words]) == 2
