"""`gantry first-boot` on made-up systems: what it makes and says, and what a power cut does."""

from __future__ import annotations

import os
import re
import signal
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli.command_line import main
from agent.cli.exit_status import ExitStatus
from agent.configuration.configuration import Configuration
from agent.configuration.load import load
from agent.dataset.uid import new_uid
from agent.vocabulary import vocabulary
from tests.cli_of import ROOT
from tests.peers.key_keepers import SoftChip
from tests.peers.openssl import openssl

MACHINE_ID = "0123456789abcdef0123456789abcdef\n"
FULL = """\
profile = "gateway"
title = "EDGE 1"
hostname = "edge-1"
time_zone = "Europe/Berlin"
port = 11112
tls = "beside"
key_algorithm = "ec-p256"
callers = ["CT1", "MR_ROOM2"]
networks = ["192.0.2.0/24"]
archive = "PACS@192.0.2.10:104"
worklist = "RIS@ris.example:104"
steps = "RIS@ris.example:104"

[network]
hospital = "end0"
"""


class System:
    """The root of a system before its first start."""

    def __init__(self, folder: Path, settings: str | bytes) -> None:
        self.root = folder
        self.boot = folder / "boot" / "efi"
        self.boot.mkdir(parents=True)
        (folder / "etc").mkdir()
        (folder / "etc" / "machine-id").write_text(MACHINE_ID)
        (folder / "usr/share/zoneinfo/Europe").mkdir(parents=True)
        (folder / "usr/share/zoneinfo/Europe/Berlin").touch()
        self.lamp = folder / "sys/class/leds/ACT"
        self.lamp.mkdir(parents=True)
        (self.lamp / "trigger").write_text("mmc0")
        self.write(settings)

    def write(self, settings: str | bytes) -> None:
        data = settings if isinstance(settings, bytes) else settings.encode()
        (self.boot / "gantry.conf").write_bytes(data)

    def start(self, *words: str) -> int:
        return main(["first-boot", "--root", str(self.root), "--tpm", "/nowhere", *words])

    @property
    def target(self) -> Path:
        return self.root / "etc/gantry/gantry.toml"

    @property
    def report(self) -> str:
        return (self.boot / "gantry-report.txt").read_bytes().decode()

    @property
    def is_over(self) -> bool:
        return (self.root / "var/lib/gantry/first-boot").exists()

    @property
    def configuration(self) -> Configuration:
        return load(None, (self.target,), (), vocabulary())

    @property
    def keys(self) -> Path:
        return self.root / "var/lib/gantry/keys/box"


def test_all_that_is_set_becomes_the_configuration(tmp_path: Path) -> None:
    system = System(tmp_path, FULL)
    assert system.start() == ExitStatus.DONE
    made = system.configuration
    (entity,) = made.entities
    assert (entity.title, entity.ports.keys()) == ("EDGE 1", {11112, 2762})
    assert entity.accept.calling_titles == ("CT1", "MR_ROOM2")
    assert entity.accept.networks == ("192.0.2.0/24",)
    peers = {each.name: (each.title, str(each.addresses[0])) for each in made.peers}
    assert peers == {
        "archive": ("PACS", "192.0.2.10:104"),
        "worklist": ("RIS", "ris.example:104"),
    }
    assert made.routes[0].deliver == ("archive",)
    assert (made.worklist.peer, made.steps.peers) == ("worklist", ("worklist",))
    assert (tmp_path / "etc/hostname").read_text() == "edge-1\n"
    zone = (tmp_path / "etc/localtime").readlink()
    assert zone == Path("/usr/share/zoneinfo/Europe/Berlin")
    assert "AE title EDGE 1 on port 11112, 2762" in system.report
    rights = [each.stat().st_mode & 0o777 for each in (system.target, tmp_path / "etc/hostname")]
    assert rights == [0o640, 0o644]
    assert system.is_over


def test_the_key_certifies_itself_and_asks_for_a_certificate(tmp_path: Path) -> None:
    system = System(tmp_path, FULL)
    system.start()
    certificate, request = system.keys / "certificate.pem", system.boot / "gantry-request.pem"
    assert "certificate.pem: OK" in openssl("verify", "-CAfile", certificate, certificate).output
    shown = openssl("x509", "-in", certificate, "-noout", "-fingerprint", "-sha256").output
    assert shown.partition("=")[2].strip() in system.report
    assert "verify OK" in openssl("req", "-in", request, "-noout", "-verify", "-subject").output
    public = [
        openssl(kind, "-in", file, "-noout", "-pubkey").check().output
        for kind, file in (("x509", certificate), ("req", request))
    ]
    assert public[0] == public[1]


@pytest.mark.parametrize("code", ["utf-8-sig", "utf-16", "utf-8"])
def test_any_editor_will_do(tmp_path: Path, code: str) -> None:
    text = '# Gerät\r\ntitle = "EDGE"\r\nport = 104\r\n'
    system = System(tmp_path, text.encode(code))
    assert system.start() == ExitStatus.DONE
    assert system.configuration.entities[0].title == "EDGE"
    assert all(line.endswith("\r") for line in system.report.split("\n")[:-1])


@pytest.mark.parametrize(
    ("place", "content", "title", "source"),
    [
        ("proc/device-tree/serial-number", "10000000abcdef01\0", "GANTRY-ABCDEF01", "10000000abc"),
        ("sys/class/dmi/id/product_serial", "5CG-1234X\n", "GANTRY-5CG1234X", "5CG-1234X"),
        ("sys/class/dmi/id/product_serial", "Default string\n", "", "the machine id"),
        ("sys/class/dmi/id/product_serial", "0000000000\n", "", "the machine id"),
    ],
)
def test_who_is_not_named_is_named_by_the_board(
    tmp_path: Path, place: str, content: str, title: str, source: str
) -> None:
    found = []
    for again in ("a", "b"):
        system = System(tmp_path / again, "")
        file = tmp_path / again / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        assert system.start() == ExitStatus.DONE
        made = system.configuration
        found.append((made.entities[0].title, made.node.uid_root))
        assert source in system.report
        assert (tmp_path / again / "etc/hostname").read_text().startswith("gantry-")
    assert found[0] == found[1]
    assert title in (found[0][0], "") and found[0][0].startswith("GANTRY-")
    assert MACHINE_ID[:8].upper() not in found[0][0]
    assert len(new_uid(found[0][1])) <= 64


def test_all_mistakes_are_named_at_once_where_they_can_be_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = (
        'profil = "gateway"\nport = 70000\narchive = "192.0.2.10:104"\ntls = true\n'
        'hostname = "two words"\n[network]\ntitle = "X"\n'
    )
    system = System(tmp_path, wrong)
    assert system.start() == ExitStatus.WRONG_USAGE
    said = capsys.readouterr().out
    for text in (system.report, said):
        for line in range(1, 6):
            assert f"gantry.conf:{line}: " in text
        assert "did you mean 'profile'?" in text and "TITLE@HOST:PORT" in text
        assert "gantry.conf:7: title: stands below [network]" in text
    assert (system.lamp / "trigger").read_text() == "timer"
    assert not system.target.exists() and not system.is_over and not system.keys.exists()
    # The engineer corrects it, and the box starts again.
    (system.lamp / "trigger").write_text("none [timer] mmc0")
    system.write('title = "EDGE"\n')
    assert system.start() == ExitStatus.DONE and "EDGE" in system.report
    assert (system.lamp / "trigger").read_text() == "default-on"


def test_lines_that_are_no_settings_are_all_named(tmp_path: Path) -> None:
    system = System(tmp_path, 'title = EDGE\nport = 104\nprofile: gateway\nport = "x"\n')
    assert system.start() == ExitStatus.WRONG_USAGE
    assert "gantry.conf:1: cannot be understood" in system.report
    assert "gantry.conf:3: cannot be understood" in system.report


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('profile = "gatewy"\n', "did you mean 'gateway'?"),
        ('time_zone = "Europe/Atlantis"\n', "there is no time zone 'Europe/Atlantis'"),
        ('tls = "only"\nkey_store = "tpm"\n', "there is no TPM"),
        ('archive = "A@192.0.2.1:104"\n' * 2, "cannot be understood"),
        ("#" * 70000, "longer than"),
    ],
)
def test_what_only_turns_out_later_is_told_in_the_same_place(
    tmp_path: Path, settings: str, said: str
) -> None:
    system = System(tmp_path, settings)
    assert system.start() != ExitStatus.DONE
    assert said in system.report
    assert not system.target.exists() and not system.is_over


def test_a_configuration_that_is_there_is_never_touched(tmp_path: Path) -> None:
    system = System(tmp_path, FULL)
    system.target.parent.mkdir()
    system.target.write_text("# mine\n")
    assert system.start() == ExitStatus.DONE
    assert system.target.read_text() == "# mine\n" and system.is_over
    assert not system.keys.exists() and not (tmp_path / "etc/hostname").exists()


def test_it_is_done_once_and_without_a_file_not_at_all(tmp_path: Path) -> None:
    system = System(tmp_path, "")
    (system.boot / "gantry.conf").rename(tmp_path / "elsewhere.conf")
    assert system.start() == ExitStatus.DONE and not system.is_over
    assert system.start("--from", str(tmp_path / "elsewhere.conf")) == ExitStatus.DONE
    before = system.target.read_bytes()
    system.write('title = "LATER"\n')
    system.target.unlink()
    assert system.start() == ExitStatus.DONE and not system.target.exists() and before


def test_the_key_is_made_in_the_tpm_where_there_is_one(tmp_path: Path) -> None:
    with SoftChip(tmp_path / "chip") as chip:
        system = System(tmp_path / "system", FULL)
        assert system.start("--tpm", chip.device) == ExitStatus.DONE
        assert "a key for TLS in the TPM" in system.report
        (table,) = system.configuration.keys
        assert (table.store, table.device, table.handle) == ("tpm", chip.device, 0x81010010)
        assert sorted(each.name for each in system.keys.iterdir()) == [
            "certificate.pem",
            "request.pem",
        ]
        assert "0x81010010" in chip.tool("getcap", "handles-persistent").check().output.lower()


def _at_each_change(killed_at: int) -> None:
    """Kill this process before its change of that number to the file system."""
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        changes = event in ("os.rename", "os.mkdir", "os.remove", "os.symlink", "os.link")
        if event == "open" and isinstance(arguments[2], int):
            changes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if changes:
            seen += 1
            if seen == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _cut(system: System, moment: int) -> bool:
    """Start, and lose the power at that change; whether there was one."""
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            _at_each_change(moment)
            os._exit(system.start())
        finally:
            os._exit(100)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_the_power_may_fail_at_any_moment(tmp_path: Path) -> None:
    moments = 0
    while True:
        system = System(tmp_path / str(moments), FULL)
        if not _cut(system, moments + 1):
            break
        moments += 1
        assert not system.is_over
        keys = {each.name: each.read_bytes() for each in _private_keys(system)}
        if system.target.exists():
            # Whatever is in place is whole.
            assert system.configuration.entities[0].title == "EDGE 1"
        assert system.start() == ExitStatus.DONE and system.is_over
        assert system.configuration.named_key("box") is not None
        assert "AE title EDGE 1" in system.report
        after = {each.name: each.read_bytes() for each in _private_keys(system)}
        assert len(after) == 1 and (not keys or keys == after), "the key was kept"
        assert not list(tmp_path.glob(f"{moments - 1}/**/*.new"))
    assert moments > 12


def _private_keys(system: System) -> Iterator[Path]:
    yield from system.keys.glob("*.key")


def test_the_file_that_is_shipped_names_every_setting(tmp_path: Path) -> None:
    """As it is, it says nothing; with every '#' before a setting taken away, all of them."""
    from agent.configuration.first_settings import FirstSettings, read_first_settings
    from agent.configuration.key import keys_of

    shipped = (ROOT / "systemd" / "gantry.conf").read_text()
    system = System(tmp_path / "as-it-is", shipped)
    assert read_first_settings(system.boot / "gantry.conf") == FirstSettings()
    settings = re.sub(r"(?m)^#(?! )", "", shipped)
    assert set(tomllib.loads(settings)) == keys_of(FirstSettings).keys()
    system = System(tmp_path / "all", settings)
    assert system.start() == ExitStatus.DONE
