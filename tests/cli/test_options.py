"""Options that several commands take: what they accept, refuse and become."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from agent.cli import options
from agent.errors import ConfigurationError
from tests.peers.certificates import Certificates


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add_peer_options(parser)
    options.add_configuration_options(parser)
    return parser.parse_args(words)


def test_a_peer_is_a_host_and_a_port_and_the_rest_has_defaults() -> None:
    chosen = parse("pacs.example:104")
    assert chosen.peer == ("pacs.example", 104)
    assert (chosen.called, chosen.calling) == ("ANY-SCP", "GANTRY")
    assert (chosen.tls, chosen.json, chosen.timeout) == (False, False, 30.0)
    assert (chosen.profile, chosen.config, chosen.set) == (None, None, [])


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert parse("[::1]:11112").peer == ("::1", 11112)


def test_files_and_settings_add_up_in_order() -> None:
    chosen = parse("a:1", "--config", "x", "--config", "y", "--set", "a=1", "--set", "b=2")
    assert chosen.config == [Path("x"), Path("y")]
    assert chosen.set == ["a=1", "b=2"]


@pytest.mark.parametrize(
    "text", ["pacs", "pacs:", "pacs:0", "pacs:65536", ":104", "::1:104", "a b:1"]
)
def test_what_is_no_address_is_wrong_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(text)
    assert stopped.value.code == 2
    assert "HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize("title", ["", "   ", "A" * 17, "A\\B", "Ä", "A\tB"])
def test_what_is_no_ae_title_is_wrong_usage(title: str) -> None:
    with pytest.raises(SystemExit):
        parse("a:1", "--called", title)


def test_spaces_around_an_ae_title_have_no_meaning() -> None:
    assert parse("a:1", "--called", " STORE SCP ").called == "STORE SCP"


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", "1e9"])
def test_a_time_limit_is_a_time(text: str) -> None:
    with pytest.raises(SystemExit):
        parse("a:1", "--timeout", text)


def test_without_tls_there_is_no_context() -> None:
    assert options.client_context(parse("a:1")) is None
    assert options.server_contexts(parse("a:1")) is None


def test_a_certificate_without_tls_is_not_passed_over() -> None:
    with pytest.raises(ConfigurationError, match="--tls"):
        options.client_context(parse("a:1", "--ca", "ca.pem"))


def test_a_file_that_is_not_there_or_no_pem_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    with pytest.raises(ConfigurationError, match=r"bad\.pem"):
        options.client_context(parse("a:1", "--tls", "--ca", str(bad)))
    bad.write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"bad\.pem"):
        options.client_context(parse("a:1", "--tls", "--ca", str(bad)))


def test_good_files_make_contexts_for_both_sides(certificates: Certificates) -> None:
    words = ["a:1", "--tls", "--ca", str(certificates.authority)]
    words += ["--certificate", str(certificates.server.certificate)]
    chosen = parse(*words, "--key", str(certificates.server.key))
    client, server = options.client_context(chosen), options.server_contexts(chosen)
    assert client is not None and client.check_hostname
    assert server is not None and server().verify_mode.name == "CERT_REQUIRED"


def test_a_listener_needs_a_certificate() -> None:
    with pytest.raises(ConfigurationError, match="certificate"):
        options.server_contexts(parse("a:1", "--tls"))


def test_what_a_listener_asks_for_needs_an_authority(certificates: Certificates) -> None:
    words = ["a:1", "--tls", "--certificate", str(certificates.server.certificate)]
    chosen = parse(*words, "--key", str(certificates.server.key), "--fingerprint", "ab" * 32)
    with pytest.raises(ConfigurationError, match="--fingerprint"):
        options.server_contexts(chosen)
    with pytest.raises(SystemExit):
        parse(*words, "--fingerprint", "ab")


def test_a_profile_is_chosen_by_name(certificates: Certificates) -> None:
    words = ["a:1", "--tls", "--ca", str(certificates.authority), "--tls-profile"]
    old = options.client_context(parse(*words, "AES"))
    assert old is not None and old.maximum_version.name == "TLSv1_2"
    with pytest.raises(ConfigurationError, match="Triple DES"):
        options.client_context(parse(*words, "Basic"))
    with pytest.raises(ConfigurationError, match="there is no secure transport"):
        options.client_context(parse(*words, "SSL"))
    with pytest.raises(ConfigurationError, match="--tls-profile"):
        options.client_context(parse("a:1", "--tls-profile", "AES"))
