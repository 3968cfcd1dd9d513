"""The unit file: known to systemd line by line, and closed enough."""

from __future__ import annotations

import configparser
import shutil
from pathlib import Path

import pytest

from agent.cli.commands import COMMANDS
from agent.cli.exit_status import ExitStatus
from tests.peers.programs import run

UNIT = Path(__file__).parents[1] / "systemd" / "gantry.service"
# systemd's own measure, in tenths: below 2.5 of 10 without the security profile of its own.
EXPOSURE = 25


def service_section() -> configparser.SectionProxy:
    # Keys stand several times; the last one is enough for what is asked here.
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read(UNIT)
    return parser["Service"]


@pytest.fixture
def unit_that_starts(tmp_path: Path) -> Path:
    """The unit with a program that is there, which is what `verify` wants to see."""
    copy = tmp_path / UNIT.name
    program = service_section()["ExecStart"].split()[0]
    copy.write_text(UNIT.read_text().replace(program, "/bin/true"))
    return copy


@pytest.fixture
def systemd_analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed")
    return found


def test_systemd_knows_every_line(systemd_analyze: str, unit_that_starts: Path) -> None:
    done = run([systemd_analyze, "verify", "--man=no", unit_that_starts]).check()
    assert UNIT.name not in done.output


def test_the_sandbox_is_closed(systemd_analyze: str, unit_that_starts: Path) -> None:
    options = ["--offline=true", f"--threshold={EXPOSURE}", "--no-pager"]
    run([systemd_analyze, "security", *options, unit_that_starts]).check()


def test_the_unit_runs_a_command_that_exists() -> None:
    program, command, *_ = service_section()["ExecStart"].split()
    assert Path(program).name == "gantry"
    assert command in COMMANDS


def test_a_wrong_configuration_is_not_tried_again() -> None:
    assert service_section()["RestartPreventExitStatus"] == str(int(ExitStatus.WRONG_USAGE))


def test_the_folders_are_those_of_the_design() -> None:
    service = service_section()
    assert service["StateDirectory"] == service["RuntimeDirectory"] == service["User"] == "gantry"
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
