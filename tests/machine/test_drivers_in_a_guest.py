"""Drivers on a real kernel with virtual hardware: `gantry test --machine`."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.machine.guest import Guest
from tests.machine.plugging import Plugging

pytestmark = [pytest.mark.machine, pytest.mark.timeout(1800)]

JOB = """
modprobe vivid n_devs=1; modprobe uinput; modprobe evdev
modprobe -a xhci_pci usb_storage sd_mod ahci sr_mod
/lib/systemd/systemd-udevd --daemon
udevadm trigger --type=all --action=add
sleep 1
export PYTHONPATH=/tmp/checkout PYTHONDONTWRITEBYTECODE=1
python3 -m pytest -c /dev/null --rootdir /tmp/results --noconftest -p no:cacheprovider -q \\
  --junitxml=/tmp/results/junit.xml /tmp/checkout/tests/machine/inside/{checks}.py
"""


USB = (
    *("-device", "qemu-xhci", "-device", "usb-kbd"),
    *("-chardev", "null,id=nothing", "-device", "usb-serial,always-plugged=on,chardev=nothing"),
)


def run_inside(
    checks: str,
    results: Path,
    devices: tuple[str, ...] = (),
    attend: Callable[[], None] = lambda: None,
    *,
    job: str = JOB,
    seconds: float = 900.0,
    systemd: bool = False,
) -> dict[str, str]:
    """Run a module of `tests/machine/inside` in a guest; name of each test to what went wrong."""
    done = Guest().run(
        job.format(checks=checks),
        results,
        devices=devices,
        seconds=seconds,
        attend=attend,
        systemd=systemd,
    )
    report = results / "junit.xml"
    assert report.exists(), done.output
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        wrong = [child.get("message", "") for child in case if child.tag in ("failure", "error")]
        found[str(case.get("name"))] = "; ".join(wrong)
    assert found, done.output
    return found


def test_the_driver_captures_all_that_the_kernel_offers(tmp_path: Path) -> None:
    found = run_inside("vivid_checks", tmp_path)
    wrong = {name: why for name, why in found.items() if why}
    assert not wrong, "\n".join(f"{name}: {why}" for name, why in wrong.items())
    assert len(found) > 30


def test_a_keyboard_wedge_is_found_grabbed_and_comes_back(tmp_path: Path) -> None:
    found = run_inside("keyboard_checks", tmp_path)
    wrong = {name: why for name, why in found.items() if why}
    assert not wrong, "\n".join(f"{name}: {why}" for name, why in wrong.items())
    assert len(found) == 3


def test_the_doctor_finds_what_is_plugged_in(tmp_path: Path) -> None:
    found = run_inside("doctor_checks", tmp_path, USB)
    wrong = {name: why for name, why in found.items() if why}
    assert not wrong, "\n".join(f"{name}: {why}" for name, why in wrong.items())
    assert len(found) == 4


def test_sticks_and_discs_come_are_mounted_and_are_pulled(tmp_path: Path) -> None:
    hand = Plugging(tmp_path / "results" / "plugging")
    try:
        found = run_inside("removable_checks", tmp_path / "results", hand.devices, hand.attend)
    finally:
        hand.close()
    wrong = {name: why for name, why in found.items() if why}
    assert not wrong, "\n".join(f"{name}: {why}" for name, why in wrong.items())
    assert len(found) > 30
