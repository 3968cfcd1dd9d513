"""The keys of secure transport: profiles by name, pinned certificates, ports, lists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.configuration.certificate import fingerprint_of
from agent.configuration.difference import differences
from agent.configuration.load import ConfigurationErrors
from agent.network.tls_profiles import PROFILES
from agent.vocabulary import vocabulary
from tests.configuration.words import VOCABULARY, load_text

DIGITS = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
COLONS = ":".join(DIGITS[at : at + 2] for at in range(0, 64, 2)).upper()
HEAD = '[[entity]]\nname = "A"\nport = 104\n'
TLS = '[entity.tls]\ncertificate = "/c.pem"\n'
SERVICE = '[[entity.service]]\nname = "verification"\n'
WORDS = replace(
    VOCABULARY,
    tls_profiles=vocabulary().tls_profiles,
    unavailable=vocabulary().unavailable,
)


def problems(folder: Path, text: str) -> str:
    with pytest.raises(ConfigurationErrors) as failure:
        load_text(folder, text, vocabulary=WORDS)
    return str(failure.value)


def test_each_profile_is_known_by_the_name_that_ps3_15_gives_it(tmp_path: Path) -> None:
    for name, profile in PROFILES.items():
        text = f'{HEAD}{TLS}profile = "{name}"\n{SERVICE}'
        if profile.unavailable:
            said = problems(tmp_path, text)
            assert "entity.A.tls.profile" in said and "no Triple DES" in said
        else:
            tls = load_text(tmp_path, text, vocabulary=WORDS).entities[0].tls
            assert tls is not None and tls.profile == name
    assert "did you mean" in problems(tmp_path, f'{HEAD}{TLS}profile = "BCP 196"\n{SERVICE}')


@pytest.mark.parametrize(
    "text", [DIGITS, COLONS, f"SHA256:{DIGITS}", f"sha256 Fingerprint={COLONS}", f" {COLONS} "]
)
def test_a_fingerprint_is_written_as_openssl_prints_it_or_plainly(text: str) -> None:
    assert fingerprint_of(text) == DIGITS


@pytest.mark.parametrize(
    "text", ["", DIGITS[1:], f"{DIGITS}0", DIGITS.replace("9", "g"), "sha1:00"]
)
def test_what_is_no_fingerprint_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="64"):
        fingerprint_of(text)
    said = problems(tmp_path, f'{HEAD}{TLS}fingerprints = ["{text}"]\n{SERVICE}')
    assert "entity.A.tls.fingerprints" in said


def test_ports_are_told_with_what_is_spoken_there(tmp_path: Path) -> None:
    plain = load_text(tmp_path, f"{HEAD}{SERVICE}").entities[0]
    secure = load_text(tmp_path, f"{HEAD}{TLS}{SERVICE}").entities[0]
    both = load_text(tmp_path, f"{HEAD}tls_port = 2762\n{TLS}{SERVICE}").entities[0]
    assert plain.ports == {104: None}
    assert secure.ports == {104: secure.tls}
    assert both.ports == {104: None, 2762: both.tls}


def test_a_reload_opens_the_secure_port(tmp_path: Path) -> None:
    old = load_text(tmp_path, f"{HEAD}{TLS}{SERVICE}")
    new = load_text(tmp_path, f"{HEAD}tls_port = 2762\n{TLS}{SERVICE}")
    assert differences(old, new).entities.changed == ("A",)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f"{HEAD}tls_port = 2762\n{SERVICE}", "entity.A.tls_port"),
        (f"{HEAD}tls_port = 104\n{TLS}{SERVICE}", "entity.A.tls_port"),
        (f'[[entity]]\nname = "A"\nport = 0\ntls_port = 2762\n{TLS}', "entity.A.tls_port"),
        (
            f'{HEAD}{TLS}peer_certificate = "none"\nfingerprints = ["{DIGITS}"]\n{SERVICE}',
            "entity.A.tls.fingerprints",
        ),
        (f"{HEAD}{TLS}crl_of_authorities = true\n{SERVICE}", "entity.A.tls.crl_of_authorities"),
        (f'{HEAD}{TLS}peer_certificate = "none"\ncrl = ["/a"]\n{SERVICE}', "entity.A.tls.crl"),
        (
            f'{HEAD}tls_port = 2762\n{TLS}{SERVICE}[[entity]]\nname = "B"\nport = 2762\n{SERVICE}',
            "entity.B.tls",
        ),
        (
            f'{HEAD}tls_port = 2762\ntitle = "T"\n{TLS}{SERVICE}'
            f'[[entity]]\nname = "B"\ntitle = "T"\nport = 2762\n{TLS}{SERVICE}',
            "entity.B.title",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, key: str) -> None:
    assert key in problems(tmp_path, text)
