"""The files for systemd: known to its programs line by line, and closed enough."""

from __future__ import annotations

import configparser
import json
import os
import shutil
from pathlib import Path

import pytest

from agent.cli.commands import COMMANDS
from agent.cli.exit_status import ExitStatus
from agent.configuration.connection import Socket
from tests.cli_of import gantry
from tests.peers.programs import Completed, program, run

FOLDER = Path(__file__).parents[1] / "systemd"
UNIT = FOLDER / "gantry.service"
README = FOLDER / "README.md"
UNITS = sorted(
    each for each in FOLDER.iterdir() if each.suffix in (".service", ".socket", ".timer")
)
SERVICES = [each for each in UNITS if each.suffix == ".service"]
# systemd's own measure, in tenths.
EXPOSURE = {"gantry.service": 20, "gantry-doctor.service": 20, "gantry-firstboot.service": 30}


def section(unit: str, name: str = "Service") -> configparser.SectionProxy:
    # Keys stand several times; the last one is enough for what is asked here.
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read(FOLDER / unit)
    return parser[name]


def lines(unit: str, name: str) -> list[str]:
    """All values of a key."""
    text = (FOLDER / unit).read_text().splitlines()
    return [each.partition("=")[2] for each in text if each.startswith(f"{name}=")]


@pytest.fixture
def units_that_start(tmp_path: Path) -> Path:
    """The units with a program that is there, which is what `verify` wants to see."""
    for unit in UNITS:
        text = unit.read_text().replace("=/usr/bin/gantry ", "=/bin/true ")
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def analyze(*words: str | Path) -> Completed:
    return run([program("systemd", "systemd-analyze"), *words])


def test_systemd_knows_every_line(units_that_start: Path) -> None:
    done = analyze("verify", "--man=no", *sorted(units_that_start.iterdir())).check()
    assert not [each for each in done.output.splitlines() if "gantry" in each]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_the_sandbox_is_closed(units_that_start: Path, unit: Path) -> None:
    options = ["--offline=true", f"--threshold={EXPOSURE[unit.name]}", "--no-pager"]
    analyze("security", *options, units_that_start / unit.name).check()


def test_each_exposure_that_remains_is_explained(units_that_start: Path) -> None:
    options = ["--offline=true", "--json=short", "--no-pager"]
    found = json.loads(analyze("security", *options, units_that_start / UNIT.name).output)
    assert len(found) > 50
    # Null is what does not apply to this unit.
    remaining = {each["name"] for each in found if each["set"] is False}
    _, _, table = README.read_text().partition("## What the sandbox still allows")
    explained = table.partition("\n## ")[0].replace("\\|", "|")
    for name in remaining:
        assert f"`{name}`" in explained, name
    known = {each["name"] for each in found}
    for name in explained.split("`"):
        assert name not in known or name in remaining, f"{name} is closed by now"


def test_the_service_has_no_capability_and_asks_for_its_ports() -> None:
    service = section("gantry.service")
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == ""
    assert service["Sockets"] == "gantry.socket"
    ports = lines("gantry.socket", "ListenStream")
    assert ports == ["0.0.0.0:104", "[::]:104", "0.0.0.0:2762", "[::]:2762"]
    socket = section("gantry.socket", "Socket")
    assert socket["BindIPv6Only"] == "ipv6-only"
    assert socket["Backlog"] == str(Socket().backlog)
    # One descriptor for all connections: the node accepts.
    assert "Accept" not in socket


def test_the_checks_run_in_the_sandbox_of_the_node() -> None:
    """What a doctor finds in another sandbox says nothing about the node's."""
    node, doctor = section("gantry.service"), section("gantry-doctor.service")
    kept = ("Protect", "Private", "Restrict", "System", "Device", "Supplementary", "Memory", "User")
    for name in node:
        if name.startswith(kept) and name not in ("MemoryHigh", "MemoryMax"):
            assert doctor.get(name) == node[name], name
    for name in ("DeviceAllow", "SystemCallFilter"):
        assert lines("gantry-doctor.service", name) == lines("gantry.service", name)


def test_devices_that_the_box_is_for_are_let_in() -> None:
    kinds = {each.split()[0] for each in lines("gantry.service", "DeviceAllow")}
    assert kinds >= {
        *("char-video4linux", "char-ttyUSB", "char-ttyACM", "char-input", "char-gpiochip"),
        *("char-tpm", "block-sr"),
    }


def test_the_kernel_knows_devices_that_come_later_before_the_service_starts() -> None:
    """systemd looks for the kinds in /proc/devices, once; a module brings its kind with it."""
    brought_by = {
        "char-video4linux": "videodev",
        "char-ttyUSB": "usbserial",
        "char-ttyACM": "cdc_acm",
        "char-tpm": "tpm",
        "block-sr": "sr_mod",
    }
    in_the_kernel = {"char-ttyS", "char-ttyAMA", "char-input", "char-gpiochip"}
    kinds = {each.split()[0] for each in lines("gantry.service", "DeviceAllow")}
    assert kinds == in_the_kernel | set(brought_by)
    units = {f"modprobe@{each}.service" for each in brought_by.values()}
    for name in ("Wants", "After"):
        assert units <= set(" ".join(lines("gantry.service", name)).split()), name


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_each_unit_runs_a_command_that_exists(unit: Path) -> None:
    path, command, *words = section(unit.name)["ExecStart"].split()
    assert path == "/usr/bin/gantry" and command in COMMANDS
    known = gantry(command, "--help").check().output
    assert all(each in known for each in words)


def test_a_wrong_configuration_is_not_tried_again() -> None:
    assert section("gantry.service")["RestartPreventExitStatus"] == str(int(ExitStatus.WRONG_USAGE))
    # Nor by who calls: what waits would start it again and again.
    socket = section("gantry.socket", "Socket")
    assert int(socket["TriggerLimitBurst"]) <= 5 and socket["TriggerLimitIntervalSec"] == "10min"


def test_a_fault_that_the_doctor_finds_is_no_fault_of_the_doctor() -> None:
    assert section("gantry-doctor.service")["SuccessExitStatus"] == str(int(ExitStatus.REFUSED))


def test_the_folders_are_those_of_the_design() -> None:
    service = section("gantry.service")
    assert service["StateDirectory"] == service["RuntimeDirectory"] == service["User"] == "gantry"
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0


def test_the_first_start_stops_at_its_own_stamp() -> None:
    from agent.cli.first_boot import STAMP, STATE

    unit = section("gantry-firstboot.service", "Unit")
    assert unit["ConditionPathExists"] == f"!/{STATE}/{STAMP}"
    assert "gantry.service" in unit["Before"].split()


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """The root of a Debian before its first package, with our files for users and folders."""
    for kind in ("sysusers.d", "tmpfiles.d"):
        target = tmp_path / "usr" / "lib" / kind
        target.mkdir(parents=True)
        shutil.copy(FOLDER / kind / "gantry.conf", target)
    (tmp_path / "etc").mkdir()
    for name in ("group", "passwd"):
        master = Path(f"/usr/share/base-passwd/{name}.master")
        if not master.exists():
            pytest.skip("the groups of a fresh Debian are not known here: base-passwd")
        shutil.copy(master, tmp_path / "etc" / name)
    shutil.copy("/usr/lib/sysusers.d/basic.conf", tmp_path / "usr" / "lib" / "sysusers.d")
    return tmp_path


def names(system: Path, file: str) -> dict[str, list[str]]:
    rows = [each.split(":") for each in (system / "etc" / file).read_text().splitlines()]
    return {row[0]: row for row in rows}


def test_the_user_and_all_groups_of_the_units_are_made(system: Path) -> None:
    done = run([program("systemd", "systemd-sysusers"), f"--root={system}"]).check()
    assert not [each for each in done.output.splitlines() if "gantry.conf" in each], done.output
    user = names(system, "passwd")["gantry"]
    assert user[5:] == ["/var/lib/gantry", "/usr/sbin/nologin"]
    groups = names(system, "group")
    for unit in ("gantry.service", "gantry-doctor.service"):
        service = section(unit)
        wanted = {service["Group"], *service["SupplementaryGroups"].split()}
        assert wanted <= groups.keys()
    # Again changes nothing, and neither does a machine that has them.
    before = (system / "etc" / "group").read_bytes()
    run([program("systemd", "systemd-sysusers"), f"--root={system}"]).check()
    assert (system / "etc" / "group").read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders away")
def test_the_folders_belong_to_whom_they_should(system: Path) -> None:
    run([program("systemd", "systemd-sysusers"), f"--root={system}"]).check()
    (system / "etc" / "gantry").mkdir(mode=0o755)
    (system / "etc" / "gantry" / "gantry.toml").touch(0o644)
    done = run([program("systemd", "systemd-tmpfiles"), f"--root={system}", "--create"]).check()
    assert "gantry.conf" not in done.output
    user = int(names(system, "passwd")["gantry"][2])
    group = int(names(system, "group")["gantry"][2])
    for path, owner, rights in (
        ("etc/gantry", 0, 0o750),
        ("etc/gantry/gantry.toml", 0, 0o640),
        ("etc/gantry/gantry.toml.d", 0, 0o750),
        ("var/lib/gantry", user, 0o750),
    ):
        found = (system / path).stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (owner, group, rights), path


def test_udev_understands_the_rules() -> None:
    done = run([program("udev", "udevadm"), "verify", "--no-style", FOLDER / "60-gantry.rules"])
    if "Unknown command" in done.output or "unrecognized" in done.output:
        pytest.skip("this udevadm has no `verify` (systemd 254); the machine tests ask udevd")
    assert done.returncode == 0, done.output


def test_each_file_has_its_place_in_the_table() -> None:
    """Packages and images go by this table."""
    _, _, table = README.read_text().partition("## Which file goes where")
    table = table.partition("\n## ")[0]
    rows = dict(
        each.strip("|").replace("`", "").replace(" ", "").split("|")[:2]
        for each in table.splitlines()
        if each.startswith("| `")
    )
    here = {
        str(each.relative_to(FOLDER))
        for each in FOLDER.rglob("*")
        if each.is_file() and each != README
    }
    assert rows.keys() == here
    for file, place in rows.items():
        assert place.startswith("/") and place.endswith(Path(file).name)
