"""What `gantry doctor` says of TLS, and the conformance statement of the same configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli.doctor_tls import tls
from agent.configuration.load import load
from agent.conformance import statement
from agent.vocabulary import vocabulary
from tests.cli_of import gantry
from tests.peers.certificates import Credentials
from tests.peers.tls_authority import TlsAuthority, fingerprint

DAY = 86400.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TlsAuthority:
    return TlsAuthority(tmp_path_factory.mktemp("authority"), "authority")


def configuration(folder: Path, authority: TlsAuthority, own: Credentials, more: str = "") -> Path:
    file = folder / "gantry.toml"
    file.write_text(
        f'profile = "gateway"\n[node]\nstate = "{folder}"\n'
        '[[entity]]\nname = "GANTRY"\nport = 11112\ntls_port = 2762\n[entity.tls]\n'
        f'certificate = "{own.certificate}"\nprivate_key = "{own.key}"\n'
        f'trust = ["{authority.file}"]\n{more}'
    )
    return file


def findings(file: Path) -> list[str]:
    """Verdict and sentence of each finding."""
    found = tls(load(None, [file], [], vocabulary()))
    return [f"{verdict} {sentence}" for verdict, sentence in found]


def test_the_command_tells_it(tmp_path: Path, authority: TlsAuthority) -> None:
    file = configuration(tmp_path, authority, authority.make("over", ends_in=-1))
    done = gantry("doctor", "--offline", "--config", file)
    assert done.returncode == 1 and "!!  entity GANTRY: our certificate" in done.output


def test_what_is_right_is_told(tmp_path: Path, authority: TlsAuthority) -> None:
    lists = f'crl = ["{authority.revoke("good.crl")}"]\n'
    said = findings(
        configuration(tmp_path, authority, authority.make("long", ends_in=90 * DAY), lists)
    )
    profile = "BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile"
    assert f"ok entity GANTRY: TLS by the {profile}" in said
    assert len(said) == 2 and said[1].startswith("ok entity GANTRY: our certificate is valid until")


@pytest.mark.parametrize(
    ("ends_in", "words"), [(-1.0, "has expired"), (5 * DAY, "renew it")], ids=["over", "soon"]
)
def test_a_certificate_that_ends_is_told(
    tmp_path: Path, authority: TlsAuthority, ends_in: float, words: str
) -> None:
    said = findings(configuration(tmp_path, authority, authority.make("ends", ends_in=ends_in)))
    assert any(line.startswith("!! entity GANTRY: our certificate") for line in said)
    assert words in said[-1]


def test_files_that_do_not_fit_are_told_by_name(tmp_path: Path, authority: TlsAuthority) -> None:
    good, other = authority.make("good"), authority.make("other")
    mixed = Credentials(other.key, good.certificate)
    (line,) = findings(configuration(tmp_path, authority, mixed))
    assert line.startswith("!! entity GANTRY: ") and "good.pem cannot be used for TLS" in line
    missing = 'crl = ["/nowhere/list.crl"]\n'
    (line,) = findings(configuration(tmp_path, authority, good, missing))
    assert "/nowhere/list.crl cannot be used for TLS: No such file" in line
    late = f'crl = ["{authority.revoke("late.crl", ends_in=-60)}"]\n'
    said = findings(configuration(tmp_path, authority, good, late))
    assert said[-1].startswith("!!") and "late.crl has expired" in said[-1]


def test_retired_profiles_and_servers_that_nobody_checks_are_noted(
    tmp_path: Path, authority: TlsAuthority
) -> None:
    peer = (
        '[[peer]]\nname = "OLD"\naddresses = ["192.0.2.1:2762"]\n[peer.tls]\nprofile = "AES"\n'
        'peer_certificate = "none"\n'
    )
    said = findings(configuration(tmp_path, authority, authority.make("good"), peer))
    assert any("-- peer OLD: PS3.15 B.3 is retired" in line for line in said)
    assert any("-- peer OLD: anybody may be that server" in line for line in said)


def test_cd_48_the_basic_profile_is_refused_by_the_configuration(
    tmp_path: Path, authority: TlsAuthority
) -> None:
    file = configuration(tmp_path, authority, authority.make("good"), 'profile = "Basic"\n')
    done = gantry("config", "check", "--config", file)
    assert done.returncode == 2
    assert "entity.GANTRY.tls.profile" in done.output
    assert "wants TLS_RSA_WITH_3DES_EDE_CBC_SHA, and OpenSSL has no Triple DES" in done.output
    plain = gantry("echo", "127.0.0.1:1", "--tls", "--tls-profile", "Basic")
    assert plain.returncode == 2
    assert "TLS_RSA_WITH_3DES_EDE_CBC_SHA" in plain.output and "AES" in plain.output


def test_the_statement_tells_profile_suites_and_what_cannot_be_had(
    tmp_path: Path, authority: TlsAuthority
) -> None:
    good = authority.make("good")
    more = (
        'profile = "Modified BCP 195 RFC 8996, 9325"\n[[peer]]\nname = "OLD"\n'
        'addresses = ["192.0.2.1:2762"]\n[peer.tls]\nprofile = "AES"\n'
        f'fingerprints = ["{fingerprint(good.certificate)}"]\n'
    )
    text = statement(
        load("gateway", [configuration(tmp_path, authority, good, more)], [], vocabulary())
    )
    assert "| Port | 11112 (TCP), 2762 (TLS) |" in text
    ours = text.partition("### Secure transport of GANTRY (PS3.15 B)")[2].partition("###")[0]
    assert "Modified BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile" in ours
    assert "(PS3.15 B.13)" in ours and "| Port | 2762 |" in ours
    offered = ours.partition("| Cipher suites, TLS 1.2 |")[2].partition("|")[0]
    assert "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8" in offered and "CAMELLIA" not in offered
    missing = ours.partition("not to be had here |")[2].partition("|")[0]
    assert "TLS_ECDHE_RSA_WITH_CAMELLIA_256_GCM_SHA384" in missing
    old = text.partition("### Secure transport to OLD (PS3.15 B)")[2]
    assert "| Retired | yes" in old and "TLS 1.0 to TLS 1.2" in old
    assert "TLS_RSA_WITH_AES_128_CBC_SHA" in old and "only 1, by SHA-256" in old


def test_a_statement_without_tls_claims_nothing() -> None:
    assert "Secure transport" not in statement(load("gateway", [], [], vocabulary()))
