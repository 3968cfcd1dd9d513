"""`gantry doctor` with a grabber, a serial adapter and a keyboard plugged in; runs in the guest."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from hal.serial.keyboard import devices, keyboards
from hal.serial.ports import serial_ports

NOBODY = 65534


def doctor(user: int | None = None) -> list[str]:
    """Its lines, asked by this user."""
    command = [sys.executable, "-m", "agent.cli.main", "doctor", "--offline"]
    done = subprocess.run(command, capture_output=True, text=True, user=user, group=user)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module", autouse=True)
def plugged_in() -> None:
    """All devices of the machine get their modules and their names, as at any start."""
    for words in (("trigger", "--action=add"), ("settle",)):
        subprocess.run(["udevadm", *words], check=True)
    end = time.monotonic() + 60
    while not list(Path("/dev/serial/by-id").glob("*")):
        assert time.monotonic() < end, "the serial adapter did not come"
        time.sleep(0.5)


def test_the_grabber_is_found_with_its_inputs_and_formats() -> None:
    (line,) = (each for each in doctor() if "capture: /dev/video0" in each)
    assert line.startswith("ok  capture: /dev/video0: vivid, v4l2 (vivid); inputs ")
    assert "HDMI" in line and "YUYV" in line


def test_the_serial_adapter_is_found_by_the_name_that_stays() -> None:
    (port,) = (each for each in serial_ports() if each.stable_path)
    assert (port.path, port.accessible) == ("/dev/ttyUSB0", True)
    assert port.name == "QEMU USB SERIAL"
    expected = f"ok  serial: {port.stable_path}: {port.name}, now /dev/ttyUSB0"
    assert expected in doctor()
    # The machine has one port of its own; the driver lists four.
    assert [each.path for each in serial_ports()] == ["/dev/ttyS0", "/dev/ttyUSB0"]


def test_keyboards_are_told_from_what_has_only_some_keys() -> None:
    found = keyboards()
    assert "QEMU QEMU USB Keyboard" in found.values()
    assert "Power Button" in devices().values() and "Power Button" not in found.values()
    assert any(line.startswith("ok  keyboard: QEMU QEMU USB Keyboard, now ") for line in doctor())


def test_what_this_user_may_not_open_is_told_with_its_group() -> None:
    said = doctor(NOBODY)
    assert "--  capture: /dev/video0: Permission denied; its group is video" in said
    assert any("ttyUSB0; not for this user: its group is dialout" in line for line in said)
    assert any("Keyboard; not for this user: its group is input" in line for line in said)
