"""`[network]` of gantry.conf, and the firewall of a card."""

from __future__ import annotations

import runpy
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from image.boot import settings_template
from image.root import FILES
from tests.cli_of import gantry
from tests.peers.network_namespace import network_namespace
from tests.peers.programs import program, run

_PROGRAM = FILES / "usr/lib/gantry-card/network"
_NETWORK: dict[str, Any] = runpy.run_path(str(_PROGRAM), run_name="network")


def files(**settings: object) -> dict[str, str]:
    found: dict[str, str] = _NETWORK["files"](settings)
    return found


def test_the_template_changes_nothing() -> None:
    settings = tomllib.loads(settings_template())
    assert settings == {"network": {}}
    default = (FILES / "usr/lib/systemd/network/20-hospital.network").read_text()
    said = files()["network/20-hospital.network"]
    assert sorted(said.split()) == sorted(
        word for line in default.splitlines() if not line.startswith("#") for word in line.split()
    )


def test_every_setting_of_the_template_can_be_made() -> None:
    text = "".join(
        line.removeprefix("#") if line.startswith("#") and " = " in line else line
        for line in settings_template().splitlines(keepends=True)
    )
    settings = tomllib.loads(text)
    made = files(**settings["network"])
    assert sorted(made) == [
        "network/10-modality.network",
        "network/20-hospital.network",
        "timesyncd.conf.d/60-gantry.conf",
        "timesyncd.conf.d/no-broadcast",
    ]


def test_two_sides_are_two_groups_and_the_modality_has_no_router() -> None:
    made = files(
        hospital="end0",
        hospital_address="192.0.2.20/24",
        hospital_router="192.0.2.1",
        name_servers=["192.0.2.53", "2001:db8::53"],
        time_servers=["ntp.hospital.example", "192.0.2.123"],
        modality="00-1B-21-AA-BB-CC",
        modality_address="10.99.0.1/24",
    )
    hospital = made["network/20-hospital.network"].splitlines()
    modality = made["network/10-modality.network"].splitlines()
    assert {"Name=end0", "Group=1", "DHCP=no", "Gateway=192.0.2.1"} <= set(hospital)
    assert {"DNS=192.0.2.53", "DNS=2001:db8::53", "IPForward=no"} <= set(hospital)
    assert {"PermanentMACAddress=00:1b:21:aa:bb:cc", "Group=2", "DHCP=no"} <= set(modality)
    assert not [line for line in modality if line.startswith(("Gateway", "DNS"))]
    assert made["timesyncd.conf.d/60-gantry.conf"] == (
        "[Time]\nFallbackNTP=ntp.hospital.example 192.0.2.123\n"
    )


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"hospital": "end0\n[Network]"}, "hospital"),
        ({"hospital_address": "192.0.2.20"}, "hospital_address"),
        ({"hospital_address": "192.0.2.300/24"}, "hospital_address"),
        ({"hospital_router": "192.0.2.1"}, "hospital_router"),
        ({"name_servers": ["ns.example"]}, "name_servers"),
        ({"time_servers": ["a b"]}, "time_servers"),
        ({"time_broadcast": "no"}, "time_broadcast"),
        ({"modality": "end1"}, "modality_address"),
        ({"modality_address": "10.0.0.1/24"}, "modality"),
        ({"gateway": "192.0.2.1"}, "gateway"),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, object], named: str) -> None:
    with pytest.raises(_NETWORK["SettingError"], match=named):
        files(**settings)


def test_a_file_that_is_wrong_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "gantry.conf"
    main = _NETWORK["main"]
    assert main(source, tmp_path / "run") == 0
    source.write_bytes(b"[network]\r\nhospital = end0\r\n")
    assert main(source, tmp_path / "run") == 1
    assert "gantry.conf" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    source.write_bytes(b'[network]\r\nhospital = "end0"\r\n')
    assert main(source, tmp_path / "run") == 0
    assert "Name=end0" in (tmp_path / "run/network/20-hospital.network").read_text()


def ntp(leap: int = 0, version: int = 4, mode: int = 5, stratum: int = 2) -> bytes:
    """A packet of a time server (RFC 5905 7.3)."""
    return bytes([leap << 6 | version << 3 | mode, stratum]) + bytes(46)


@pytest.mark.parametrize(
    ("packet", "port", "good"),
    [
        (ntp(), 123, True),
        (ntp(version=3, stratum=15), 123, True),
        (ntp(mode=4), 123, False),
        (ntp(leap=3), 123, False),
        (ntp(stratum=0), 123, False),
        (ntp(stratum=16), 123, False),
        (ntp(version=1), 123, False),
        (ntp()[:47], 123, False),
        (b"", 123, False),
        (ntp(), 1023, False),
    ],
)
def test_only_the_broadcast_of_a_server_that_has_the_time_counts(
    packet: bytes, port: int, good: bool
) -> None:
    broadcasts = runpy.run_path(str(FILES / "usr/lib/gantry-card/time-broadcast"), run_name="time")
    assert broadcasts["is_time"](packet, port) is good


_CONFIGURATION = """
[[entity]]
name = "main"
port = 11112
[[entity.service]]
name = "echo"
service = "verification"
[[entity]]
name = "modality"
title = "ROOM1"
port = 104
addresses = ["10.99.0.1", "fd00::1", "127.0.0.1"]
[[entity.service]]
name = "echo"
service = "verification"
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `gantry firewall` says of two entities."""
    configuration = tmp_path_factory.mktemp("firewall") / "gantry.toml"
    configuration.write_text(_CONFIGURATION)
    return gantry("firewall", "--config", configuration).check().output


def test_each_port_is_let_in_where_its_entity_listens(rules: str) -> None:
    assert rules.splitlines() == [
        "flush chain inet gantry served",
        'add rule inet gantry served tcp dport 11112 accept comment "entity main"',
        "add rule inet gantry served ip daddr 10.99.0.1 tcp dport 104 accept comment"
        ' "entity modality"',
        "add rule inet gantry served ip6 daddr fd00::1 tcp dport 104 accept comment"
        ' "entity modality"',
    ]


def test_a_chain_of_another_table_is_named_by_three_words() -> None:
    said = gantry("firewall", "--profile", "gateway", "--chain", "ip filter dicom").check().output
    assert said.startswith("flush chain ip filter dicom\n")
    wrong = gantry("firewall", "--profile", "gateway", "--chain", 'inet gantry "; drop')
    assert (wrong.returncode, "no chain" in wrong.output) == (2, True)


def test_nftables_takes_the_card_s_table_and_what_is_served(rules: str, tmp_path: Path) -> None:
    nft = program("nftables", "nft")
    served = tmp_path / "served"
    served.write_text(rules)
    script = f"{nft} -f {FILES}/etc/nftables.conf && {nft} -f {served} && {nft} -f {served}"
    script += f" && {nft} list table inet gantry"
    with network_namespace("firewall") as alone:
        done = run(alone.command(["sh", "-c", script]), seconds=20.0).check().output
    listed = done.split("chain served")[1].split("}")[0]
    assert listed.count("accept") == 3
    assert done.count("policy drop") == 2
    assert "dport 104" in listed and "iifgroup { 1, 2 } jump served" in done


def test_the_programs_of_a_card_are_sound_shell() -> None:
    ours = FILES / "usr/lib/gantry-card"
    for each in (ours / "healthy", ours / "faults", FILES.parent / "first_script"):
        subprocess.run(["sh", "-n", each], check=True)
