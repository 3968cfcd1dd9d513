"""Lamps and buttons at a GPIO chip (PL061) of an ARM machine: `gantry test --machine`.

Debian's kernel and Python for arm64, unpacked into an initial RAM disk, on QEMU's board `virt`. Its
power button is a button at a line of the chip, which QEMU presses when it is told to.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from image.foreign_debian import ARCHITECTURES, ensure_host_packages, unpacked
from tests.machine.guest import ROOT

pytestmark = [pytest.mark.machine, pytest.mark.timeout(900)]

PACKAGES = ("linux-image-arm64", "python3", "busybox-static")
INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs d /dev; /bin/busybox mount -t proc p /proc
/bin/busybox mount -t sysfs s /sys; /bin/busybox mount -t debugfs g /sys/kernel/debug
cd /checkout
/usr/bin/python3.11 -m tests.machine.inside.panel_checks
/bin/busybox poweroff -f
"""
_HEAVY = shutil.ignore_patterns("modules", "doc", "locale", "man", "__pycache__")


@pytest.fixture
def kernel_and_disk(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Paths of the kernel and of the packed RAM disk."""
    ensure_host_packages({"qemu-system-aarch64": "qemu-system-arm", "cpio": "cpio"})
    debian = unpacked(ARCHITECTURES["aarch64"], PACKAGES, dependencies=True)
    tree, packed = tmp_path / "tree", tmp_path / "disk"
    for name in ("bin", "etc", "lib", "usr"):
        shutil.copytree(debian / name, tree / name, symlinks=True, ignore=_HEAVY)
    for name in ("dev", "proc", "sys", "tmp"):
        (tree / name).mkdir()
    shutil.copytree(ROOT / "hal", tree / "checkout" / "hal", ignore=_HEAVY)
    for folder in ("tests", "tests/machine", "tests/machine/inside"):
        (tree / "checkout" / folder).mkdir()
        for path in (ROOT / folder).glob("__init__.py"):
            shutil.copy(path, tree / "checkout" / folder)
    checks = "tests/machine/inside/panel_checks.py"
    shutil.copy(ROOT / checks, tree / "checkout" / checks)
    (tree / "init").write_text(INIT)
    (tree / "init").chmod(0o755)
    command = f"find . | cpio -o -H newc --quiet >'{packed}'"
    subprocess.run(command, shell=True, cwd=tree, check=True)
    yield next((debian / "boot").glob("vmlinuz-*")), packed
    shutil.rmtree(tree)
    packed.unlink()


def press(monitor: Path) -> None:
    """Press the button, for a tenth of a second."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(60)
        control.connect(str(monitor))
        for command in (b"system_powerdown\n", b""):
            answer = b""
            while not answer.endswith(b"(qemu) "):
                answer += control.recv(4096)
            control.sendall(command)


def checks_of(kernel: Path, disk: Path, monitor: Path) -> dict[str, Any]:
    """Boot, press the button when asked to, and give what the guest found."""
    command = [
        *("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "1024"),
        *("-display", "none", "-serial", "stdio", "-nic", "none", "-no-reboot"),
        *("-monitor", f"unix:{monitor},server=on,wait=off"),
        *("-kernel", str(kernel), "-initrd", str(disk)),
        *("-append", "console=ttyAMA0 quiet panic=-1 rdinit=/init"),
    ]
    said = ""
    guest = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        assert guest.stdout is not None
        for line in guest.stdout:
            said += line
            if line.strip() == "press":
                press(monitor)
            elif line.startswith('{"checks"'):
                found: dict[str, Any] = json.loads(line)["checks"]
                return found
    finally:
        guest.kill()
        guest.wait()
    raise AssertionError(f"the guest did not finish:\n{said[-4000:]}")


def test_lamps_are_lit_and_a_button_is_felt_at_a_real_chip(
    kernel_and_disk: tuple[Path, Path], tmp_path: Path
) -> None:
    found = checks_of(*kernel_and_disk, tmp_path / "monitor")
    (chip,) = found["chips"]
    assert chip == {
        "path": "/dev/gpiochip0",
        "label": "9030000.pl061",
        "lines": 8,
        "problem": "",
    }
    assert found["lit"] == ["gantry ) out hi", "gantry ) out lo", "gantry ) in lo IRQ"]
    assert "busy" in found["busy"]
    assert found["events"] == ["ButtonPressed", "ButtonReleased"]
    assert found["dark"][0] == "gantry ) out lo"
    assert found["closed"] == []
