"""A box as systemd runs it: its first start, its ports, its checks, its clock, its journal."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import subprocess
from pathlib import Path
from typing import Any

from agent.control import ask
from agent.errors import GantryError
from hal.clock import _Timex
from tests.machine.inside.pulled_box import until
from tests.peers.raw_pdu import associate_request, proposed_context

CONTROL = Path("/run/gantry/control")
BOOT = Path("/boot/firmware")
CONFIGURATION = Path("/etc/gantry/gantry.toml")
STAMP = Path("/var/lib/gantry/first-boot")
ECHO = proposed_context(1, "1.2.840.10008.1.1", "1.2.840.10008.1.2")
_ADJ_MAXERROR, _ADJ_ESTERROR, _ADJ_STATUS = 0x0004, 0x0008, 0x0010


def run(*words: str, fails: bool = False) -> str:
    """What a program says; that it fails is expected, or a fault."""
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode != 0) is fails, done
    return done.stdout + done.stderr


def shown(unit: str, name: str) -> str:
    return run("systemctl", "show", "-P", name, unit).strip()


def log(unit: str = "gantry") -> str:
    return run("journalctl", "-u", unit, "-n", "60", "-o", "cat")


def status() -> dict[str, Any]:
    return dict(ask(CONTROL, "status"))


def is_up() -> bool:
    try:
        return bool(status())
    except GantryError:
        return False


def echo(host: str) -> None:
    run("gantry", "echo", f"{host}:104", "--called", _title())


def _title() -> str:
    line = next(e for e in CONFIGURATION.read_text().splitlines() if e.startswith("title = "))
    return line.partition('"')[2].rstrip('"')


def test_the_first_start_has_set_up_the_box() -> None:
    assert shown("gantry-firstboot", "Result") == "success"
    assert _title().startswith("GANTRY-")
    report = (BOOT / "gantry-report.txt").read_text()
    assert f"AE title {_title()} on port 104" in report
    assert socket.gethostname() == Path("/etc/hostname").read_text().strip() == "edge-7"
    assert CONFIGURATION.stat().st_mode & 0o777 == 0o640 and CONFIGURATION.group() == "gantry"
    assert STAMP.exists()
    run("systemctl", "restart", "gantry-firstboot")
    assert shown("gantry-firstboot", "ConditionResult") == "no"


def test_systemd_opens_the_ports_and_the_node_has_no_capability() -> None:
    assert status()["profile"] == "gateway"
    echo("127.0.0.1")
    echo("[::1]")
    process = Path("/proc", shown("gantry", "MainPID"), "status").read_text()
    fields = dict(line.split(":\t", 1) for line in process.splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0, name
    # Nobody speaks TLS here: who calls there is refused, and does not wait.
    assert "socket not wanted" in log()
    with socket.create_connection(("127.0.0.1", 2762), 30) as end:
        end.settimeout(30)
        with contextlib.suppress(ConnectionResetError):
            assert end.recv(1) == b""


def test_who_calls_while_the_node_is_down_is_served_when_it_is_back() -> None:
    run("systemctl", "kill", "--signal=KILL", "gantry")
    until(lambda: not is_up(), log)
    with socket.create_connection(("127.0.0.1", 104), 300) as end:
        assert not is_up()
        end.sendall(associate_request(ECHO, called=_title()))
        assert end.recv(1) == b"\2", log()
    before = shown("gantry", "MainPID")
    run("systemctl", "restart", "gantry")
    assert shown("gantry", "MainPID") != before
    echo("127.0.0.1")


def test_the_clock_can_be_asked_inside_the_sandbox() -> None:
    assert status()["clock"]["synchronised"] is False
    state = _Timex()
    state.modes = _ADJ_MAXERROR | _ADJ_ESTERROR | _ADJ_STATUS
    state.status, state.maxerror, state.esterror = 0, 7000, 1000
    assert ctypes.CDLL(None).adjtimex(ctypes.byref(state)) >= 0
    clock = status()["clock"]
    assert clock["synchronised"] is True and clock["maximum_error"] < 1
    assert "clock: set by a time server, within 0." in run("gantry", "status")


def test_the_check_is_kept_and_shown() -> None:
    assert "gantry-doctor" in run("systemctl", "list-timers", "--all")
    run("systemctl", "start", "gantry-doctor.service")
    assert shown("gantry-doctor.service", "Result") == "success"
    said = log("gantry-doctor")
    faults = [line for line in said.splitlines() if line.startswith("!!  ")]
    assert "ok  the clock: set by a time server" in said
    assert [f"!!  {each}" for each in status()["health"]["faults"]] == faults
    assert "health: " in run("gantry", "status")
    kept = Path("/var/lib/gantry/health.json")
    assert kept.owner() == "gantry" and kept.stat().st_mode & 0o007 == 0


def test_a_wrong_configuration_is_not_started_for_ever_by_who_calls() -> None:
    wrong = CONFIGURATION.with_name("gantry.toml.d") / "wrong.toml"
    wrong.write_text("nonsense = 1\n")
    run("systemctl", "restart", "gantry", fails=True)
    assert shown("gantry", "ExecMainStatus") == "2"
    callers = [socket.create_connection(("127.0.0.1", 104), 10) for _ in range(3)]
    until(lambda: shown("gantry.socket", "ActiveState") == "failed", log, 300.0)
    assert shown("gantry.socket", "Result") == "trigger-limit-hit"
    for each in callers:
        each.close()
    wrong.unlink()
    run("systemctl", "restart", "gantry")
    echo("127.0.0.1")


def test_mistakes_in_gantry_conf_stop_the_box_and_are_told() -> None:
    run("systemctl", "stop", "gantry.socket", "gantry", "gantry-firstboot")
    good, settings = CONFIGURATION.read_bytes(), BOOT / "gantry.conf"
    before = settings.read_bytes()
    CONFIGURATION.unlink()
    STAMP.unlink()
    settings.write_bytes(b'profile = "gatway"\r\n')
    run("systemctl", "start", "gantry-firstboot", fails=True)
    assert "did you mean 'gateway'?" in (BOOT / "gantry-report.txt").read_text()
    assert "did you mean 'gateway'?" in log("gantry-firstboot")
    assert "Assertion failed" in run("systemctl", "start", "gantry", fails=True)
    settings.write_bytes(before)
    run("systemctl", "start", "gantry")
    assert CONFIGURATION.read_bytes() == good, "the same board, the same configuration"
    echo("127.0.0.1")


def test_udev_and_journald_take_what_is_theirs() -> None:
    said = run("udevadm", "test", "/sys/class/tty/ttyS0")
    assert "Reading rules file: /etc/udev/rules.d/60-gantry.rules" in said
    assert not [line for line in said.splitlines() if "60-gantry.rules:" in line]
    run("systemctl", "restart", "systemd-journald")
    said = run("journalctl", "-b", "-t", "systemd-journald", "-o", "cat")
    assert "max 64.0M" in said, said
    assert "Unknown key" not in said and "Failed to parse" not in said
